"""The ranker learns from whole lists what tells the right passages, and leaves one that is good as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.seen import AT, by_fusion, mean_gain, planted, random_seen
from trailhound.agent._policy_file import load_policy
from trailhound.agent._ranker import Ranker
from trailhound.envs._seen import EDGES, LATE
from trailhound.envs._world import QuestionWorld
from trailhound.learning.policy import _ranked_lists as ranked_lists
from trailhound.learning.policy import _ranking as ranking
from trailhound.learning.policy._ranked_lists import LaidOut, RankedList, looked_at
from trailhound.learning.policy._ranking import FOLDS, fit_ranker

STEPS = 150


def lists_of(sign: str, count: int, seed: int) -> list[RankedList]:
    generator = np.random.default_rng(seed)
    return [planted(generator, sign) for _ in range(count)]


def some_ranker(generator: np.random.Generator, networks: int, messages: bool = True) -> Ranker:
    plain = by_fusion(ranking.WIDTH, networks).weights
    if not messages:
        plain = {**plain, "second": plain["second"][:, : 2 * ranking.WIDTH]}
    return Ranker({name: array + 0.3 * generator.random(array.shape) for name, array in plain.items()})


def lists_of_lengths(generator: np.random.Generator, *lengths: int) -> list[RankedList]:
    return [RankedList(random_seen(generator, n), np.zeros(n, np.int64), 1, 0) for n in lengths]


@pytest.mark.parametrize("messages", [True, False])
def test_numpy_gives_the_numbers_of_the_torch_networks_whatever_is_beside_a_list(messages: bool) -> None:
    generator = np.random.default_rng(0)
    ranker = some_ranker(generator, 2, messages)
    lists = lists_of_lengths(generator, 1, 7, 40, 150)
    lists[2].seen.features[:, LATE] = 0
    batch = LaidOut(lists, "cpu", messages).batch(np.array([[0, 1, 2, 3], [2, 2, 3, 1]]))
    with torch.inference_mode():
        scores = ranking._Networks(ranker)(batch, batch.compared).numpy()
    for network, chosen in enumerate(([0, 1, 2, 3], [2, 2, 3, 1])):
        alone = Ranker({name: array[network : network + 1] for name, array in ranker.weights.items()})
        for place, k in enumerate(chosen):
            found = scores[network, place, : len(lists[k].met)]
            np.testing.assert_allclose(alone.scores(lists[k].seen), found, rtol=1e-5, atol=1e-5)


def test_messages_and_their_gradients_are_those_of_dense_matrices() -> None:
    generator = np.random.default_rng(3)
    lists = lists_of_lengths(generator, 6, ranked_lists.LONGEST + 30, 1)
    batch = LaidOut(lists, "cpu", messages=True).batch(np.array([[1, 0], [2, 1]]))
    n, width = ranked_lists.LONGEST, 5
    rows = torch.from_numpy(generator.normal(size=(4 * n, width)).astype(np.float32)).requires_grad_()
    weights = torch.from_numpy(generator.normal(size=(4 * n * len(EDGES), width)).astype(np.float32))
    found = ranking._Messages.apply(rows, batch.messages, batch.gradients)
    (found * weights).sum().backward()
    sparse, rows.grad = rows.grad, None
    dense = torch.zeros(4, len(EDGES), n, n)
    for place, k in enumerate((1, 0, 2, 1)):
        kept = ranked_lists._best(lists[k], n)
        dense[place, :, : len(kept), : len(kept)] = torch.from_numpy(lists[k].seen.edges[:, kept][:, :, kept])
    expected = torch.einsum("bgts,bsw->btgw", dense, rows.view(4, n, width)).reshape(-1, width)
    torch.testing.assert_close(found, expected)
    (expected * weights).sum().backward()
    torch.testing.assert_close(sparse, rows.grad)


def test_lists_without_neighbours_are_learned_from() -> None:
    lists = [planted(np.random.default_rng(k), "named", count=1) for k in range(3)]
    for one in lists:
        one.seen.edges[:] = 0
    ranker = fit_ranker(lists, 5, seed=0)
    assert np.isfinite(ranker.scores(lists[0].seen)).all()


def test_a_ranker_goes_into_networks_and_comes_out_the_same() -> None:
    ranker = some_ranker(np.random.default_rng(1), networks=2)
    for name, array in ranking._Networks(ranker).ranker().weights.items():
        np.testing.assert_array_equal(array, ranker.weights[name])


def test_rankers_are_judged_by_what_they_make_of_whole_lists() -> None:
    generator = np.random.default_rng(5)
    rankers = [some_ranker(generator, 1), by_fusion(ranking.WIDTH)]
    lists = [planted(generator, "named", count) for count in (30, ranked_lists.LONGEST + 40) for _ in range(20)]
    gains = ranking._gains(rankers, lists, torch.device("cpu"))
    assert gains.mean(axis=1).tolist() == pytest.approx([mean_gain(ranker, lists) for ranker in rankers])


def test_sources_are_drawn_by_the_root_of_their_size_and_what_is_set_aside_never() -> None:
    lists = [planted(np.random.default_rng(k), "named", source=source) for k, source in enumerate([0] * 4 + [1] * 9)]
    everything, without = ranking._chances(lists, 2)[0], np.ones((1, 13), bool)
    assert everything[:4].sum() / everything[4:].sum() == pytest.approx(2 / 3)
    without[0, 4:] = [True, *[False] * 8]
    assert ranking._chances(lists, 1, without)[0].tolist() == pytest.approx([0.5 / 3] * 4 + [1 / 3] + [0] * 8)


def test_gain_by_hand() -> None:
    """Three labels, of which two are found: one of them twice, which counts once."""
    seen = random_seen(np.random.default_rng(2), 13)
    met = np.full(13, -1)
    met[[0, 2, 3, 12]] = [7, 7, 9, 4]
    one = RankedList(seen, met, 3, 0)
    best = 1 + 1 / np.log2(3) + 1 / np.log2(4)
    assert one.gain(np.arange(13)) == pytest.approx((1 + 1 / np.log2(5)) / best), "the third stands behind ten"
    assert one.gain(np.arange(13)[::-1]) == pytest.approx((1 + 1 / np.log2(11)) / best)
    assert RankedList(seen, np.full(13, -1), 2, 0).gain(np.arange(13)) == 0


@pytest.mark.parametrize("sign", ["named", "dense", "taken"])
def test_it_learns_what_tells_the_right_passage(sign: str) -> None:
    ranker = fit_ranker(lists_of(sign, 80, 0), STEPS, seed=0)
    unseen = lists_of(sign, 60, 1)
    assert mean_gain(by_fusion(), unseen) < 0.7
    assert mean_gain(ranker, unseen) > 0.95


def test_it_learns_from_neighbours_by_messages_alone() -> None:
    """What stands beside the named passage is right; every other feature is chance."""

    def beside(count: int, seed: int) -> list[RankedList]:
        generator = np.random.default_rng(seed)
        lists = []
        for _ in range(count):
            one = planted(generator, "named")
            named = int(np.flatnonzero(one.met >= 0)[0])
            right = (named + 1) % len(one.met)
            edges = np.zeros_like(one.seen.edges)
            edges[EDGES.index("adjacent"), [right, named], [named, right]] = 1
            one.seen.edges[:] = edges
            lists.append(RankedList(one.seen, np.where(np.arange(len(one.met)) == right, 5, -1), 1, 0))
        return lists

    learned, unseen = beside(120, 0), beside(60, 1)
    assert mean_gain(fit_ranker(learned, STEPS, seed=0), unseen) > 0.9
    assert mean_gain(fit_ranker(learned, STEPS, seed=0, messages=False), unseen) < 0.75


def test_the_same_seed_fits_the_same_ranker() -> None:
    lists = lists_of("named", 20, 0)
    first, second, other = (fit_ranker(lists, STEPS, seed) for seed in (3, 3, 4))
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, second.weights[name])
    assert not np.array_equal(first.weights["first"], other.weights["first"])


def test_a_start_is_adapted_where_that_pays() -> None:
    start = fit_ranker(lists_of("named", 6, 2), STEPS, seed=0)
    ranker = fit_ranker(lists_of("named", 100, 0), STEPS, seed=0, start=start)
    unseen = lists_of("named", 60, 1)
    assert mean_gain(ranker, unseen) > mean_gain(start, unseen) + 0.05


def test_a_start_that_cannot_be_bettered_stays() -> None:
    start = fit_ranker(lists_of("named", 80, 0), 2 * STEPS, seed=0)
    again = lists_of("named", 40, 1)
    assert mean_gain(start, again) > 0.99
    assert fit_ranker(again, STEPS, seed=0, start=start) is start


def test_a_few_lists_say_too_little_to_leave_a_start() -> None:
    start = by_fusion(ranking.WIDTH)
    assert fit_ranker(lists_of("named", 2 * FOLDS - 1, 0), STEPS, seed=0, start=start) is start
    assert fit_ranker(lists_of("named", 2, 0), STEPS, seed=0).weights["first"].any(), (
        "without one, they are what there is"
    )


def test_lists_without_a_right_passage_teach_nothing() -> None:
    seen = random_seen(np.random.default_rng(0), 5)
    missed = RankedList(seen, np.full(5, -1), 1, 0)
    with pytest.raises(ValueError, match="there is nothing to rank by"):
        fit_ranker([missed], STEPS, seed=0)
    few = lists_of("named", 10, 0)
    with_missed, without = fit_ranker([*few, missed], STEPS, seed=0), fit_ranker(few, STEPS, seed=0)
    for name, array in without.weights.items():
        np.testing.assert_array_equal(array, with_missed.weights[name])


def test_of_a_long_list_the_best_of_fusion_and_what_is_right_are_learned_from() -> None:
    seen = random_seen(np.random.default_rng(4), ranked_lists.LONGEST + 50)
    worst = int(seen.features[:, AT["fused"]].argmin())
    met = np.full(len(seen.rows), -1)
    met[worst] = 1
    kept = ranked_lists._best(RankedList(seen, met, 1, 0), ranked_lists.LONGEST)
    best = np.argsort(-seen.features[:, AT["fused"]])[: ranked_lists.LONGEST - 1]
    assert kept.tolist() == sorted([*best.tolist(), worst])


def test_what_searches_saw_is_labelled_as_the_questions_are(tiny_run: Path, worlds: list[QuestionWorld]) -> None:
    policy = load_policy(tiny_run)
    heard: list[int] = []
    unlabelled = QuestionWorld(worlds[0].index, worlds[0].view, policy.settings)
    asked = [unlabelled, *worlds[:6]]
    lists = looked_at(policy, asked, {id(worlds[0].index): 3}, lambda stage, done, total: heard.append(done))
    assert heard == [6]
    for one, world in zip(lists, worlds[:6], strict=True):
        right = one.seen.rows[one.met >= 0]
        assert set(right.tolist()) == set(one.met[one.met >= 0].tolist()) <= world.gold
        assert (one.labels, one.source) == (len(world.gold), 3)


def test_of_many_questions_some_of_every_source_are_looked_at(
    tiny_run: Path, worlds: list[QuestionWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranked_lists, "MOST_LISTS", 3)
    lists = looked_at(load_policy(tiny_run), worlds[:8], {id(worlds[0].index): 0})
    assert [one.labels for one in lists] == [len(world.gold) for world in worlds[:8:3]]

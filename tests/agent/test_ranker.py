"""The ranker scores whole lists, by hand and in any order, and what it orders is all that a search has seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.seen import AT, by_fusion, random_seen
from trailhound import EnvironmentSettings, Index, SearchAgent
from trailhound.agent._policy_file import load_policy
from trailhound.agent._ranker import WEIGHTS, Ranker
from trailhound.agent._rollout import search_worlds
from trailhound.envs._seen import EDGES, LATE, SEEN_FEATURES, Seen
from trailhound.envs._world import QuestionWorld
from trailhound.retrievers._fusion import reciprocal_rank_fusion

FEATURES = len(SEEN_FEATURES)


def drawn(
    generator: np.random.Generator, messages: bool = True, width: int = 5, networks: int = 3
) -> dict[str, np.ndarray]:
    inputs = (2 + len(EDGES) * messages) * width
    shapes = ((FEATURES,), (FEATURES,), (FEATURES, width), (width,), (inputs, width), (width,), (width,), ())
    weights = {name: generator.normal(size=(networks, *shape)) for name, shape in zip(WEIGHTS, shapes, strict=True)}
    return weights | {"scale": np.abs(weights["scale"]) + 0.5}


def test_scores_by_hand() -> None:
    """The question names the first passage, and the second stands beside it: the message makes the second best."""
    weights = {name: np.zeros_like(array) for name, array in by_fusion(width=1).weights.items()}
    weights["scale"] += 1
    weights["first"][0, AT["named"], 0] = 1
    weights["second"][0, 2 + EDGES.index("adjacent"), 0] = 2
    weights["out"][0, 0], weights["prior"][0] = 3, 0.5
    features = np.zeros((2, FEATURES), np.float32)
    features[:, AT["named"]], features[:, AT["fused"]] = [1, 0], [-1, -2]
    edges = np.zeros((len(EDGES), 2, 2), np.float32)
    edges[EDGES.index("adjacent"), 1, 0] = 1
    assert Ranker(weights).scores(Seen(np.arange(2), features, edges)).tolist() == [-0.5, 3 * 2 - 1]


def test_several_networks_score_by_their_mean() -> None:
    generator = np.random.default_rng(5)
    weights, seen = drawn(generator), random_seen(generator, 20)
    each = [Ranker({name: array[k : k + 1] for name, array in weights.items()}).scores(seen) for k in range(3)]
    np.testing.assert_allclose(Ranker(weights).scores(seen), np.mean(each, axis=0), rtol=1e-4, atol=1e-4)


def test_without_word_pieces_they_count_as_usual() -> None:
    generator = np.random.default_rng(6)
    ranker, seen = Ranker(drawn(generator, networks=1)), random_seen(generator, 20)
    usual, none = seen.features.copy(), seen.features.copy()
    usual[:, LATE], none[:, LATE] = ranker.weights["mean"][0, LATE], 0
    scores = [ranker.scores(Seen(seen.rows, features, seen.edges)) for features in (usual, none)]
    np.testing.assert_array_equal(*scores)
    assert not np.allclose(scores[0], ranker.scores(seen))
    assert not none[:, LATE].any(), "what was given is not changed"


def test_where_nothing_was_seen_there_are_no_scores() -> None:
    assert by_fusion().scores(random_seen(np.random.default_rng(0), 0)).tolist() == []


@pytest.mark.parametrize("messages", [True, False])
def test_scores_do_not_depend_on_the_order_of_the_passages(messages: bool) -> None:
    generator = np.random.default_rng(1)
    ranker, seen = Ranker(drawn(generator, messages)), random_seen(generator, 30)
    assert ranker.passes_messages is messages
    order = generator.permutation(30)
    other = Seen(seen.rows[order], seen.features[order], seen.edges[:, order][:, :, order])
    np.testing.assert_allclose(ranker.scores(other), ranker.scores(seen)[order], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", WEIGHTS)
def test_arrays_that_do_not_fit_together_are_refused(name: str) -> None:
    weights = drawn(np.random.default_rng(2))
    Ranker(weights)
    with pytest.raises(ValueError, match=r"do not fit together|number of axes"):
        Ranker(weights | {name: np.zeros((3, 4, 2, 6))})
    with pytest.raises(KeyError, match=name):
        Ranker({other: array for other, array in weights.items() if other != name})


def test_everything_that_was_seen_is_ranked_and_nothing_else_changes(
    worlds: list[QuestionWorld], settings: EnvironmentSettings, tiny_run: Path
) -> None:
    """Hybrid's order of both whole lists, with what edges and further queries brought; the takes stay takes."""
    scorer = load_policy(tiny_run).scorer
    asked = worlds[:8]
    ranked = search_worlds(scorer, settings, asked, ranker=by_fusion())
    plain = search_worlds(scorer, settings, asked)
    undone = 0
    for world, outcome, other in zip(asked, ranked, plain, strict=True):
        both = [world.seen(number, ()) for number in world.begins_with]
        listed = {row for hits in both for row in hits.rows.tolist()}
        assert set(outcome.ranking.tolist()) >= listed | set(other.ranking.tolist())
        assert outcome.ranking[:10].tolist() == reciprocal_rank_fusion(both, 10).rows.tolist()
        assert (np.diff(outcome.scores.astype(np.float32)) < 0).all()
        assert (outcome.taken, outcome.recall, outcome.calls) == (other.taken, other.recall, other.calls)
        assert outcome.seen is None
        undone += outcome.taken != set(outcome.ranking[: len(outcome.taken)].tolist())
    assert undone, "hybrid's order does not put all that was taken in front"


def test_what_was_seen_is_kept_where_it_is_asked_for(
    worlds: list[QuestionWorld], settings: EnvironmentSettings, tiny_run: Path
) -> None:
    scorer = load_policy(tiny_run).scorer
    (outcome,) = search_worlds(scorer, settings, worlds[:1], look=True)
    assert outcome.seen is not None
    taken = outcome.seen.rows[outcome.seen.features[:, AT["taken"]] == 1]
    assert set(taken.tolist()) == outcome.taken
    in_view = outcome.seen.rows[outcome.seen.features[:, AT["in_view"]] == 1]
    assert sorted(outcome.ranking.tolist()) == in_view.tolist(), "without a ranker, what came into view is ranked"


def test_an_agent_gives_as_many_passages_as_are_asked_for(small_index: Index, tiny_run: Path) -> None:
    """Also more than ever came into view: the lists are deep."""
    result = SearchAgent(small_index, tiny_run).search("Who founded the harbour?", limit=60)
    assert len(result.evidence) == 60

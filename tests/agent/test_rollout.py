"""Greedy searches: the same whoever searches beside them, ranked without ties, and paid for as played."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from trailhound import EnvironmentSettings, Index
from trailhound.agent._network import PolicyNetwork, as_tensors
from trailhound.agent._network_settings import NetworkSettings
from trailhound.agent._policy_file import load_policy
from trailhound.agent._rollout import SIGNALS, Outcome, best_action, search_worlds, strictly_decreasing
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION, ActionLayout

FEW = 20


@pytest.fixture(scope="module")
def network(tiny_run: Path) -> PolicyNetwork:
    return load_policy(tiny_run).network


@pytest.fixture(scope="module")
def asked(worlds: list[QuestionWorld]) -> list[QuestionWorld]:
    return worlds[:FEW]


@pytest.fixture(scope="module")
def outcomes(network: PolicyNetwork, settings: EnvironmentSettings, asked: list[QuestionWorld]) -> list[Outcome]:
    return search_worlds(network, settings, asked, lanes=8)


def fresh(small_index: Index, corpus_folder: Path, settings: EnvironmentSettings) -> list[QuestionWorld]:
    """Return worlds that no episode has explored."""
    questions = QuestionSet.load(small_index, corpus_folder, "train", settings)
    return [questions.world(number) for number in range(FEW)]


@pytest.mark.parametrize("lanes", [1, 3, 64])
def test_lanes_change_nothing_but_the_time(
    lanes: int,
    network: PolicyNetwork,
    settings: EnvironmentSettings,
    small_index: Index,
    corpus_folder: Path,
    outcomes: list[Outcome],
) -> None:
    others = search_worlds(network, settings, fresh(small_index, corpus_folder, settings), lanes=lanes)
    for outcome, other in zip(outcomes, others, strict=True):
        assert outcome.ranking.tolist() == other.ranking.tolist()
        assert [decision.kind for decision in outcome.decisions] == [decision.kind for decision in other.decisions]
        assert (outcome.taken, outcome.calls) == (other.taken, other.calls)
        np.testing.assert_allclose(outcome.scores, other.scores, atol=1e-5)


def test_no_worlds_have_no_outcomes(network: PolicyNetwork, settings: EnvironmentSettings) -> None:
    assert search_worlds(network, settings, []) == []


def test_the_reward_is_that_of_the_same_actions_played_again(
    outcomes: list[Outcome], settings: EnvironmentSettings, asked: list[QuestionWorld], network: PolicyNetwork
) -> None:
    actions: list[list[int]] = []

    def note(batch: SearchBatch, lane: int, action: int) -> tuple[str, str]:
        actions[-1].append(action)
        return "", ""

    for world, outcome in zip(asked, outcomes, strict=True):
        actions.append([])
        search_worlds(network, settings, [world], lanes=1, explain=note)
        batch = SearchBatch(settings, 1, network.settings.question_dimension)
        batch.start([0], [world])
        played = [batch.act(0, action) for action in actions[-1]]
        assert [ended for _, ended in played] == [False] * (len(played) - 1) + [True]
        assert outcome.total_reward == pytest.approx(sum(reward for reward, _ in played), abs=1e-9)
        assert outcome.calls == batch.lane(0).calls


def test_the_reward_is_recall_less_the_price_of_every_action(
    outcomes: list[Outcome], settings: EnvironmentSettings, asked: list[QuestionWorld]
) -> None:
    for outcome, world in zip(outcomes, asked, strict=True):
        kinds = [decision.kind for decision in outcome.decisions]
        taken = [row for row in outcome.ranking.tolist() if row in outcome.taken]
        assert len(taken) == kinds.count("take")
        assert outcome.recall == pytest.approx(len(world.gold.intersection(taken)) / len(world.gold))
        assert outcome.calls == kinds.count("expand") + kinds.count("hop")
        cheapest = settings.expand_entity_ms * outcome.calls + settings.take_ms * len(taken)
        dearest = settings.expand_dense_ms * outcome.calls + settings.take_ms * len(taken)
        price = outcome.recall - outcome.total_reward
        assert cheapest * settings.price_per_ms - 1e-9 <= price <= dearest * settings.price_per_ms + 1e-9


def test_the_ranking_is_the_evidence_as_taken_then_all_else_that_came_into_view_once(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        ranking = outcome.ranking.tolist()
        taken = [decision.rows[0] for decision in outcome.decisions if decision.kind == "take"]
        assert ranking[: len(taken)] == taken
        assert set(taken) == outcome.taken
        brought = [row for d in outcome.decisions if d.kind in {"expand", "hop"} for row in d.rows]
        assert sorted(ranking) == sorted(brought), "what a step brought is what was not in view before"
        assert len(set(ranking)) == len(ranking)
        assert (np.diff(outcome.scores.astype(np.float32)) < 0).all()
        assert len(outcome.scores) == len(ranking)


def test_every_decision_is_the_most_probable_one(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        for decision in outcome.decisions:
            assert 0 < decision.probability <= 1
        assert [(begun.kind, begun.probability) for begun in outcome.decisions[:2]] == [("expand", 1.0)] * 2
    assert any(len(outcome.taken) >= 2 for outcome in outcomes), "the tiny policy has learned to take evidence"


def test_finished_episodes_are_counted_one_by_one(
    network: PolicyNetwork, settings: EnvironmentSettings, asked: list[QuestionWorld]
) -> None:
    heard: list[int] = []
    search_worlds(network, settings, iter(asked[:7]), lanes=3, done=heard.append)
    assert heard == [1, 2, 3, 4, 5, 6, 7]


def test_an_episode_out_of_steps_is_ranked_with_what_came_last_at_the_end(
    small_index: Index, corpus_folder: Path
) -> None:
    hurried = EnvironmentSettings(max_steps=1, max_candidates=30)
    world = QuestionSet.load(small_index, corpus_folder, "train", hurried).world(0)
    (outcome,) = search_worlds(biased("operator", hurried), hurried, [world], lanes=1)
    lexical, dense, decision = outcome.decisions
    assert decision.kind == "expand"
    assert len(decision.rows)
    assert sorted(outcome.ranking[: -len(decision.rows)].tolist()) == sorted(lexical.rows + dense.rows)
    assert outcome.ranking[-len(decision.rows) :].tolist() == list(decision.rows), "nobody scored them"
    assert (np.diff(outcome.scores.astype(np.float32)) < 0).all()


@given(st.lists(st.floats(0, 2, width=64), max_size=60))
def test_scores_are_lowered_just_enough_to_have_no_ties(scores: list[float]) -> None:
    falling = np.array(sorted(scores, reverse=True), np.float64)
    out = strictly_decreasing(falling)
    assert (np.diff(out) < 0).all()
    assert (np.diff(out.astype(np.float32)) < 0).all(), "trec_eval compares float32"
    assert (out <= falling).all()
    np.testing.assert_allclose(out, falling, atol=1e-4)


def test_scores_that_fall_already_are_kept() -> None:
    scores = np.array([2.0, 1.5, 0.75, 0.5, 0.0])
    assert strictly_decreasing(scores).tolist() == scores.tolist()
    assert strictly_decreasing(np.zeros(0)).tolist() == []


def test_ties_are_the_next_numbers_below() -> None:
    first, second, third = strictly_decreasing(np.array([1.0, 1.0, 1.0])).tolist()
    assert (first, second, third) == (1.0, 1 - 2**-24, 1 - 2**-23)


def biased(kind: str, settings: EnvironmentSettings) -> PolicyNetwork:
    """An untrained network that prefers one kind of action."""
    torch.manual_seed(0)
    network = PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16)).eval()
    head = {"stop": network.stop_score, "take": network.take_score, "operator": network.operator_score}[kind]
    with torch.no_grad():
        head.bias.fill_(50.0)
    return network


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("kind", ["stop", "take", "operator"])
@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_whatever_the_policy_prefers_the_ranking_is_whole(
    worlds: list[QuestionWorld], kind: str, steps: int, everything: bool
) -> None:
    settings = EnvironmentSettings(max_steps=steps, max_candidates=20, expand_everything=everything)
    for world in worlds[:5]:
        world = QuestionWorld(world.index, world.view, settings, world.gold)
        outcome = search_worlds(biased(kind, settings), settings, [world], 2)[0]
        assert len(outcome.ranking) == len(set(outcome.ranking.tolist())) == len(outcome.scores)
        assert (np.diff(outcome.scores.astype(np.float32)) < 0).all()
        taken = [decision.rows[0] for decision in outcome.decisions if decision.kind == "take"]
        assert outcome.ranking[: len(taken)].tolist() == taken
        begun = 0 if everything else len(world.begins_with)
        assert len(outcome.decisions) <= begun + steps


def test_the_frontier_is_ranked_by_the_last_scores_and_what_came_too_late_stands_last(
    worlds: list[QuestionWorld],
) -> None:
    """Operators until the steps run out: the last one's passages were never seen by the policy."""
    settings = EnvironmentSettings(max_steps=3, max_candidates=40)
    network = biased("operator", settings)
    late = 0
    for world in worlds[:8]:
        world = QuestionWorld(world.index, world.view, settings, world.gold)
        outcome = search_worlds(network, settings, [world], 1)[0]
        brought = [decision.rows for decision in outcome.decisions]
        assert len(brought) == 2 + 3
        seen = [row for rows in brought[:4] for row in rows]
        assert outcome.ranking[len(seen) :].tolist() == list(brought[4])
        late += len(brought[4])
        batch = SearchBatch(settings, 1, len(QUESTION))
        batch.start([0], [world])
        actions = [_action_of(network, batch) for _ in range(2)]
        assert all(1 <= action < batch.layout.take for action in actions)
        with torch.inference_mode():
            logits, _ = network.scores(as_tensors(batch.observation))
        takes = logits[0, batch.layout.take :][: len(seen)].numpy()
        rows = batch.observation["candidate_rows"][0]
        assert outcome.ranking[: len(seen)].tolist() == [rows[slot] for slot in np.argsort(-takes, kind="stable")]
    assert late


def _action_of(network: PolicyNetwork, batch: SearchBatch) -> int:
    with torch.inference_mode():
        log_probabilities, _ = network(as_tensors(batch.observation), torch.from_numpy(batch.mask))
    action = best_action(log_probabilities[0].exp().double().numpy(), batch.layout)
    batch.act(0, action)
    return action


def test_drawn_searches_follow_the_policys_probabilities(
    network: PolicyNetwork, settings: EnvironmentSettings, asked: list[QuestionWorld], outcomes: list[Outcome]
) -> None:
    first = outcomes[0].decisions[2]  # after what every search begins with
    times = 400
    drawn = search_worlds(network, settings, [asked[0]] * times, draw=np.random.default_rng(0))
    kinds = [(outcome.decisions[2].kind, outcome.decisions[2].rows) for outcome in drawn]
    share = kinds.count((first.kind, first.rows)) / times
    assert share == pytest.approx(first.probability, abs=3 * (0.25 / times) ** 0.5)
    again = search_worlds(network, settings, [asked[0]] * times, draw=np.random.default_rng(0))
    assert [outcome.total_reward for outcome in again] == [outcome.total_reward for outcome in drawn]


def test_signals_are_of_the_end_of_the_search(
    network: PolicyNetwork, settings: EnvironmentSettings, outcomes: list[Outcome]
) -> None:
    at = {name: k for k, name in enumerate(SIGNALS)}
    for outcome in outcomes:
        signals = outcome.signals
        last = outcome.decisions[-1]
        takes = [decision.probability for decision in outcome.decisions if decision.kind == "take"]
        assert len(takes) == len(outcome.taken)
        assert signals[at["evidence"]] == pytest.approx(len(outcome.taken) / settings.max_evidence)
        assert signals[at["weakest_take"]] == pytest.approx(max(np.log(min(takes, default=1)), -6))
        if last.kind == "stop":
            assert 1 / (1 + np.exp(-signals[at["stop"]])) == pytest.approx(last.probability, abs=1e-3)
            assert np.exp(signals[at["best_left"]]) <= 1 - last.probability + 1e-5
        else:
            assert signals[at["best_left"]] == pytest.approx(-12)
        assert -1e-6 <= signals[at["uncovered"]] <= 1
        if not takes:
            assert signals[at["uncovered"]] == 1


def test_equally_right_actions_count_together() -> None:
    layout = ActionLayout(max_evidence=1, max_candidates=3)
    chances = np.zeros(layout.size)
    chances[0] = 0.4
    chances[[1, 2, 4]] = [0.15, 0.25, 0.1]  # to ask: 0.5 in all
    chances[layout.take] = 0.1
    assert best_action(chances, layout) == 2
    chances[layout.take : layout.take + 3] = [0.2, 0.21, 0.2]  # to take: 0.61
    assert best_action(chances, layout) == layout.take + 1
    chances[0] = 0.7
    assert best_action(chances, layout) == 0


def test_a_hop_counts_with_what_is_asked_and_not_with_what_is_taken() -> None:
    layout = ActionLayout(max_evidence=1, max_candidates=3)
    chances = np.zeros(layout.size)
    chances[[0, 1, layout.hop, layout.take]] = [0.42, 0.2, 0.25, 0.13]  # to ask 0.45, to take 0.13
    assert best_action(chances, layout) == layout.hop
    chances[[0, 1, layout.hop, layout.take]] = [0.4, 0.04, 0.24, 0.32]  # to stop 0.4, to ask 0.28, to take 0.32
    assert best_action(chances, layout) == 0

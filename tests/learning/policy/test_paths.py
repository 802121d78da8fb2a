"""Paths as training data: each is counted once, stands where it should, and ends with what the labels say."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork, as_tensors
from trailhound.agent._network_settings import NetworkSettings
from trailhound.envs._batch import SearchBatch
from trailhound.envs._lane import Lane
from trailhound.envs._vector_env import coverage_log_likelihood
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION
from trailhound.learning.policy._paths import Path, Steps, distinct, path_loss, paths_from_beam, paths_from_labels


def network() -> PolicyNetwork:
    torch.manual_seed(0)
    return PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16)).eval()


def test_the_same_actions_twice_are_one_path() -> None:
    actions = np.array([3, 9, 0, 3, 9, 0, 3, 0])
    paths = [
        Path(4, np.array([0, 1, 2]), -1.0),
        Path(4, np.array([3, 4, 5]), -1.0),
        Path(4, np.array([6, 7]), -2.0),
        Path(7, np.array([3, 4, 5]), -3.0),
        Path(9, np.array([], np.int64), -4.0),
    ]
    grouped = distinct(paths, actions)
    assert {question: sorted(path.steps.tolist() for path in group) for question, group in grouped.items()} == {
        4: [[0, 1, 2], [6, 7]],
        7: [[3, 4, 5]],
    }
    assert distinct([], actions) == {}


def test_of_a_path_and_its_beginning_the_longer_one_counts() -> None:
    actions = np.array([3, 9, 12, 3, 9, 3, 3, 12])
    paths = [
        Path(1, np.array([3, 4]), -2.0),
        Path(1, np.array([0, 1, 2]), -1.0),
        Path(1, np.array([5]), -3.0),
        Path(1, np.array([6, 7]), -2.0),
    ]
    assert {tuple(path.steps.tolist()) for path in distinct(paths, actions)[1]} == {(0, 1, 2), (6, 7)}


def test_paths_from_labels_can_be_walked_again(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    """The same actions lead through the same states to the evidence that the path's likelihood speaks of."""
    questions = [5, 0, 11]
    steps, paths = paths_from_labels(network(), worlds, questions, settings, np.random.default_rng(0))
    assert [path.question for path in paths] == questions
    for path in paths:
        state = walked(path, steps, worlds[path.question], settings)
        assert state.found_gold == len(state.world.gold), "the labelled evidence of the small corpus is in reach"


def walked(path: Path, steps: Steps, world: QuestionWorld, settings: EnvironmentSettings) -> Lane:
    """Walk a path again: it sees the same states, and ends by taking what makes its evidence worth most."""
    batch = SearchBatch(settings, 1, len(QUESTION))
    batch.start([0], [world])
    for step in path.steps.tolist():
        for name, array in batch.observation.items():
            np.testing.assert_array_equal(steps.observation[name][step], array[0], err_msg=name)
        np.testing.assert_array_equal(steps.masks[step], batch.mask[0])
        assert steps.masks[step, steps.actions[step]]
        found = batch.lane(0).found_gold
        batch.act(0, int(steps.actions[step]))
    state = batch.lane(0)
    if len(path.steps):
        assert state.found_gold == found + 1
    assert path.log_reader == coverage_log_likelihood(state.found_gold, len(world.gold) - state.found_gold)
    return state


def enumerated(
    policy: PolicyNetwork, world: QuestionWorld, settings: EnvironmentSettings
) -> dict[tuple[int, ...], tuple[float, int]]:
    """List every episode with its log-probability and the step of its last supporting passage."""
    found: dict[tuple[int, ...], tuple[float, int]] = {}
    batch = SearchBatch(settings, 1, len(QUESTION))

    def follow(actions: tuple[int, ...]) -> None:
        batch.start([0], [world])
        total, ended, last = 0.0, False, 0
        for number, action in enumerate(actions):
            total += scores(batch)[action]
            before = batch.lane(0).found_gold
            _, ended = batch.act(0, action)
            last = number + 1 if batch.lane(0).found_gold > before else last
        if ended:
            found[actions] = (total, last)
            return
        for action in np.flatnonzero(batch.mask[0]).tolist():
            follow((*actions, action))

    def scores(batch: SearchBatch) -> list[float]:
        with torch.no_grad():
            chances, _ = policy(as_tensors(batch.observation), torch.from_numpy(batch.mask))
        return [float(value) for value in chances[0]]

    follow(())
    return found


def test_a_wide_beam_finds_the_most_probable_paths_of_all(
    worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """Against enumeration: with a beam as wide as there are first steps, nothing can be lost on two steps."""
    short = replace(settings, max_steps=2)
    policy = network()
    questions = [4, 9]
    width = 20
    steps, paths = paths_from_beam(policy, worlds, questions, short, width)
    for question in questions:
        expected = enumerated(policy, worlds[question], short)
        assert len({path[0] for path in expected}) <= width
        best = sorted(expected, key=lambda path: -expected[path][0])[:width]
        ours = [tuple(steps.actions[path.steps].tolist()) for path in paths if path.question == question]
        assert ours == [path[: expected[path][1]] for path in best]
    assert any(len(path.steps) for path in paths)


def test_beamed_paths_can_be_walked_again(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    """Copied lanes are searches of their own: every state is the one that the path's own actions lead to."""
    questions = list(range(8))
    policy = network()
    torch.nn.init.constant_(policy.stop_score.bias, -9.0)  # or it would stop before it has found anything
    torch.nn.init.constant_(policy.take_score.bias, 2.0)  # and a path reaches as far as what it takes
    steps, paths = paths_from_beam(policy, worlds, questions, settings, width=3)
    for path in paths:
        walked(path, steps, worlds[path.question], settings)
    assert any(len(path.steps) for path in paths)


def test_the_generator_decides_among_right_actions(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    def drawn(seed: int) -> list[int]:
        steps, _ = paths_from_labels(network(), worlds, range(20), settings, np.random.default_rng(seed))
        return [int(action) for action in steps.actions]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_loss_of_paths_by_hand(states: Steps) -> None:
    """Two questions, the first with two paths: sums of the steps' log-probabilities, then log of the sum."""
    policy = network()
    paths = {
        3: [Path(3, np.array([0, 12, 20]), -0.5), Path(3, np.array([1]), -0.1)],
        8: [Path(8, np.array([2, 5]), -2.0)],
    }
    with torch.no_grad():
        log_probabilities, _ = policy(as_tensors(states.observation), torch.from_numpy(states.masks))
    step = log_probabilities.numpy()[np.arange(len(states.actions)), states.actions].tolist()
    first = -log(exp(step[0] + step[12] + step[20] - 0.5) + exp(step[1] - 0.1))
    second = -(step[2] + step[5] - 2.0)
    both = path_loss(policy, states, paths, [3, 8])
    assert both.loss.item() == pytest.approx((first + second) / 2, rel=1e-5)
    assert path_loss(policy, states, paths, [8]).loss.item() == pytest.approx(second, rel=1e-5)
    assert path_loss(policy, states, paths, [8]).effective_paths == 1


def test_learning_lowers_the_loss_and_raises_the_probability_of_good_paths(
    worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """With a good path and one that hardly leads to the answer for every question, the good one wins."""
    questions = list(range(6))
    good, paths = paths_from_labels(network(), worlds, questions, settings, np.random.default_rng(0))
    batch = SearchBatch(settings, len(questions), len(QUESTION))
    for lane, question in enumerate(questions):
        batch.start([lane], [worlds[question]])
    stops = Steps(batch.observation, batch.mask, np.zeros(len(questions), np.int64))
    steps = good.joined(stops)
    paths += [Path(question, np.array([len(good.actions) + question]), -20.0) for question in questions]
    grouped = distinct(paths, steps.actions)
    policy = network()
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    losses = []
    for _ in range(80):
        loss = path_loss(policy, steps, grouped, questions)
        losses.append(loss.loss.item())
        optimizer.zero_grad()
        loss.loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    with torch.no_grad():
        log_probabilities, _ = policy(as_tensors(stops.observation), torch.from_numpy(stops.masks))
    assert log_probabilities[:, 0].exp().max() < 0.2

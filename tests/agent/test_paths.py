"""Paths as training data: each is counted once, stands where it should, and ends with what the labels say."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings
from trailhound.agent.network import NetworkSettings, PolicyNetwork
from trailhound.agent.path_likelihood import coverage_log_likelihood
from trailhound.agent.paths import Path, Steps, distinct, path_loss, paths_from_beam, paths_from_labels
from trailhound.agent.rollout import as_tensors
from trailhound.envs.batch import SearchBatch
from trailhound.envs.world import QuestionWorld


def network() -> PolicyNetwork:
    torch.manual_seed(0)
    return PolicyNetwork(NetworkSettings(64, question_width=8, width=16)).eval()


def test_the_same_actions_twice_are_one_path() -> None:
    actions = np.array([3, 9, 0, 3, 9, 0, 3, 0])
    paths = [
        Path(4, np.array([0, 1, 2]), -1.0),
        Path(4, np.array([3, 4, 5]), -1.0),
        Path(4, np.array([6, 7]), -2.0),
        Path(7, np.array([3, 4, 5]), -3.0),
    ]
    grouped = distinct(paths, actions)
    assert {question: [path.steps.tolist() for path in group] for question, group in grouped.items()} == {
        4: [[0, 1, 2], [6, 7]],
        7: [[3, 4, 5]],
    }
    assert distinct([], actions) == {}


def test_paths_from_labels_can_be_walked_again(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    """The same actions lead through the same states to the evidence that the path's likelihood speaks of."""
    questions = [5, 0, 11]
    steps, paths = paths_from_labels(worlds, questions, settings, 64, np.random.default_rng(0))
    assert [path.question for path in paths] == questions
    assert sorted(np.concatenate([path.steps for path in paths]).tolist()) == list(range(len(steps.actions)))
    batch = SearchBatch(settings, 1, 64)
    for path in paths:
        world = worlds[path.question]
        batch.start(0, world)
        for number, step in enumerate(path.steps.tolist()):
            for name, array in batch.observation.items():
                np.testing.assert_array_equal(steps.observation[name][step], array[0], err_msg=name)
            np.testing.assert_array_equal(steps.masks[step], batch.mask[0])
            assert steps.masks[step, steps.actions[step]]
            _, ended = batch.act(0, int(steps.actions[step]))
            assert ended == (number == len(path.steps) - 1)
        found = batch.lane(0).found_gold
        assert path.log_reader == coverage_log_likelihood(found, len(world.gold) - found)


def enumerated(
    policy: PolicyNetwork, world: QuestionWorld, settings: EnvironmentSettings
) -> dict[tuple[int, ...], float]:
    """List every path of at most two steps with its log-probability, each walked from the beginning."""
    found: dict[tuple[int, ...], float] = {}
    batch = SearchBatch(settings, 1, 64)

    def follow(actions: tuple[int, ...]) -> None:
        batch.start(0, world)
        total, ended = 0.0, False
        for action in actions:
            total += scores(batch)[action]
            _, ended = batch.act(0, action)
        if ended:
            found[actions] = total
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
    steps, paths = paths_from_beam(policy, worlds, questions, short, width=12)
    for question in questions:
        expected = enumerated(policy, worlds[question], short)
        best = sorted(expected, key=lambda path: -expected[path])[:12]
        ours = [tuple(steps.actions[path.steps].tolist()) for path in paths if path.question == question]
        assert len(set(ours)) == len(ours) == min(12, len(expected))
        np.testing.assert_allclose([expected[path] for path in ours], [expected[path] for path in best], atol=1e-4)


def test_beamed_paths_can_be_walked_again(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    """Copied lanes are searches of their own: every state is the one that the path's own actions lead to."""
    steps, paths = paths_from_beam(network(), worlds, [2, 7], settings, width=3)
    batch = SearchBatch(settings, 1, 64)
    for path in paths:
        batch.start(0, worlds[path.question])
        for number, step in enumerate(path.steps.tolist()):
            for name, array in batch.observation.items():
                np.testing.assert_array_equal(steps.observation[name][step], array[0], err_msg=name)
            np.testing.assert_array_equal(steps.masks[step], batch.mask[0])
            _, ended = batch.act(0, int(steps.actions[step]))
            assert ended == (number == len(path.steps) - 1)
        state = batch.lane(0)
        assert path.log_reader == coverage_log_likelihood(state.found_gold, len(state.world.gold) - state.found_gold)


def test_the_generator_decides_among_right_actions(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    def drawn(seed: int) -> list[int]:
        steps, _ = paths_from_labels(worlds, range(20), settings, 64, np.random.default_rng(seed))
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
    good, paths = paths_from_labels(worlds, questions, settings, 64, np.random.default_rng(0))
    batch = SearchBatch(settings, len(questions), 64)
    for lane, question in enumerate(questions):
        batch.start(lane, worlds[question])
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

"""Wandering in the warm start: operators drawn at random, legal ones only, and only as often as told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION
from trailhound.learning.policy._imitation import _wander, imitate_epoch


def test_it_draws_each_legal_operator_alike_and_never_stop() -> None:
    """STOP and operators 1 and 4 are legal: half of the actions become 1, half become 4."""
    operators = np.tile(np.array([True, True, False, False, True]), (4000, 1))
    actions = np.full(4000, 30)
    _wander(actions, operators, 1.0, np.random.default_rng(0))
    assert set(actions.tolist()) == {1, 4}
    assert (actions == 1).mean() == pytest.approx(0.5, abs=0.03)


def test_it_replaces_as_many_actions_as_told() -> None:
    operators = np.ones((4000, 3), np.bool_)
    for probability in (0.0, 0.3):
        actions = np.full(4000, 30)
        _wander(actions, operators, probability, np.random.default_rng(0))
        assert (actions != 30).mean() == pytest.approx(probability, abs=0.03)


def test_where_no_operator_is_legal_nothing_changes() -> None:
    operators = np.array([[True, False, False], [True, False, True]])
    actions = np.array([7, 7])
    _wander(actions, operators, 1.0, np.random.default_rng(0))
    assert actions.tolist() == [7, 2]


def gradient_steps(worlds: list[QuestionWorld], wander: float, wide_share: float = 0.0) -> int:
    """Return the length of the longest of the episodes, which run side by side, of questions without an answer."""
    settings = EnvironmentSettings(max_steps=4)
    aimless = [QuestionWorld(world.index, world.view, settings) for world in worlds]
    torch.manual_seed(0)
    network = PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    generator = np.random.default_rng(0)
    loss = imitate_epoch(network, optimizer, settings, aimless, 0.0, generator, len(worlds), wide_share, wander)
    assert np.isfinite(loss)
    return int(next(iter(optimizer.state.values()))["step"])


def test_an_episode_wanders_only_when_told(worlds: list[QuestionWorld]) -> None:
    """The expert would stop at once; who wanders always asks on to the last step, unless all has been asked already."""
    assert gradient_steps(worlds[:5], wander=0.0) == 1
    assert gradient_steps(worlds[:5], wander=1.0) == 4
    assert gradient_steps(worlds[:5], wander=1.0, wide_share=1.0) == 1

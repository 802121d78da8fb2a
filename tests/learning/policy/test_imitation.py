"""Warm start: the order-free loss, and that imitation makes a better policy."""

from __future__ import annotations

from copy import deepcopy
from math import log

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork, as_tensors
from trailhound.agent._network_settings import NetworkSettings
from trailhound.envs._batch import SearchBatch
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION
from trailhound.learning.policy._imitation import expert_actions, imitate_epoch
from trailhound.learning.policy._validation import validate


def made(seed: int = 0, dropout: float = 0.0) -> PolicyNetwork:
    torch.manual_seed(seed)
    return PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16, dropout=dropout))


@pytest.mark.parametrize("wide", [0.0, 1.0])
def test_the_loss_of_a_state_is_minus_the_log_of_the_chance_of_any_right_action(
    worlds: list[QuestionWorld], wide: float
) -> None:
    """Episodes of one step, weights that do not learn: the loss is that of the first states, by hand."""
    settings = EnvironmentSettings(max_steps=1, max_candidates=30)
    network = made().eval()
    still = torch.optim.SGD(network.parameters(), lr=0.0)
    first = worlds[:4]
    loss = imitate_epoch(network, still, settings, first, 0.0, np.random.default_rng(0), 4, wide)

    batch = SearchBatch(settings, 4, len(QUESTION))
    for lane, world in enumerate(first):
        batch.start([lane], [world], [bool(wide)])
    right = expert_actions(batch, range(4))
    if wide:
        assert any(good.sum() > 1 for good in right), "several passages are in view, and any may be taken first"
    with torch.no_grad():
        log_probabilities, _ = network(as_tensors(batch.observation), torch.from_numpy(batch.mask))
    chances = [float(log_probabilities[lane].exp().numpy()[good].sum()) for lane, good in enumerate(right)]
    assert loss == pytest.approx(-np.mean([log(chance) for chance in chances]), rel=1e-5)


def test_imitation_raises_the_validation_return(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> None:
    network = made()
    train, held_out = worlds[:26], worlds[26:]
    before = validate(network, settings, held_out)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    generator = np.random.default_rng(0)
    losses = [imitate_epoch(network, optimizer, settings, train, 0.0, generator, lanes=8) for _ in range(6)]
    after = validate(network, settings, held_out)
    assert losses[-1] < 0.6 * losses[0]
    assert after["return"] > before["return"] + 0.2
    assert after["score"] > before["score"]


def test_the_same_generator_gives_the_same_weights_and_another_gives_others(
    worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    def learned(seed: int) -> torch.Tensor:
        network = made(dropout=0.2)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        torch.manual_seed(0)
        imitate_epoch(network, optimizer, settings, worlds[:8], 0.5, np.random.default_rng(seed), 4, 0.5)
        return network.take_candidate.weight.detach()

    assert torch.equal(learned(1), learned(1))
    assert not torch.equal(learned(1), learned(2))


@pytest.mark.parametrize("lanes", [1, 3, 50])
def test_every_question_is_searched_once(
    worlds: list[QuestionWorld], settings: EnvironmentSettings, lanes: int
) -> None:
    network = made()
    heard: list[int] = []
    still = torch.optim.SGD(network.parameters(), lr=0.0)
    weights = deepcopy(network.state_dict())
    imitate_epoch(network, still, settings, worlds[:7], 1.0, np.random.default_rng(0), lanes, done=heard.append)
    assert heard == [1, 2, 3, 4, 5, 6, 7]
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert network.training


def test_wide_episodes_choose_among_all_that_can_be_asked(
    worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """With every episode wide there is nothing left to ask: an operator never becomes more likely."""
    network = made()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    before = network.operator.weight.detach().clone()
    optimizer.param_groups[0]["weight_decay"] = 0.0
    imitate_epoch(network, optimizer, settings, worlds[:6], 0.0, np.random.default_rng(0), 6, 1.0)
    torch.testing.assert_close(network.operator.weight.detach(), before, atol=1e-4, rtol=0)


def test_the_policy_acts_itself_as_often_as_was_said(
    worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """A policy that would always stop: left to itself its episodes have one step, led by the expert they go on."""

    def steps(own_share: float) -> int:
        network = made()
        torch.nn.init.constant_(network.stop_score.bias, 50.0)
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.0, weight_decay=0.0)
        imitate_epoch(network, optimizer, settings, worlds[:6], own_share, np.random.default_rng(0), lanes=1)
        return int(optimizer.state[network.stop_score.bias]["step"])

    assert steps(1.0) == 6
    assert 6 < steps(0.5) < steps(0.0)

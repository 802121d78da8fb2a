"""The policy as sb3-contrib sees it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork, as_tensors
from trailhound.agent._network_settings import NetworkSettings
from trailhound.envs._vector_env import SearchVecEnv
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION
from trailhound.learning.policy._paths import Steps
from trailhound.learning.policy._ppo import SearchPolicy


@pytest.fixture
def policy(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> SearchPolicy:
    env = SearchVecEnv(worlds, settings, len(QUESTION), 2, 1)
    torch.manual_seed(0)
    network = PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16))
    made = SearchPolicy(env.observation_space, env.action_space, lambda _: 1e-3, network=network, weight_decay=0.1)
    made.set_training_mode(False)
    return made


def test_it_holds_the_network_it_was_given_and_nothing_else(policy: SearchPolicy) -> None:
    assert {name.split(".")[0] for name, _ in policy.named_parameters()} == {"network"}
    group = policy.optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (1e-3, 0.1)
    assert sum(weight.numel() for weight in group["params"]) == sum(p.numel() for p in policy.network.parameters())


def test_actions_are_drawn_by_their_probability_and_are_legal(policy: SearchPolicy, states: Steps) -> None:
    one = as_tensors({name: np.repeat(array[5:6], 4000, axis=0) for name, array in states.observation.items()})
    mask = np.repeat(states.masks[5:6], 4000, axis=0)
    torch.manual_seed(0)
    with torch.no_grad():
        actions, values, chosen = policy(one, action_masks=mask)
        log_probabilities, value = policy.network(one, torch.from_numpy(mask))
    assert values.shape == (4000, 1)
    torch.testing.assert_close(values[:, 0], value)
    assert states.masks[5][actions.numpy()].all()
    torch.testing.assert_close(chosen, log_probabilities[torch.arange(4000), actions])
    frequency = np.bincount(actions.numpy(), minlength=mask.shape[1]) / 4000
    np.testing.assert_allclose(frequency, log_probabilities[0].exp().numpy(), atol=0.03)


def test_evaluating_actions_agrees_with_choosing_them(policy: SearchPolicy, states: Steps) -> None:
    observation, masks = as_tensors(states.observation), torch.from_numpy(states.masks)
    with torch.no_grad():
        actions, values, chosen = policy(observation, deterministic=True, action_masks=states.masks)
        again, log_probabilities, entropy = policy.evaluate_actions(observation, actions, masks.float())
        assert torch.equal(policy.predict_values(observation), values)
    torch.testing.assert_close(again, values[:, 0])
    torch.testing.assert_close(log_probabilities, chosen)
    assert (entropy >= 0).all()
    assert (entropy <= torch.log(masks.sum(dim=1).float()) + 1e-5).all()


def test_predict_of_stable_baselines(policy: SearchPolicy, states: Steps) -> None:
    many = {name: array[:6].copy() for name, array in states.observation.items()}
    actions, _ = policy.predict(many, deterministic=True, action_masks=states.masks[:6])
    assert actions.shape == (6,)
    one, _ = policy.predict(
        {name: array[2].copy() for name, array in states.observation.items()},
        deterministic=True,
        action_masks=states.masks[2:3],
    )
    assert one == actions[2]
    anything, _ = policy.predict(many, deterministic=True)
    assert anything.shape == (6,), "without a mask every action counts as legal"

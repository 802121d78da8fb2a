"""PPO with the marginal likelihood in the loss: against sb3-contrib, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.logger import Logger
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork, as_tensors
from trailhound.agent._network_settings import NetworkSettings
from trailhound.envs._vector_env import SearchVecEnv
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION
from trailhound.learning.policy._paths import Steps, path_loss
from trailhound.learning.policy._ppo import SearchPolicy, SearchPPO

Weights = dict[str, torch.Tensor]
Make = Callable[..., SearchPPO]


def environment(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> SearchVecEnv:
    return SearchVecEnv(worlds[:8], settings, len(QUESTION), lanes=4, repeats=2)


def network(dropout: float = 0.0) -> PolicyNetwork:
    torch.manual_seed(0)
    return PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16, dropout=dropout))


ARGUMENTS: dict[str, Any] = {
    "n_steps": 16,
    "batch_size": 64,
    "n_epochs": 2,
    "learning_rate": 1e-3,
    "gamma": 1.0,
    "gae_lambda": 0.9,
    "clip_range": 0.2,
    "ent_coef": 0.01,
    "vf_coef": 0.5,
    "device": "cpu",
}


@pytest.fixture
def make(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> Make:
    def made(beta: float, dropout: float = 0.0, **changes: Any) -> SearchPPO:
        arguments = {**ARGUMENTS, **changes}
        model = SearchPPO(environment(worlds, settings), beta, policy_kwargs={"network": network(dropout)}, **arguments)
        model.set_logger(Logger(None, []))
        return model

    return made


def weights_of(model: MaskablePPO) -> Weights:
    return {name: weight.detach().clone() for name, weight in model.policy.network.state_dict().items()}


def differ(one: Weights, other: Weights) -> list[str]:
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_an_iteration_changes_the_weights_and_stays_finite(make: Make, beta: float) -> None:
    model = make(beta, dropout=0.2)
    before = weights_of(model)
    statistics = model.iterate(1)
    after = weights_of(model)
    assert "take_candidate.weight" in differ(before, after)
    assert "value.0.weight" in differ(before, after)
    assert all(torch.isfinite(weight).all() for weight in after.values())
    assert all(np.isfinite(value) for value in statistics.values())
    always = {"approximate_kl", "clip_share", "entropy", "episodes", "policy_loss", "train_return", "value_loss"}
    paths = {
        "marginal_likelihood_loss",
        "effective_paths",
        "path_entropy",
        "path_collapse",
        "reader_path_entropy",
    }
    assert set(statistics) == (always | paths if beta else always)
    assert statistics["episodes"] == len(model.lanes_env.finished) > 0


def test_an_iteration_depends_on_nothing_but_weights_optimizer_and_seed(make: Make) -> None:
    one, other = make(0.1, dropout=0.2), make(0.1, dropout=0.2)
    for seed in (5, 6):
        one.iterate(seed)
        other.iterate(seed)
    assert differ(weights_of(one), weights_of(other)) == []
    third = make(0.1, dropout=0.2)
    third.iterate(5)
    np.random.random(17)  # noqa: NPY002 - what others do with the global generators does not count
    torch.rand(3)
    third.iterate(6)
    assert differ(weights_of(one), weights_of(third)) == []
    third.iterate(7)
    one.iterate(8)
    assert differ(weights_of(one), weights_of(third)) != []


def test_the_value_head_alone_learns_what_the_rollout_returned(make: Make) -> None:
    model = make(0.0, dropout=0.2)
    before = {name: tensor.clone() for name, tensor in model.policy.network.state_dict().items()}
    first = model.iterate(0, values_alone=True)["value_loss"]
    last = [model.iterate(0, values_alone=True)["value_loss"] for _ in range(4)][-1]
    assert last < first
    for name, tensor in model.policy.network.state_dict().items():
        assert torch.equal(tensor, before[name]) == (not name.startswith("value.")), name


def test_what_the_value_head_reads_is_what_values_come_from(make: Make) -> None:
    model = make(0.0)
    model.iterate(0)
    data = next(iter(model.rollout_buffer.get()))
    network = model.policy.network.eval()
    with torch.no_grad():
        values, _, _ = model.policy.evaluate_actions(data.observations, data.actions.flatten(), data.action_masks)
        read = network.value(network.searches(data.observations)).squeeze(1)
    torch.testing.assert_close(read, values, rtol=0, atol=1e-5)


def test_without_paths_it_is_the_ppo_of_sb3_contrib(
    make: Make, worlds: list[QuestionWorld], settings: EnvironmentSettings
) -> None:
    """One minibatch holds the whole rollout, so that only rounding depends on its order."""
    ours = make(0.0)
    ours.iterate(3)
    env = environment(worlds, settings)
    theirs = MaskablePPO(SearchPolicy, env, policy_kwargs={"network": network()}, **ARGUMENTS)
    theirs.set_logger(Logger(None, []))
    theirs.set_random_seed(3)
    env.reshuffle(3)
    theirs.learn(64)
    assert len(env.finished) == len(ours.lanes_env.finished)
    for name, weight in weights_of(ours).items():
        torch.testing.assert_close(weight, weights_of(theirs)[name], atol=2e-5, rtol=1e-4, msg=name)
    assert len(differ(weights_of(ours), network().state_dict())) > 10


def test_the_loss_by_hand(make: Make, states: Steps) -> None:
    """Four steps: ratios 1, 1.5, 0.5 and 1, of which the second and third are clipped where that lowers the gain."""
    model = make(0.0, clip_range=0.2, ent_coef=0.02, vf_coef=0.7)
    policy = model.policy.network.eval()
    observation = as_tensors({name: array[:4] for name, array in states.observation.items()})
    masks, actions = torch.from_numpy(states.masks[:4]), torch.from_numpy(states.actions[:4])
    with torch.no_grad():
        log_probabilities, values = policy(observation, masks)
    now = log_probabilities.gather(1, actions.unsqueeze(1)).squeeze(1)
    ratio = np.array([1.0, 1.5, 0.5, 1.0])
    advantages, returns = np.array([1.0, 2.0, -1.0, 0.0]), np.array([0.5, -0.5, 1.0, 0.0])
    data = SimpleNamespace(
        observations=observation,
        actions=actions.reshape(-1, 1).float(),
        action_masks=masks.float(),
        old_log_prob=now - torch.from_numpy(np.log(ratio)).float(),
        advantages=torch.from_numpy(advantages).float(),
        returns=torch.from_numpy(returns).float(),
    )
    loss, record = model._ppo_loss(data)

    scaled = (advantages - 0.5) / (np.sqrt(5 / 3) + 1e-8)
    # gains: unclipped where the advantage is positive and the ratio low; 1.2 at the second, and 0.8 at the third
    surrogate = np.mean([scaled[0] * 1.0, scaled[1] * 1.2, scaled[2] * 0.8, scaled[3] * 1.0])
    value_loss = np.mean((values.numpy() - returns) ** 2)
    chances = log_probabilities.exp().numpy()
    entropy = np.mean([-sum(p * np.log(p) for p in row if p > 0) for row in chances])
    assert record["policy_loss"] == pytest.approx(-surrogate, abs=1e-5)
    assert record["value_loss"] == pytest.approx(value_loss, rel=1e-5)
    assert record["entropy"] == pytest.approx(entropy, rel=1e-5)
    assert record["clip_share"] == 0.5
    assert record["approximate_kl"] == pytest.approx(np.mean(ratio - 1 - np.log(ratio)), rel=1e-4)
    assert loss.item() == pytest.approx(-surrogate + 0.7 * value_loss - 0.02 * entropy, abs=1e-5)


def test_a_minibatch_of_one_step_has_a_finite_loss(make: Make) -> None:
    """64 steps in minibatches of 9 leave one step over, whose advantage has no deviation to be divided by."""
    model = make(0.1, batch_size=9)
    model.iterate(1)
    assert all(torch.isfinite(weight).all() for weight in weights_of(model).values())


def test_a_rollout_in_which_no_episode_ends(
    worlds: list[QuestionWorld], settings: EnvironmentSettings, make: Make
) -> None:
    model = make(0.1, n_steps=2, batch_size=8)
    with torch.no_grad():
        model.policy.network.stop_score.bias.fill_(-100)
    statistics = model.iterate(1)
    assert statistics["episodes"] == 0
    assert "train_return" not in statistics
    assert "marginal_likelihood_loss" not in statistics
    assert all(np.isfinite(value) for value in statistics.values())


def test_the_paths_of_a_rollout_are_its_finished_episodes_and_one_from_labels(make: Make) -> None:
    model = make(0.1)
    seen: list[Any] = []
    train = model.train
    model.train = lambda: (seen.append(model._gather_paths()), train())  # type: ignore[method-assign,assignment,return-value]
    model.iterate(2)
    steps, paths = seen[0]
    finished = model.lanes_env.finished
    assert set(paths) == {episode.question for episode in finished}
    network = model.lanes_env
    for question, group in paths.items():
        sequences = [tuple(steps.actions[path.steps].tolist()) for path in group]
        assert len(set(sequences)) == len(sequences)
        sampled = [path for path in group if path.steps[-1] < 64]
        assert len(sampled) <= sum(episode.question == question for episode in finished)
        for path in group:
            np.testing.assert_array_equal(
                steps.observation["question"][path.steps],
                np.tile(network.worlds[question].form, (len(path.steps), 1)),
            )
            left = steps.observation["budget"][path.steps][:, 0]
            assert left[0] == 1, "it begins at the beginning"
            assert (np.diff(left) < 0).all()
            assert steps.masks[path.steps, steps.actions[path.steps]].all()


def test_a_beam_adds_paths_that_were_not_sampled(make: Make) -> None:
    def paths(width: int) -> dict[int, list[Any]]:
        model = make(0.1, beam_width=width)
        model.iterate(2)
        return model._gather_paths()[1]

    alone, beamed = paths(0), paths(4)
    assert set(alone) == set(beamed)
    assert all(len(beamed[question]) >= len(alone[question]) for question in alone)
    assert sum(map(len, beamed.values())) > sum(map(len, alone.values()))


def test_the_marginal_likelihood_is_lowered_by_its_own_term(make: Make) -> None:
    """On one fixed rollout, steps along the gradient of L_ML alone lower it."""
    model = make(0.1)
    model.iterate(2)
    steps, paths = model._gather_paths()
    policy = model.policy.network.eval()
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        loss = path_loss(policy, steps, paths, sorted(paths)).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]


def test_learning_stops_where_the_policy_has_moved_too_far(make: Make) -> None:
    free, held = list[int](), list[int]()
    make(0.0, learning_rate=0.05, n_epochs=20, stepped=lambda: free.append(1)).iterate(1)
    make(0.0, learning_rate=0.05, n_epochs=20, stepped=lambda: held.append(1), target_kl=0.01).iterate(1)
    assert len(free) == 20
    assert 1 <= len(held) < 20


def test_several_iterations_raise_the_return(make: Make) -> None:
    model = make(0.1, n_steps=32, batch_size=64, n_epochs=3, learning_rate=5e-3)
    returns = [model.iterate(seed)["train_return"] for seed in range(12)]
    assert np.mean(returns[-3:]) > np.mean(returns[:3]) + 0.1

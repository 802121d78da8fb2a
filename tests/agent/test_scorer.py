"""The numpy network gives the numbers of the torch one, whatever the state and the size of the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.agent._scorer import NumpyScorer
from trailhound.envs._batch import Observation, observation_shapes
from trailhound.graph._edges import Relation

SMALL = NetworkSettings(question_dimension=40, question_width=6, width=24)


def random_states(
    rng: np.random.Generator, slots: int, evidence: int, links: float, states: int = 24, dimension: int = 40
) -> Observation:
    """Draw states with none to all slots filled, none to all evidence taken, and a share ``links`` of slots linked."""
    settings = EnvironmentSettings(max_candidates=slots, max_evidence=evidence)
    shapes = observation_shapes(settings, dimension)
    observation: Observation = {
        name: rng.normal(size=(states, *shape)).astype(dtype) for name, (shape, dtype) in shapes.items()
    }
    observation["candidate_rows"] = np.full((states, slots), -1)
    observation["evidence"] = np.full((states, evidence), -1)
    observation["adjacency"] = np.zeros((states, slots, slots), np.uint8)
    for state in range(states):
        count = slots if state == 1 else int(rng.integers(slots + 1)) if state else 0
        taken = min(evidence if state % 3 == 1 else int(rng.integers(evidence + 1)), count)
        observation["candidate_rows"][state, :count] = rng.choice(1000, count, replace=False)
        observation["evidence"][state, :taken] = rng.choice(count, taken, replace=False) if count else []
        bits = rng.integers(1, 1 << len(Relation), (count, count)) * (rng.random((count, count)) < links)
        observation["adjacency"][state, :count, :count] = np.where(np.eye(count), 0, bits)
        observation["candidates"][state, count:] = 0
        observation["links"][state, taken:] = 0
        observation["links"][state, :, count:] = 0
    return observation


def both(settings: NetworkSettings, seed: int = 0) -> tuple[PolicyNetwork, NumpyScorer]:
    torch.manual_seed(seed)
    network = PolicyNetwork(settings).eval()
    with torch.no_grad():
        for weight in network.parameters():  # a norm's scale of 1 and bias of 0 would hide what is left out
            weight.add_(0.2 * torch.randn_like(weight))
    return network, NumpyScorer(settings, {name: w.numpy() for name, w in network.state_dict().items()})


@pytest.mark.parametrize("links", [0.0, 0.03, 0.6])
@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize(("slots", "evidence"), [(1, 1), (7, 5), (64, 5)])
def test_the_same_numbers_as_the_torch_network(slots: int, evidence: int, rounds: int, links: float) -> None:
    rng = np.random.default_rng([slots, evidence, rounds])
    network, scorer = both(replace(SMALL, rounds=rounds), seed=rounds)
    observation = random_states(rng, slots, evidence, links)
    expected, worth = network.opinions(observation)
    logits, values = scorer.opinions(observation)
    assert logits.shape == expected.shape
    assert logits.dtype == values.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(values, worth, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("width", "question_width", "dimension"), [(64, 24, 384), (12, 5, 17), (7, 1, 3)])
def test_networks_of_every_size(width: int, question_width: int, dimension: int) -> None:
    network, scorer = both(NetworkSettings(dimension, question_width, width))
    observation = random_states(np.random.default_rng(width), 20, 4, 0.1, dimension=dimension)
    for numbers, expected in zip(scorer.opinions(observation), network.opinions(observation), strict=True):
        np.testing.assert_allclose(numbers, expected, atol=1e-4, rtol=1e-4)


def test_a_state_does_not_depend_on_the_states_beside_it() -> None:
    _, scorer = both(SMALL)
    observation = random_states(np.random.default_rng(3), 12, 3, 0.1)
    logits, values = scorer.opinions(observation)
    for state in range(len(values)):
        alone, value = scorer.opinions({name: array[state : state + 1] for name, array in observation.items()})
        np.testing.assert_array_equal(alone[0], logits[state])
        assert value[0] == values[state]


@pytest.mark.parametrize(
    "settings",
    [SMALL, replace(SMALL, rounds=0), replace(SMALL, rounds=3, width=9), replace(SMALL, fact_kinds=6)],
)
def test_the_settings_know_every_weight(settings: NetworkSettings) -> None:
    weights = {name: tensor.numpy() for name, tensor in PolicyNetwork(settings).state_dict().items()}
    assert settings.weight_shapes() == {name: array.shape for name, array in weights.items()}
    settings.check(weights)
    with pytest.raises(ValueError, match=r"value\.0\.bias is float32 \[2\], not float32"):
        settings.check(weights | {"value.0.bias": np.zeros(2, np.float32)})
    with pytest.raises(ValueError, match=r"float64"):
        settings.check(weights | {"value.0.bias": weights["value.0.bias"].astype(np.float64)})

"""The policy network scores slots wherever they stand, however many there are, and nothing that is not legal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from trailhound import EnvironmentSettings, Index
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_set import QuestionSet
from trailhound.envs.settings import QUESTION

SETTINGS = EnvironmentSettings(expand_size=4, hop_size=4, max_candidates=40, max_evidence=4)
SMALL = NetworkSettings(question_dimension=len(QUESTION), width=16, question_width=8)


def walked(index: Index, folder: Path, settings: EnvironmentSettings, steps: int = 7, lanes: int = 12) -> SearchBatch:
    """Return lanes that have each gone some random legal steps (never STOP), from none to ``steps``."""
    questions = QuestionSet.load(index, folder, "train", settings)
    batch = SearchBatch(settings, lanes, len(QUESTION))
    generator = np.random.default_rng(5)
    for lane in range(lanes):
        batch.start([lane], [questions.world(lane % len(questions))])
        for _ in range(min(lane, steps)):
            legal = np.flatnonzero(batch.mask[lane, 1:]) + 1
            if len(legal):
                takes = legal[legal >= batch.layout.take]
                batch.act(lane, int(generator.choice(takes if len(takes) and generator.random() < 0.4 else legal)))
    return batch


def tensors(batch: SearchBatch) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in batch.observation.items()}


@pytest.fixture(scope="module")
def batch(small_index: Index, corpus_folder: Path) -> SearchBatch:
    return walked(small_index, corpus_folder, SETTINGS)


@pytest.fixture
def observation(batch: SearchBatch) -> dict[str, Tensor]:
    """States early and late, with and without evidence and links."""
    observation = tensors(batch)
    assert int((observation["evidence"] >= 0).sum(dim=1).max()) >= 2
    assert int((observation["evidence"] >= 0).sum(dim=1).min()) == 0
    assert observation["adjacency"].any()
    return observation


def network(rounds: int = 2, seed: int = 0) -> PolicyNetwork:
    torch.manual_seed(seed)
    return PolicyNetwork(replace(SMALL, rounds=rounds)).eval()


def permuted(observation: dict[str, Tensor], order: Tensor) -> dict[str, Tensor]:
    """Put slot ``order[k]`` at slot k, in everything that speaks of slots."""
    place = torch.argsort(order)
    evidence = observation["evidence"]
    return observation | {
        "candidates": observation["candidates"][:, order],
        "candidate_rows": observation["candidate_rows"][:, order],
        "links": observation["links"][:, :, order],
        "adjacency": observation["adjacency"][:, order][:, :, order],
        "evidence": torch.where(evidence >= 0, place[evidence.clamp(min=0).long()], -1).to(evidence.dtype),
    }


@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_slots_may_stand_in_any_order(
    batch: SearchBatch, observation: dict[str, Tensor], rounds: int, seed: int
) -> None:
    """Scores for taking follow their candidates; STOP, operators and the value do not notice."""
    model = network(rounds, seed)
    order = torch.randperm(SETTINGS.max_candidates, generator=torch.Generator().manual_seed(seed))
    take = batch.layout.take
    with torch.no_grad():
        logits, values = model.scores(observation)
        again, values_again = model.scores(permuted(observation, order))
    torch.testing.assert_close(again[:, :take], logits[:, :take], atol=1e-5, rtol=0)
    torch.testing.assert_close(again[:, take:], logits[:, take:][:, order], atol=1e-5, rtol=0)
    torch.testing.assert_close(values_again, values, atol=1e-5, rtol=0)
    assert not torch.allclose(logits[:, take:], logits[:, take:][:, order], atol=1e-2), "candidates must differ"


def test_the_order_of_the_evidence_matters(observation: dict[str, Tensor]) -> None:
    """The passage taken last conditions the search, so it is not any of the evidence."""
    lane = int((observation["evidence"] >= 0).sum(dim=1).argmax())
    one = {name: part[lane : lane + 1].clone() for name, part in observation.items()}
    two = {name: part.clone() for name, part in one.items()}
    two["evidence"][0, :2] = one["evidence"][0, :2].flip(0)
    two["links"][0, :2] = one["links"][0, :2].flip(0)
    model = network()
    assert not torch.allclose(model.scores(one)[0], model.scores(two)[0], atol=1e-4)


@pytest.mark.parametrize("slots", [1, 2, 7, 40, 130])
@pytest.mark.parametrize("evidence", [1, 3])
def test_one_network_serves_any_number_of_slots(
    small_index: Index, corpus_folder: Path, slots: int, evidence: int
) -> None:
    settings = EnvironmentSettings(max_candidates=slots, max_evidence=evidence)
    batch = walked(small_index, corpus_folder, settings)
    log_probabilities, values = network()(tensors(batch), torch.from_numpy(batch.mask))
    assert log_probabilities.shape == batch.mask.shape
    assert values.shape == (12,)
    torch.testing.assert_close(log_probabilities.exp().sum(dim=1), torch.ones(12))
    assert torch.isfinite(values).all()


@pytest.mark.parametrize("rounds", [0, 2])
def test_empty_slots_change_nothing(batch: SearchBatch, observation: dict[str, Tensor], rounds: int) -> None:
    """A frontier that is full scores as it would with room to spare."""
    lane = int((observation["candidate_rows"] >= 0).sum(dim=1).argmax())
    count = int((observation["candidate_rows"][lane] >= 0).sum())
    assert 1 < count < SETTINGS.max_candidates
    roomy = {name: part[lane : lane + 1] for name, part in observation.items()}
    full = roomy | {
        "candidates": roomy["candidates"][:, :count],
        "candidate_rows": roomy["candidate_rows"][:, :count],
        "links": roomy["links"][:, :, :count],
        "adjacency": roomy["adjacency"][:, :count, :count],
    }
    for seed in range(20):
        model = network(rounds, seed)
        expected, value = model.scores(roomy)
        logits, same_value = model.scores(full)
        torch.testing.assert_close(logits, expected[:, : batch.layout.take + count], atol=1e-5, rtol=0)
        torch.testing.assert_close(same_value, value, atol=1e-5, rtol=0)


def test_searches_side_by_side_do_not_mix(observation: dict[str, Tensor]) -> None:
    model = network()
    logits, values = model.scores(observation)
    for lane in range(len(logits)):
        alone, value = model.scores({name: part[lane : lane + 1] for name, part in observation.items()})
        torch.testing.assert_close(alone[0], logits[lane], atol=1e-5, rtol=0)
        torch.testing.assert_close(value[0], values[lane], atol=1e-5, rtol=0)


def test_illegal_actions_get_no_probability_and_no_gradient(batch: SearchBatch, observation: dict[str, Tensor]) -> None:
    """Not a small chance but none, and legal ones share all of it; everywhere illegal but STOP, STOP is certain."""
    mask = torch.from_numpy(batch.mask)
    model = network()
    log_probabilities, _ = model(observation, mask)
    chances = log_probabilities.exp()
    assert (chances[~mask] == 0).all()
    assert (chances[mask] > 0).all()
    torch.testing.assert_close(chances.sum(dim=1), torch.ones(len(mask)))

    stop_only = torch.zeros_like(mask)
    stop_only[:, 0] = True
    certain, _ = model(observation, stop_only)
    assert (certain[:, 0] == 0).all()
    certain[:, 0].sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


def test_the_value_does_not_pull_at_the_trunk(observation: dict[str, Tensor]) -> None:
    model = network()
    model.scores(observation)[1].sum().backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all(name.startswith("value.") for name in moved)


def test_the_policy_reaches_every_parameter_but_the_value(batch: SearchBatch, observation: dict[str, Tensor]) -> None:
    """Nothing in the network is dead weight: the policy's loss moves all of it."""
    model = network()
    log_probabilities, _ = model(observation, torch.from_numpy(batch.mask))
    generator = torch.Generator().manual_seed(0)
    chances = torch.from_numpy(batch.mask) * torch.rand(batch.mask.shape, generator=generator)
    log_probabilities.gather(1, chances.argmax(dim=1, keepdim=True)).sum().backward()
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert {name for name in still if not name.startswith("value.")} == set()


def test_links_matter_with_message_passing_and_only_then(observation: dict[str, Tensor]) -> None:
    """``rounds=0`` is the ablation: no weights for the graph, and typed links are not looked at."""
    unlinked = observation | {"adjacency": torch.zeros_like(observation["adjacency"])}
    with_graph, without = network(2), network(0)
    assert not torch.allclose(with_graph.scores(observation)[0], with_graph.scores(unlinked)[0], atol=1e-4)
    torch.testing.assert_close(without.scores(observation)[0], without.scores(unlinked)[0], atol=0, rtol=0)
    assert not [name for name in without.state_dict() if name.startswith("graph.")]


def test_links_have_types_and_directions(observation: dict[str, Tensor]) -> None:
    model = network()
    logits = model.scores(observation)[0]
    turned = model.scores(observation | {"adjacency": observation["adjacency"].transpose(1, 2)})[0]
    other = model.scores(observation | {"adjacency": (observation["adjacency"] > 0).to(torch.uint8)})[0]
    assert not torch.allclose(turned, logits, atol=1e-4)
    assert not torch.allclose(other, logits, atol=1e-4)


def test_dropout_is_for_training_only(observation: dict[str, Tensor]) -> None:
    model = network()
    torch.testing.assert_close(model.scores(observation)[0], model.scores(observation)[0], atol=0, rtol=0)
    model.train()
    assert not torch.equal(model.scores(observation)[0], model.scores(observation)[0])


def test_messages_pass_both_ways_along_a_link_and_nowhere_else() -> None:
    """Three candidates, the first links to the second: whichever of them changes, the other hears of it."""
    torch.manual_seed(0)
    network = PolicyNetwork(NetworkSettings(len(QUESTION), question_width=8, width=16, rounds=1)).eval()
    states, question = torch.randn(1, 3, 16), torch.randn(1, 8)
    adjacency = torch.zeros(1, 3, 3, dtype=torch.uint8)
    adjacency[0, 0, 1] = 1
    observation = {
        "adjacency": adjacency,
        "evidence": torch.full((1, 2), -1),
        "candidate_rows": torch.arange(3).unsqueeze(0),
    }
    before = network._pass_messages(states, observation, question)
    heard = {}
    for changed in range(3):
        other = states.clone()
        other[0, changed] += 1
        after = network._pass_messages(other, observation, question)
        heard[changed] = {k for k in range(3) if not torch.equal(after[0, k], before[0, k])}
    assert heard == {0: {0, 1}, 1: {0, 1}, 2: {2}}

"""Objectives by hand, and that training does what they ask for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.learning.router._examples import MADE_WEIGHT, Examples, TrainingPair, examples_of, joined
from trailhound.learning.router._training import (
    Made,
    Place,
    RouterSettings,
    RouterTraining,
    make_router,
    shard_loss,
    shard_targets,
    train_shards,
)
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._router import Router
from trailhound.retrievers.router._shards import ShardNetwork, shard_inputs

HALF, THIRD = float(np.log(2)), float(np.log(3))


def loss(scores: list[list[float]], targets: list[list[float]], balance: float = 0.0) -> float:
    weights, sizes = torch.ones(len(scores)), torch.tensor([0.5, 0.5])
    return float(shard_loss(torch.tensor(scores), torch.tensor(targets), weights, sizes, balance))


def test_the_likelihood_by_hand() -> None:
    assert loss([[0.0, THIRD]], [[1.0, 0.0]]) == pytest.approx(2 * HALF)  # shares of 1/4 and 3/4


def test_balance_costs_nothing_where_the_shards_are_asked_as_they_are_large() -> None:
    even, odd = [[0.0, 0.0], [0.0, 0.0]], [[THIRD, 0.0], [THIRD, 0.0]]
    nothing = [[0.0, 0.0], [0.0, 0.0]]
    assert loss(even, nothing, balance=1.0) == pytest.approx(0, abs=1e-6)
    by_hand = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert loss(odd, nothing, balance=1.0) == pytest.approx(by_hand, rel=1e-5)


def trained(corpus: Corpus, router: Router, examples: Examples, training: RouterTraining) -> ShardNetwork:
    torch.manual_seed(0)
    network = ShardNetwork(corpus.vectors.shape[1], len(router.partition))
    train_shards(network, router.statistics, router.partition, examples, training, 0)
    return network


def test_it_learns_to_route(corpus: Corpus, router: Router, train_examples: Examples, dev_examples: Examples) -> None:
    network = trained(corpus, router, train_examples, RouterTraining())
    known, vectors = shard_inputs(router.statistics, dev_examples.clues)
    targets = torch.from_numpy(shard_targets(router.partition, dev_examples))
    with torch.no_grad():
        top = network(vectors, known).topk(2, dim=1).indices
    assert float(targets.gather(1, top).sum(dim=1).mean()) > 0.75  # 0.5 by chance


def test_equal_seeds_give_equal_weights(corpus: Corpus, router: Router, train_examples: Examples) -> None:
    first, second = (trained(corpus, router, train_examples, RouterTraining(shard_epochs=2)) for _ in range(2))
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_examples_are_joined_taken_and_parted(train_examples: Examples, dev_examples: Examples) -> None:
    both = joined(train_examples, dev_examples)
    assert len(both) == len(train_examples) + len(dev_examples)
    back = both.take(np.arange(len(train_examples), len(both)))
    assert back.wanted[:, : dev_examples.wanted.shape[1]].tolist() == dev_examples.wanted.tolist()
    assert set(both.weights.tolist()) == {1.0, np.float32(MADE_WEIGHT)}
    left, held_out = both.parted(0.25, np.random.default_rng(0))
    assert held_out.labelled.all()
    assert len(held_out) == round(0.25 * both.labelled.sum())
    texts = {query.text for query in left.queries} & {query.text for query in held_out.queries}
    assert len(left) + len(held_out) == len(both)
    assert texts == set()


def test_examples_within_some_rows(corpus: Corpus) -> None:
    pairs = [TrainingPair("a", (1, 2), "labelled"), TrainingPair("b", (5,), "title"), TrainingPair("c", (2,), "lead")]
    examples = examples_of(pairs, corpus.vectors[:3], corpus)
    assert examples.within(np.array([2, 5])).tolist() == [1, 2]
    with pytest.raises(ValueError, match="2 training pairs with 3 vectors"):
        examples_of(pairs[:2], corpus.vectors[:3], corpus)


def test_a_killed_router_goes_on_to_the_same_weights(
    corpus: Corpus, train_examples: Examples, router_settings: RouterSettings, made: Made, tmp_path: Path
) -> None:
    def kill(stage: str, done: int, total: int) -> None:
        if "docid decoder, epoch 2" in stage and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_router(corpus, train_examples, router_settings, 0, place=Place(tmp_path, {}, kill))
    stages: list[str] = []
    place = Place(tmp_path, {}, lambda stage, done, total: stages.append(stage))
    again = make_router(corpus, train_examples, router_settings, 0, place=place)
    assert stages[0].startswith("training the docid decoder, epoch 2/4"), "what was done is not done again"
    whole = make_router(corpus, train_examples, router_settings, 0)
    for name in ("shards", "decoder"):
        one, other = (getattr(each.router.networks, name).state_dict() for each in (again, whole))
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert again.figures == whole.figures

"""Objectives by hand, and that training does what they ask for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from trailhound.learning.router.docid_pairs import TrainingPair
from trailhound.learning.router.examples import MADE_WEIGHT, Examples, examples_of, joined
from trailhound.learning.router.making import measured, plan_rewards
from trailhound.learning.router.training import (
    RouterTraining,
    shard_loss,
    shard_targets,
    train_plan,
    train_shards,
)
from trailhound.retrievers.protocols import SubIndex
from trailhound.retrievers.records import Hits, Query
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.network import PlanNetwork, ShardNetwork, plan_clues, shard_inputs
from trailhound.retrievers.router.router import Router
from trailhound.retrievers.router.shards import partition

HALF, THIRD = float(np.log(2)), float(np.log(3))


def loss(scores: list[list[float]], targets: list[list[float]], **settings: object) -> float:
    weights, sizes = torch.ones(len(scores)), torch.tensor([0.5, 0.5])
    training = RouterTraining(**({"balance": 0.0} | settings))  # type: ignore[arg-type]
    return float(shard_loss(torch.tensor(scores), torch.tensor(targets), weights, sizes, training))


def test_likelihood_and_reward_by_hand() -> None:
    quarter = [0.0, THIRD]  # shares of 1/4 and 3/4
    assert loss([quarter], [[1.0, 0.0]]) == pytest.approx(2 * HALF)
    assert loss([quarter], [[1.0, 0.0]], objective="reward") == pytest.approx(-0.25)
    assert loss([quarter], [[0.5, 0.5]], objective="reward") == pytest.approx(-0.5)


def test_balance_costs_nothing_where_the_shards_are_asked_as_they_are_large() -> None:
    even, odd = [[0.0, 0.0], [0.0, 0.0]], [[THIRD, 0.0], [THIRD, 0.0]]
    nothing = [[0.0, 0.0], [0.0, 0.0]]
    assert loss(even, nothing, balance=1.0) == pytest.approx(0, abs=1e-6)
    by_hand = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert loss(odd, nothing, balance=1.0) == pytest.approx(by_hand, rel=1e-5)


def test_latency_is_the_expected_share_of_passages() -> None:
    sizes, training = torch.tensor([0.9, 0.1]), RouterTraining(latency=2.0, balance=0.0)
    priced = shard_loss(torch.tensor([[0.0, THIRD]]), torch.zeros(1, 2), torch.ones(1), sizes, training)
    assert float(priced) == pytest.approx(2 * (0.25 * 0.9 + 0.75 * 0.1))


def trained(corpus: Corpus, router: Router, examples: Examples, training: RouterTraining) -> ShardNetwork:
    torch.manual_seed(0)
    network = ShardNetwork(corpus.vectors.shape[1], len(router.partition))
    train_shards(network, router.statistics, router.partition, examples, training, np.random.default_rng(0))
    return network


@pytest.mark.parametrize("objective", ["likelihood", "reward"])
def test_either_objective_learns_to_route(
    corpus: Corpus, router: Router, train_examples: Examples, dev_examples: Examples, objective: str
) -> None:
    network = trained(corpus, router, train_examples, RouterTraining(objective=objective))  # type: ignore[arg-type]
    known, vectors = shard_inputs(router.statistics, dev_examples.clues)
    targets = torch.from_numpy(shard_targets(router.partition, dev_examples))
    with torch.no_grad():
        top = network(vectors, known).topk(2, dim=1).indices
    assert float(targets.gather(1, top).sum(dim=1).mean()) > 0.75  # 0.5 by chance


def test_a_price_on_passages_moves_queries_to_the_small_shard(corpus: Corpus, train_examples: Examples) -> None:
    shard = np.zeros(len(corpus), np.int64)
    shard[:30] = 1
    parts = partition(corpus.vectors, 2, np.random.default_rng(0))
    uneven = type(parts)(shard, parts.centroids, parts.regions)
    inside = train_examples.take(np.arange(60))
    from trailhound.retrievers.router.shards import ShardStatistics

    means = []
    for price in (0.0, 20.0):
        torch.manual_seed(0)
        network = ShardNetwork(corpus.vectors.shape[1], 2)
        statistics = ShardStatistics(corpus, uneven)
        training = RouterTraining(latency=price, balance=0.0)
        train_shards(network, statistics, uneven, inside, training, np.random.default_rng(0))
        known, vectors = shard_inputs(statistics, inside.clues)
        with torch.no_grad():
            means.append(float(network(vectors, known).softmax(dim=1)[:, 1].mean()))
    assert means[1] > means[0] + 0.2


def test_a_shard_is_worth_what_is_found_in_it(corpus: Corpus, router: Router) -> None:
    """The passages 0 and 1 are wanted; what a policy earned says of which the shard must be searched."""
    pairs = [TrainingPair(text, (0, 1), "labelled") for text in ("a", "b", "c")]
    worth = [(0.25, 0.75), (0.0, 0.5), (0.0, 0.0)]
    examples = examples_of(pairs, corpus.vectors[:3], corpus, in_shards=worth)
    assert (examples.rewards == 1).all()
    home = router.partition.shard[:2]
    expected = np.zeros((3, len(router.partition)))
    np.add.at(expected[0], home, (0.25, 0.75))
    expected[1, home[1]] = 1
    np.testing.assert_allclose(shard_targets(router.partition, examples), expected)
    alike = examples_of(pairs, corpus.vectors[:3], corpus, [(0.5, 1.0)] * 3)
    assert (alike.in_shards == alike.rewards).all()


def test_queries_that_need_no_shard_are_left_out_of_its_figures(
    corpus: Corpus, router: Router, dev_examples: Examples
) -> None:
    needing = dev_examples.take(np.arange(6))
    nothing = replace(needing, in_shards=np.zeros_like(needing.in_shards))
    figures, mixed = measured(router, needing), measured(router, joined(needing, nothing))
    for name in ("shards@1", "shards@2", "shard_calibration"):
        assert mixed[name] == pytest.approx(figures[name])
    assert not any(name.startswith("shard") for name in measured(router, nothing))


def test_equal_seeds_give_equal_weights(corpus: Corpus, router: Router, train_examples: Examples) -> None:
    first, second = (trained(corpus, router, train_examples, RouterTraining(shard_epochs=2)) for _ in range(2))
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)


class Fixed:
    """A sub-index that always finds the same rows."""

    def __init__(self, name: str, rows: list[int]) -> None:
        self.name = name
        self._hits = Hits(np.array(rows, np.int64), np.ones(len(rows), np.float32))

    def search(self, query: Query, limit: int) -> Hits:
        return Hits(self._hits.rows[:limit], self._hits.scores[:limit])


def test_a_plan_learns_which_sub_index_is_worth_asking(corpus: Corpus, train_examples: Examples) -> None:
    pairs = [TrainingPair(query.text, (3, 4), "labelled") for query in train_examples.queries[:40]]
    vectors = np.stack([query.vector for query in train_examples.queries[:40] if query.vector is not None])
    examples = examples_of(pairs, vectors, corpus, [[1.0, 3.0]] * 40)
    indexes: list[SubIndex] = [Fixed("none", []), Fixed("half", [3, 9]), Fixed("both", [9, 9, 4, 3])]
    rewards = plan_rewards(indexes, examples)
    assert rewards[0].tolist() == [0, 0.25, 1]
    assert plan_rewards(indexes, examples, limit=2)[0].tolist() == [0, 0.25, 0]
    torch.manual_seed(0)
    network = PlanNetwork(corpus.vectors.shape[1], 3)
    train_plan(network, examples, rewards, RouterTraining(plan_epochs=40, rate=1e-2), np.random.default_rng(0))
    with torch.no_grad():
        shares = network(torch.from_numpy(vectors), plan_clues(examples.clues)).softmax(dim=1)
    assert (shares[:, 2] > 0.8).all()


def test_examples_are_joined_taken_and_parted(train_examples: Examples, dev_examples: Examples) -> None:
    both = joined(train_examples, dev_examples)
    assert len(both) == len(train_examples) + len(dev_examples)
    back = both.take(np.arange(len(train_examples), len(both)))
    assert back.wanted[:, : dev_examples.wanted.shape[1]].tolist() == dev_examples.wanted.tolist()
    assert (back.rewards.sum(axis=1) == dev_examples.rewards.sum(axis=1)).all()
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

"""Training the router's networks: from labels, from made pairs, or from a reward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...retrievers.protocols import Progress
from ...retrievers.router.clues import stacked
from ...retrievers.router.decoder import DocidDecoder
from ...retrievers.router.network import PlanNetwork, ShardNetwork, plan_clues, shard_inputs
from ...retrievers.router.shards import Partition, ShardStatistics
from ...retrievers.router.tree_view import TreeView
from .examples import Examples

Objective = Literal["likelihood", "reward"]


@dataclass(frozen=True, slots=True)
class RouterTraining:
    """Settings of a router's training.

    Attributes:
        objective: ``likelihood`` of the rewarded passages' shards (weighed by their rewards), or the expected
            ``reward`` itself, the exact form of REINFORCE's gradient (Williams 1992) where all choices are scored.
        shard_epochs, plan_epochs, decoder_epochs: passes over the examples.
        batch: queries to a step of the shard and plan networks.
        decoder_batch: queries to a step of the decoder. Small: its judges start from nothing and learn by the step.
        rate: learning rate of the shard and plan networks.
        decoder_rate: of the decoder's large matrices; few questions teach them little, and much of it wrong.
        judge_rate: of the decoder's few weights that judge cosines and words.
        balance: weight of the divergence between the shards' mean probability and their sizes.
        latency: weight of the expected share of all passages in the shard asked.
        beam: nodes that the decoder follows while it learns.
        distillation: weight of the distance to the vectors that the former decoder makes of the queries.
    """

    objective: Objective = "likelihood"
    shard_epochs: int = 20
    plan_epochs: int = 10
    decoder_epochs: int = 3
    batch: int = 32
    decoder_batch: int = 8
    rate: float = 3e-3
    decoder_rate: float = 5e-5
    judge_rate: float = 2e-2
    balance: float = 0.02
    latency: float = 0.0
    beam: int = 8
    distillation: float = 0.0


def shard_targets(partition: Partition, examples: Examples) -> NDArray[np.float32]:
    """Return what searching every shard is worth to each query, as shares of its all, float32 [n, S].

    A query that needs no shard has zeros.
    """
    targets = np.zeros((len(examples), len(partition)), np.float32)
    query, place = np.nonzero(examples.wanted >= 0)
    rows = examples.wanted[query, place]
    np.add.at(targets, (query, partition.shard[rows]), examples.in_shards[query, place])
    return np.asarray(targets / np.maximum(targets.sum(axis=1, keepdims=True), 1e-9), np.float32)


def shard_loss(scores: Tensor, targets: Tensor, weights: Tensor, sizes: Tensor, settings: RouterTraining) -> Tensor:
    """Return the loss of routing b queries to S shards.

    Args:
        scores: [b, S].
        targets: [b, S], shares of the reward.
        weights: [b], what each query counts for.
        sizes: [S], shares of all passages, adding up to 1.
        settings: objective, balance and latency.
    """
    shares = scores.softmax(dim=1)
    if settings.objective == "likelihood":
        losses = -(targets * scores.log_softmax(dim=1)).sum(dim=1)
    else:
        losses = -(targets * shares).sum(dim=1)
    losses = losses + settings.latency * (shares * sizes).sum(dim=1)
    mean = shares.mean(dim=0).clamp(min=1e-9)
    balance = (mean * (mean.log() - sizes.clamp(min=1e-9).log())).sum()
    return (weights * losses).sum() / weights.sum() + settings.balance * balance


def train_shards(
    network: ShardNetwork,
    statistics: ShardStatistics,
    partition: Partition,
    examples: Examples,
    settings: RouterTraining,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> None:
    """Train a shard network in place."""
    known, vectors = shard_inputs(statistics, examples.clues)
    targets, weights = torch.from_numpy(shard_targets(partition, examples)), torch.from_numpy(examples.weights)
    sizes = torch.from_numpy((partition.sizes / partition.sizes.sum()).astype(np.float32))
    network.measure(known)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=1e-3)
    network.train()
    for epoch in range(settings.shard_epochs):
        for batch in _batches(len(examples), settings.batch * 2, rng):
            scores = network(vectors[batch], known[batch])
            loss = shard_loss(scores, targets[batch], weights[batch], sizes, settings)
            _step(optimizer, loss)
        if progress is not None:
            progress("training shards", epoch + 1, settings.shard_epochs)
    network.eval()


def train_plan(
    network: PlanNetwork,
    examples: Examples,
    rewards: NDArray[np.float32],
    settings: RouterTraining,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> None:
    """Train a plan network in place to ask the sub-index first that is worth most.

    The loss is ``- log sum_i p(i) r_i``; queries for which no sub-index is worth anything teach nothing.

    Args:
        network: to train.
        examples: n queries.
        rewards: float32 [n, choices], what asking each sub-index first is worth, 0 or more.
        settings: of the training.
        rng: for the order.
        progress: hears of every epoch.
    """
    useful = np.flatnonzero(rewards.max(axis=1) > 0)
    vectors, known = torch.from_numpy(stacked(examples.clues)), plan_clues(examples.clues)
    worth, weights = torch.from_numpy(rewards), torch.from_numpy(examples.weights)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=1e-2)
    network.train()
    for epoch in range(settings.plan_epochs):
        for batch in _batches(len(useful), settings.batch, rng):
            places = useful[batch]
            shares = network(vectors[places], known[places]).softmax(dim=1)
            losses = -(shares * worth[places]).sum(dim=1).clamp(min=1e-9).log()
            _step(optimizer, (weights[places] * losses).sum() / weights[places].sum())
        if progress is not None:
            progress("training the plan", epoch + 1, settings.plan_epochs)
    network.eval()


def train_decoder(
    decoder: DocidDecoder,
    sources: Sequence[tuple[TreeView, Examples]],
    settings: RouterTraining,
    rng: np.random.Generator,
    teacher: DocidDecoder | None = None,
    progress: Progress | None = None,
) -> None:
    """Train a decoder in place, on one corpus or several.

    Args:
        decoder: to train.
        sources: trees with examples over their corpora.
        settings: of the training.
        rng: for the order.
        teacher: a former decoder whose adapted query vectors this one should stay near (``settings.distillation``).
        progress: hears of every epoch.
    """
    few = [*decoder.judges.parameters(), decoder.sharpness]
    known = {id(parameter) for parameter in few}
    many = [parameter for parameter in decoder.parameters() if id(parameter) not in known]
    groups = [{"params": many, "lr": settings.decoder_rate}, {"params": few, "lr": settings.judge_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.05)
    # Dropout draws from torch's own generator: seeded here, so that two runs are equal, and given back as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        decoder.train()
        for epoch in range(settings.decoder_epochs):
            for view, examples in _mixed(sources, settings.decoder_batch, rng):
                _step(optimizer, _decoder_loss(decoder, view, examples, settings, teacher))
            if progress is not None:
                progress("training the docid decoder", epoch + 1, settings.decoder_epochs)
        decoder.eval()


def _mixed(
    sources: Sequence[tuple[TreeView, Examples]], size: int, rng: np.random.Generator
) -> Iterator[tuple[TreeView, Examples]]:
    """Yield the batches of all sources, each of one source, in a random order."""
    batches = [
        (view, examples.take(batch)) for view, examples in sources for batch in _batches(len(examples), size, rng)
    ]
    for place in rng.permutation(len(batches)).tolist():
        yield batches[place]


def _decoder_loss(
    decoder: DocidDecoder, view: TreeView, examples: Examples, settings: RouterTraining, teacher: DocidDecoder | None
) -> Tensor:
    wanted, rewards = torch.from_numpy(examples.wanted), torch.from_numpy(examples.rewards)
    losses = decoder.losses(view, examples.clues, wanted, rewards, settings.beam).sum(dim=1)
    weights = torch.from_numpy(examples.weights)
    loss = (weights * losses).sum() / weights.sum()
    if teacher is not None and settings.distillation:
        loss = loss + settings.distillation * _distance(decoder, teacher, examples)
    return loss


def _distance(decoder: DocidDecoder, teacher: DocidDecoder, examples: Examples) -> Tensor:
    vectors = torch.from_numpy(stacked(examples.clues))
    with torch.no_grad():
        taught = teacher.adapted(vectors)
    return (1 - (decoder.adapted(vectors) * taught).sum(dim=1)).mean()


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _batches(count: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = rng.permutation(count)
    for first in range(0, count, size):
        yield order[first : first + size]

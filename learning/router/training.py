"""Training the router's networks from labelled and made pairs, in epochs that can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...retrievers.protocols import Progress
from ...retrievers.router.clues import stacked
from ...retrievers.router.decoder import DocidDecoder, TreeView
from ...retrievers.router.shards import Partition, ShardNetwork, ShardStatistics, shard_inputs
from ..epochs import EpochRun, Report, epoch_generator, learn_batches, run_epochs
from .examples import Examples

Validate = Callable[[], float]
"""Returns how good a network is on held-out queries, higher is better."""


@dataclass(frozen=True, slots=True)
class RouterTraining:
    """Settings of a router's training.

    Attributes:
        shard_epochs, decoder_epochs: passes over the examples.
        batch: queries to a step of the shard network.
        decoder_batch: queries to a step of the decoder. Small: its judges start from nothing and learn by the step.
        rate: learning rate of the shard network.
        decoder_rate: of the decoder's large matrices; few questions teach them little, and much of it wrong.
        judge_rate: of the decoder's few weights that judge cosines and words.
        balance: weight of the divergence between the shards' mean probability and their sizes.
        beam: nodes that the decoder follows while it learns.
        distillation: weight of the distance to the vectors that the former decoder makes of the queries.
    """

    shard_epochs: int = 20
    decoder_epochs: int = 3
    batch: int = 64
    decoder_batch: int = 8
    rate: float = 3e-3
    decoder_rate: float = 5e-5
    judge_rate: float = 2e-2
    balance: float = 0.02
    beam: int = 8
    distillation: float = 0.0


def shard_targets(partition: Partition, examples: Examples) -> NDArray[np.float32]:
    """Return the share of each query's wanted passages that lie in every shard, float32 [n, S]."""
    targets = np.zeros((len(examples), len(partition)), np.float32)
    query, place = np.nonzero(examples.wanted >= 0)
    np.add.at(targets, (query, partition.shard[examples.wanted[query, place]]), 1)
    return np.asarray(targets / np.maximum(targets.sum(axis=1, keepdims=True), 1e-9), np.float32)


def shard_loss(scores: Tensor, targets: Tensor, weights: Tensor, sizes: Tensor, balance: float) -> Tensor:
    """Return the loss of routing b queries to S shards.

    Args:
        scores: [b, S].
        targets: [b, S], shares of the wanted passages.
        weights: [b], what each query counts for.
        sizes: [S], shares of all passages, adding up to 1.
        balance: weight of the divergence between the shards' mean probability and their sizes.
    """
    losses = -(targets * scores.log_softmax(dim=1)).sum(dim=1)
    mean = scores.softmax(dim=1).mean(dim=0).clamp(min=1e-9)
    divergence = (mean * (mean.log() - sizes.clamp(min=1e-9).log())).sum()
    return (weights * losses).sum() / weights.sum() + balance * divergence


@dataclass(frozen=True, slots=True)
class Place:
    """Where a training keeps its checkpoint, so that it goes on when it was interrupted.

    Attributes:
        folder: of the run.
        described: everything that decides what the run leads to.
        progress: called with (stage, done, total) at every batch.
    """

    folder: Path
    described: Mapping[str, Any]
    progress: Progress | None = None


def train_shards(
    network: ShardNetwork,
    statistics: ShardStatistics,
    partition: Partition,
    examples: Examples,
    settings: RouterTraining,
    seed: int,
    *,
    validate: Validate | None = None,
    place: Place | None = None,
) -> None:
    """Train a shard network in place.

    Args:
        network: to train.
        statistics: what is known of the shards.
        partition: the shards.
        examples: n queries.
        settings: of the training.
        seed: of everything random.
        validate: measures it after every epoch.
        place: where it can be interrupted; nowhere when None.
    """
    known, vectors = shard_inputs(statistics, examples.clues)
    targets, weights = torch.from_numpy(shard_targets(partition, examples)), torch.from_numpy(examples.weights)
    sizes = torch.from_numpy((partition.sizes / partition.sizes.sum()).astype(np.float32))
    network.measure(known)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=1e-3)

    def loss(batch: NDArray[np.int64]) -> Tensor:
        scores = network(vectors[batch], known[batch])
        return shard_loss(scores, targets[batch], weights[batch], sizes, settings.balance)

    def learn(number: int, report: Report) -> float:
        batches = list(_batches(len(examples), settings.batch, epoch_generator(seed, number)))
        network.train()
        return learn_batches(batches, loss, optimizer, report)

    _run("training shards", network, optimizer, learn, settings.shard_epochs, validate, place)


def train_decoder(
    decoder: DocidDecoder,
    sources: Sequence[tuple[TreeView, Examples]],
    settings: RouterTraining,
    seed: int,
    *,
    teacher: DocidDecoder | None = None,
    validate: Validate | None = None,
    place: Place | None = None,
) -> None:
    """Train a decoder in place, on one corpus or several.

    Args:
        decoder: to train.
        sources: trees with examples over their corpora.
        settings: of the training.
        seed: of everything random.
        teacher: a former decoder whose adapted query vectors this one should stay near (``settings.distillation``).
        validate: measures it after every epoch.
        place: where it can be interrupted; nowhere when None.
    """
    few = [*decoder.judges.parameters(), decoder.sharpness]
    known = {id(parameter) for parameter in few}
    many = [parameter for parameter in decoder.parameters() if id(parameter) not in known]
    groups = [{"params": many, "lr": settings.decoder_rate}, {"params": few, "lr": settings.judge_rate}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.05)

    def loss(batch: tuple[TreeView, Examples]) -> Tensor:
        return _decoder_loss(decoder, *batch, settings, teacher)

    def learn(number: int, report: Report) -> float:
        batches = list(_mixed(sources, settings.decoder_batch, epoch_generator(seed, number)))
        decoder.train()
        return learn_batches(batches, loss, optimizer, report)

    _run("training the docid decoder", decoder, optimizer, learn, settings.decoder_epochs, validate, place)


def _run(
    phase: str,
    network: ShardNetwork | DocidDecoder,
    optimizer: torch.optim.Optimizer,
    learn: Callable[[int, Report], float],
    epochs: int,
    validate: Validate | None,
    place: Place | None,
) -> None:
    """Run the epochs of a network; torch's own generator, which dropout draws from, is given back as it was."""

    def score() -> dict[str, float]:
        network.eval()
        with torch.no_grad():
            return {"score": 0.0 if validate is None else validate()}

    with torch.random.fork_rng(devices=[]), TemporaryDirectory(prefix="trailhound-") as nowhere:
        at = place or Place(Path(nowhere), {})
        name = "shards" if isinstance(network, ShardNetwork) else "decoder"
        run_epochs(
            EpochRun(at.folder, at.described, phase, epochs, network, optimizer, learn, score, name=name), at.progress
        )
    network.eval()


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
    wanted = torch.from_numpy(examples.wanted)
    losses = decoder.losses(view, examples.clues, wanted, settings.beam).sum(dim=1)
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


def _batches(count: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    order = rng.permutation(count)
    for first in range(0, count, size):
        yield order[first : first + size]

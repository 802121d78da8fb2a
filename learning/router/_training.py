"""Making and training a router: partition, docids, networks, temperatures and figures on held-out queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...retrievers._calibration import Scores, calibration_error, fit_logistic, fit_temperature, softmax
from ...retrievers.protocols import Progress
from ...retrievers.router._clues import Corpus, stacked
from ...retrievers.router._decoder import DecoderSettings, DocidDecoder, TreeView, wanted_children_of
from ...retrievers.router._docids import NONE, DocidSettings, DocidTree
from ...retrievers.router._router import BEAM, Networks, Router, Temperatures
from ...retrievers.router._shards import Partition, ShardNetwork, ShardStatistics, partition, shard_inputs
from .._epochs import EpochRun, Report, epoch_generator, learn_batches, run_epochs
from ._examples import Examples

Validate = Callable[[], float]
"""Returns how good a network is on held-out queries, higher is better."""


@dataclass(frozen=True, slots=True)
class RouterTraining:
    """Settings of a router's training."""

    # shard_epochs, decoder_epochs: passes over the examples
    shard_epochs: int = 20
    decoder_epochs: int = 3
    batch: int = 64  # queries to a step of the shard network
    # queries to a step of the decoder. Small: its judges start from nothing and learn by the step
    decoder_batch: int = 8
    rate: float = 3e-3  # learning rate of the shard network
    decoder_rate: float = 5e-5  # of the decoder's large matrices; few questions teach them little, and much of it wrong
    judge_rate: float = 2e-2  # of the decoder's few weights that judge cosines and words
    balance: float = 0.02  # weight of the divergence between the shards' mean probability and their sizes
    beam: int = 8  # nodes that the decoder follows while it learns
    distillation: float = 0.0  # weight of the distance to the vectors that the former decoder makes of the queries


def shard_targets(partition: Partition, examples: Examples) -> NDArray[np.float32]:
    """Return the share of each query's wanted passages that lie in every shard, float32 [n, S]."""
    targets = np.zeros((len(examples), len(partition)), np.float32)
    query, place = np.nonzero(examples.wanted >= 0)
    np.add.at(targets, (query, partition.shard[examples.wanted[query, place]]), 1)
    return np.asarray(targets / np.maximum(targets.sum(axis=1, keepdims=True), 1e-9), np.float32)


def shard_loss(scores: Tensor, targets: Tensor, weights: Tensor, sizes: Tensor, balance: float) -> Tensor:
    """Return the loss of routing b queries to S shards, with scores and targets [b, S] and the queries' weights [b].

    ``balance`` weighs the divergence between the shards' mean probability and their sizes, shares [S] of all passages.
    """
    losses = -(targets * scores.log_softmax(dim=1)).sum(dim=1)
    mean = scores.softmax(dim=1).mean(dim=0).clamp(min=1e-9)
    divergence = (mean * (mean.log() - sizes.clamp(min=1e-9).log())).sum()
    return (weights * losses).sum() / weights.sum() + balance * divergence


@dataclass(frozen=True, slots=True)
class Place:
    """Where a training keeps its checkpoint, so that it goes on when it was interrupted."""

    folder: Path  # of the run
    described: Mapping[str, Any]  # everything that decides what the run leads to
    progress: Progress | None = None  # called with (stage, done, total) at every batch


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
    """Train a shard network, measured by ``validate`` after every epoch; it can be interrupted at ``place``."""
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
    """Train a decoder in place, on the trees and examples of one corpus or several.

    ``teacher`` is a former decoder whose adapted query vectors this one should stay near (``settings.distillation``);
    ``validate`` measures it after every epoch; at ``place`` it can be interrupted.
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


_SLICE = 64
"""Queries decoded at once."""

_PLENTY = 1500
"""Queries that the default number of the decoder's epochs is meant for."""


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """How a router is made."""

    shards: int = 8  # how many
    smoothing: float = 0.5  # how far linked passages are drawn into one shard
    docids: DocidSettings = field(default_factory=DocidSettings)  # shape of the docid tree
    hidden: int = 384  # numbers in the decoder's state
    words: bool = True  # whether the decoder sees the query's words beside its vector
    held_out: float = 0.1  # share of the queries that temperatures and figures come from
    training: RouterTraining = field(default_factory=RouterTraining)  # of the networks


@dataclass(frozen=True, slots=True)
class Made:
    """A router, and its figures on the held-out queries (shares from 0 to 1)."""

    router: Router
    figures: Mapping[str, float]


def make_router(
    corpus: Corpus,
    examples: Examples,
    settings: RouterSettings,
    seed: int,
    links: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
    place: Place | None = None,
) -> Made:
    """Make and train a router; the same arguments give the same one.

    Args:
        corpus: what it routes to.
        examples: what it learns from, at least two.
        settings: how.
        seed: of everything random.
        links: (source, target) rows of linked passages.
        place: where it can be interrupted, to go on when it is called again; nowhere when None.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = partition(corpus.vectors, settings.shards, rng, links, settings.smoothing)
        tree = DocidTree.build(corpus.vectors, rng, settings.docids)
        train, held_out = examples.parted(settings.held_out, rng)
        dimension = corpus.vectors.shape[1]
        sizes = DecoderSettings(dimension, tree.depth, settings.hidden, settings.words)
        networks = Networks(ShardNetwork(dimension, settings.shards), DocidDecoder.at_start(sizes))
    router = Router(corpus, parts, tree, networks)
    train_shards(
        networks.shards,
        router.statistics,
        router.partition,
        train,
        settings.training,
        seed,
        validate=lambda: _shard_figures(router, held_out).get("shards@2", 1.0),
        place=place,
    )
    train_decoder(
        networks.decoder,
        [(router.view, train)],
        _longer(settings.training, len(train)),
        seed,
        validate=lambda: float(_right_docids(router, held_out)[:, 0].mean()),
        place=place,
    )
    router.temperatures = fitted_temperatures(router, held_out)
    return Made(router, measured(router, held_out))


def _longer(training: RouterTraining, queries: int) -> RouterTraining:
    """Return a training that goes over few queries more often, up to twice, so that its steps come to about as many."""
    times = min(max(_PLENTY / max(queries, 1), 1), 2)
    return replace(training, decoder_epochs=round(training.decoder_epochs * times))


def decoded(router: Router, examples: Examples, levels: int, beam: int = BEAM) -> tuple[NDArray[np.int64], Scores]:
    """Return what a beam holds after ``levels`` codes, [n, k], NONE where it holds fewer, with the scores."""
    found, scores = [], []
    with torch.no_grad():
        for first in range(0, len(examples), _SLICE):
            part = examples.clues[first : first + _SLICE]
            answer = router.networks.decoder.decode(router.view, part, beam, levels)
            found.append(answer.found.numpy())
            scores.append(answer.scores.numpy())
    return np.concatenate(found), np.concatenate(scores)


def fitted_temperatures(router: Router, held_out: Examples) -> Temperatures:
    """Fit every temperature of a router on held-out queries."""
    known, vectors = shard_inputs(router.statistics, held_out.clues)
    with torch.no_grad():
        scores = router.networks.shards(vectors, known).numpy()
    shards = fit_temperature(scores, shard_targets(router.partition, held_out))
    found, beam_scores = decoded(router, held_out, router.tree.depth)
    there = found != NONE
    slope, offset = fit_logistic(beam_scores[there], _right(router, held_out, found, router.tree.depth)[there])
    docids = _beam_temperature(router, held_out, router.tree.depth)
    prefixes = _beam_temperature(router, held_out, 1) if router.tree.depth > 1 else 1.0
    return Temperatures(shards, prefixes, docids, slope, offset)


def _beam_temperature(router: Router, held_out: Examples, levels: int) -> float:
    found, scores = decoded(router, held_out, levels)
    right = _right(router, held_out, found, levels).astype(np.float32)
    shares = right / np.maximum(right.sum(axis=1, keepdims=True), 1)
    return fit_temperature(np.where(found == NONE, -1e9, scores), shares)


def _right(router: Router, examples: Examples, found: NDArray[np.int64], levels: int) -> NDArray[np.bool_]:
    """Return which of the nodes or rows found lead to a wanted passage, bool [n, k]."""
    wanted = wanted_children_of(router.tree, examples.wanted, levels)
    matches = (found[:, :, None] == wanted[:, None, :]) & (wanted != NONE)[:, None, :]
    return np.asarray(matches.any(axis=2))


def _right_docids(router: Router, examples: Examples) -> NDArray[np.bool_]:
    """Return which of the passages that a beam holds are wanted, best first, bool [n, k]."""
    found, _ = decoded(router, examples, router.tree.depth)
    return _right(router, examples, found, router.tree.depth)


def measured(router: Router, held_out: Examples) -> dict[str, float]:
    """Return what a router can do on queries that it did not learn from.

    ``shards@k``: share of the wanted passages in the first k shards; ``prefix@8``: queries with one below the first
    eight one-code prefixes; ``docid_hits@1``, ``docid_recall@5``; ``shard_calibration``: mean distance of the first
    shard's probability from how often it is right, over five bins.
    """
    figures = _shard_figures(router, held_out)
    if router.tree.depth > 1:
        found, _ = decoded(router, held_out, 1)
        figures["prefix@8"] = float(_right(router, held_out, found[:, :8], 1).any(axis=1).mean())
    right = _right_docids(router, held_out)
    wanted = (held_out.wanted != NONE).sum(axis=1)
    figures["docid_hits@1"] = float(right[:, 0].mean())
    figures["docid_recall@5"] = float((right[:, :5].sum(axis=1) / wanted).mean())
    return figures


def _shard_figures(router: Router, held_out: Examples) -> dict[str, float]:
    """Return the figures of the shards."""
    targets = shard_targets(router.partition, held_out)
    known, vectors = shard_inputs(router.statistics, held_out.clues)
    with torch.no_grad():
        scores = router.networks.shards(vectors, known).numpy()
    order = np.argsort(-scores, axis=1, kind="stable")
    right = np.take_along_axis(targets, order, axis=1)
    covered = right.cumsum(axis=1).mean(axis=0)
    figures = {f"shards@{most}": float(covered[most - 1]) for most in (1, 2, 3) if most <= len(covered)}
    confidence = softmax(scores, router.temperatures.shards).max(axis=1)
    return figures | {"shard_calibration": calibration_error(confidence, right[:, 0], bins=5)}

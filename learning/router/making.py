"""Making a router for a corpus: partition, docids, training, temperatures, and what it can do on held-out queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...retrievers.calibration import Scores, calibration_error, fit_logistic, fit_temperature, softmax
from ...retrievers.router.clues import Corpus
from ...retrievers.router.decoder import DecoderSettings, DocidDecoder, wanted_children_of
from ...retrievers.router.docids import NONE, DocidSettings, DocidTree
from ...retrievers.router.router import BEAM, Networks, Router, Temperatures
from ...retrievers.router.shards import ShardNetwork, partition, shard_inputs
from .examples import Examples
from .training import Place, RouterTraining, shard_targets, train_decoder, train_shards

_SLICE = 64
"""Queries decoded at once."""

_PLENTY = 1500
"""Queries that the default number of the decoder's epochs is meant for."""


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """How a router is made.

    Attributes:
        shards: how many.
        smoothing: how far linked passages are drawn into one shard.
        docids: shape of the docid tree.
        hidden: numbers in the decoder's state.
        words: whether the decoder sees the query's words beside its vector.
        held_out: share of the queries that temperatures and figures come from.
        training: of the networks.
    """

    shards: int = 8
    smoothing: float = 0.5
    docids: DocidSettings = field(default_factory=DocidSettings)
    hidden: int = 384
    words: bool = True
    held_out: float = 0.1
    training: RouterTraining = field(default_factory=RouterTraining)


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
    slope, offset = _docid_odds(router, held_out)
    docids = _beam_temperature(router, held_out, router.tree.depth)
    prefixes = _beam_temperature(router, held_out, 1) if router.tree.depth > 1 else 1.0
    return Temperatures(shards, prefixes, docids, slope, offset)


def _beam_temperature(router: Router, held_out: Examples, levels: int) -> float:
    found, scores = decoded(router, held_out, levels)
    right = _right(router, held_out, found, levels).astype(np.float32)
    return fit_temperature(
        np.where(found == NONE, -1e9, scores), right / np.maximum(right.sum(axis=1, keepdims=True), 1)
    )


def _docid_odds(router: Router, held_out: Examples) -> tuple[float, float]:
    """Return slope and offset of the log-odds that a docid is right, from all that the beam holds."""
    found, scores = decoded(router, held_out, router.tree.depth)
    there = found != NONE
    return fit_logistic(scores[there], _right(router, held_out, found, router.tree.depth)[there])


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

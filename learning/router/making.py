"""Making a router for a corpus: partition, docids, training, temperatures, and what it can do on held-out queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...retrievers.calibration import Scores, calibration_error, fit_logistic, fit_temperature, softmax
from ...retrievers.protocols import Progress, SubIndex
from ...retrievers.router.clues import Corpus, stacked
from ...retrievers.router.decoder import DecoderSettings, DocidDecoder
from ...retrievers.router.docids import NONE, DocidSettings, DocidTree
from ...retrievers.router.network import PlanNetwork, ShardNetwork, plan_clues, shard_inputs
from ...retrievers.router.router import BEAM, Networks, Router, Temperatures
from ...retrievers.router.shards import partition
from ...retrievers.router.tree_view import wanted_children_of
from .examples import Examples
from .training import RouterTraining, shard_targets, train_decoder, train_plan, train_shards

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
    sub_indexes: Sequence[SubIndex] = (),
    progress: Progress | None = None,
) -> Made:
    """Make and train a router; the same arguments give the same one.

    Args:
        corpus: what it routes to.
        examples: what it learns from, at least two.
        settings: how.
        seed: of everything random.
        links: (source, target) rows of linked passages.
        sub_indexes: what a plan may choose from; none for a router without plans.
        progress: hears of the stages.
    """
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = partition(corpus.vectors, settings.shards, rng, links, settings.smoothing)
        tree = DocidTree.build(corpus.vectors, rng, settings.docids)
        train, held_out = examples.parted(settings.held_out, rng)
        dimension = corpus.vectors.shape[1]
        networks = Networks(
            ShardNetwork(dimension, settings.shards),
            DocidDecoder.at_start(DecoderSettings(dimension, tree.depth, settings.hidden, settings.words)),
            PlanNetwork(dimension, len(sub_indexes)) if sub_indexes else None,
            tuple(index.name for index in sub_indexes),
        )
        router = Router(corpus, parts, tree, networks)
        train_shards(networks.shards, router.statistics, router.partition, train, settings.training, rng, progress)
        if networks.plan is not None:
            train_plan(networks.plan, train, plan_rewards(sub_indexes, train), settings.training, rng, progress)
        longer = _longer(settings.training, len(train))
        train_decoder(networks.decoder, [(router.view, train)], longer, rng, progress=progress)
    router.temperatures = fitted_temperatures(router, held_out, sub_indexes)
    return Made(router, measured(router, held_out, sub_indexes))


def _longer(training: RouterTraining, queries: int) -> RouterTraining:
    """Return a training that goes over few queries more often, up to twice, so that its steps come to about as many."""
    times = min(max(_PLENTY / max(queries, 1), 1), 2)
    return replace(training, decoder_epochs=round(training.decoder_epochs * times))


def plan_rewards(sub_indexes: Sequence[SubIndex], examples: Examples, limit: int = 5) -> NDArray[np.float32]:
    """Return the share of each query's reward that the first ``limit`` passages of every sub-index have, [n, i]."""
    rewards = np.zeros((len(examples), len(sub_indexes)), np.float32)
    for place, query in enumerate(examples.queries):
        total = max(float(examples.rewards[place].sum()), 1e-9)
        for choice, index in enumerate(sub_indexes):
            found = np.isin(examples.wanted[place], index.search(query, limit).rows)
            rewards[place, choice] = examples.rewards[place][found].sum() / total
    return rewards


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


def fitted_temperatures(router: Router, held_out: Examples, sub_indexes: Sequence[SubIndex] = ()) -> Temperatures:
    """Fit every temperature of a router on held-out queries."""
    known, vectors = shard_inputs(router.statistics, held_out.clues)
    with torch.no_grad():
        shards = fit_temperature(
            router.networks.shards(vectors, known).numpy(), shard_targets(router.partition, held_out)
        )
    slope, offset = _docid_odds(router, held_out)
    docids = _beam_temperature(router, held_out, router.tree.depth)
    fitted = Temperatures(shards=shards, docids=docids, slope=slope, offset=offset)
    if router.tree.depth > 1:
        fitted = replace(fitted, prefixes=_beam_temperature(router, held_out, 1))
    if router.networks.plan is not None and sub_indexes:
        with torch.no_grad():
            scores = router.networks.plan(vectors, plan_clues(held_out.clues)).numpy()
        rewards = plan_rewards(sub_indexes, held_out)
        fitted = replace(
            fitted, plan=fit_temperature(scores, rewards / np.maximum(rewards.sum(axis=1, keepdims=True), 1e-9))
        )
    return fitted


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


def measured(router: Router, held_out: Examples, sub_indexes: Sequence[SubIndex] = ()) -> dict[str, float]:
    """Return what a router can do on queries that it did not learn from.

    ``shards@k``: share of the wanted passages in the first k shards (weighed by what they are worth there, over the
    queries that need a shard at all); ``prefix@8``: queries with one below the first eight one-code prefixes;
    ``docid_hits@1``, ``docid_recall@5``; ``shard_calibration``: mean distance of the first shard's probability from how
    often it is right, over five bins; ``plan_reward``: recall at 5 of the sub-index asked first, beside ``plan_best``
    of the best single one; only with ``sub_indexes``.
    """
    figures = _shard_figures(router, held_out)
    if router.tree.depth > 1:
        found, _ = decoded(router, held_out, 1)
        figures["prefix@8"] = float(_right(router, held_out, found[:, :8], 1).any(axis=1).mean())
    found, _ = decoded(router, held_out, router.tree.depth)
    right = _right(router, held_out, found, router.tree.depth)
    wanted = (held_out.wanted != NONE).sum(axis=1)
    figures["docid_hits@1"] = float(right[:, 0].mean())
    figures["docid_recall@5"] = float((right[:, :5].sum(axis=1) / wanted).mean())
    if router.networks.plan is not None and sub_indexes:
        rewards = plan_rewards(sub_indexes, held_out)
        vectors = torch.from_numpy(stacked(held_out.clues))
        with torch.no_grad():
            chosen = router.networks.plan(vectors, plan_clues(held_out.clues)).numpy().argmax(axis=1)
        figures["plan_reward"] = float(rewards[np.arange(len(chosen)), chosen].mean())
        figures["plan_best"] = float(rewards.mean(axis=0).max())
    return figures


def _shard_figures(router: Router, held_out: Examples) -> dict[str, float]:
    """Return the figures of the shards; none where no query needs one."""
    targets = shard_targets(router.partition, held_out)
    needing = np.flatnonzero(targets.any(axis=1))
    if not len(needing):
        return {}
    known, vectors = shard_inputs(router.statistics, [held_out.clues[place] for place in needing])
    with torch.no_grad():
        scores = router.networks.shards(vectors, known).numpy()
    order = np.argsort(-scores, axis=1, kind="stable")
    right = np.take_along_axis(targets[needing], order, axis=1)
    covered = right.cumsum(axis=1).mean(axis=0)
    figures = {f"shards@{most}": float(covered[most - 1]) for most in (1, 2, 3) if most <= len(covered)}
    confidence = softmax(scores, router.temperatures.shards).max(axis=1)
    return figures | {"shard_calibration": calibration_error(confidence, right[:, 0], bins=5)}

"""All that a search has seen when it ends, whether it took it or not: what the final order is learned from.

Every number is relative to the question's own lists and to the corpus: ranks, shares of the best score, and cosines in
standard deviations over the corpus. So one ranker serves every encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph._knowledge_graph import GROUPS, Relation
from ..index._searchable import Searchable
from ..retrievers.records import Hits, Rows, Vectors
from ._lane import Lane
from ._world import QuestionWorld
from .settings import DYNAMIC, FOUND_BY, SEEN, STATIC, SUB_INDEXES

SEEN_FEATURES = (
    "lexical_listed",  # it is among the passages that the question's words found
    "lexical_rank",  # 1 / (1 + rank / 5), 0 where it is not listed
    "lexical_score",  # share of the best score
    "lexical_height",  # the same with the last score of the list as 0
    "coverage",  # idf-weighted share of the question's terms that it has, as a share of the most that one has
    "coverage_height",  # the same share, standardised over what was seen
    "dense_listed",
    "dense_rank",
    "dense",  # cosine, standardised over the corpus
    "dense_below",  # how far below the nearest passage, in the same unit
    "dense_height",  # cosine, standardised over what the vector found
    "fused",  # logarithm of the reciprocal rank fusion of both
    "fused_rank",  # 10 / (10 + rank)
    "late_below",  # MaxSim of the word pieces: how far below the best
    "late_height",  # MaxSim, standardised over what was seen
    "late_rank",
    "feedback_rank",  # 1 / (1 + rank / 5) where the policy asked with feedback
    "likeness",  # cosine with the mean vector of the first three, below the best, standardised over what was seen
    "neighbourhood",  # mean fused rank of the passages most like it
    "adjacent",  # best fused rank of the chunks before and after it
    "named",  # the question names it, by title or identifier
    "in_view",
    "taken",
    "taken_order",  # 1 / (1 + place among the evidence)
    "take",  # the policy's last score for taking it, squashed
    "policy_rank",  # 1 / (1 + rank / 5) in the policy's own order: its evidence, then the rest by its last scores
    "found_by_hop",  # best 1 / (1 + rank) that following edges gave it
    "found_given_evidence",  # the same of queries with evidence
    "conditioned_dense",  # best cosine with a query with evidence, standardised
    "stop",  # of the whole search from here on: log-odds of STOP at the end / 8
    "weakest_take",  # log-probability of the least sure TAKE / 6
    "evidence",  # passages taken / most that can be taken
    "agreement",  # share of the first ten passages that both lists have
    "nearest",  # how near the nearest passage is, standardised over the corpus
    "covered",  # the most of the question's terms that one passage has
)
"""What is known of a passage when a search ends."""

EDGES = ("nearest", "adjacent", "mentions", "shares")
"""Kinds of neighbours among what was seen."""

LATE = slice(SEEN_FEATURES.index("late_below"), SEEN_FEATURES.index("late_rank") + 1)

_LEXICAL, _DENSE, _FEEDBACK = (SUB_INDEXES.index(name) for name in ("lexical", "dense", "feedback"))
_FOUND = len(STATIC)
_HOPS = slice(_FOUND + len(SUB_INDEXES), _FOUND + len(SUB_INDEXES) + len(GROUPS))
_GIVEN = slice(_HOPS.stop, _FOUND + len(FOUND_BY))
_CONDITIONED = _FOUND + DYNAMIC.index("conditioned_dense")
_SIMILAR = 5
_COMPARED = 64
"""Passages whose word pieces are compared: what was taken, and then the first of the fusion."""
_FIRST = 3
_FUSION = 60


@dataclass(frozen=True, slots=True)
class Seen:
    """What a search has seen.

    Attributes:
        rows: int64 [n], ascending.
        features: float32 [n, len(SEEN_FEATURES)].
        edges: float32 [len(EDGES), n, n]: the weights of each passage's neighbours, which sum to 1, or 0 for none.
    """

    rows: Rows
    features: NDArray[np.float32]
    edges: NDArray[np.float32]


def seen_in(
    state: Lane, candidates: NDArray[np.float32], takes: NDArray[np.float32], signals: NDArray[np.float64]
) -> Seen:
    """Return what a search over texts has seen that has ended.

    Args:
        state: of the search.
        candidates: features of its frontier, float32 [k, static and dynamic].
        takes: the policy's last scores for taking the first of them, float32 [at most k].
        signals: how sure the policy was, see ``trailhound.agent._rollout.SIGNALS``: log-odds of STOP first, then the
            log-probability of the least sure TAKE.
    """
    world = state.world
    index, view = world.index, world.view
    lexical, dense = (world.seen(number, ()) if world.offers[number] else _NOTHING for number in (_LEXICAL, _DENSE))
    in_view = world.rows[state.places[: state.count]]
    asked_again = world.seen(_FEEDBACK, ()) if state.pages.get((_FEEDBACK, -1)) else _NOTHING
    rows = np.unique(np.concatenate((lexical.rows, dense.rows, asked_again.rows, in_view)))
    n = len(rows)
    features = np.zeros((n, len(SEEN_FEATURES)), np.float32)
    columns = dict(zip(SEEN_FEATURES, features.T, strict=True))
    if not n:
        return Seen(rows, features, np.zeros((len(EDGES), 0, 0), np.float32))
    vectors = index.dense.reconstruct(rows)
    near, order = _of_lists(columns, rows, lexical, dense)
    _of_words(columns, view.coverage(index, rows), rows, lexical)
    _of_vectors(columns, index, view.vector, vectors, np.isfinite(_ranks(rows, dense)))
    edges = _edges(index, rows, vectors)
    columns["neighbourhood"][:] = edges[0] @ near
    columns["adjacent"][:] = (np.minimum(edges[1] * n, 1) * near).max(axis=1)
    first = np.isin(rows, world.rows[state.places[state.evidence]])
    _of_pieces(columns, world, rows, np.argsort(-near - 1.0 * first, kind="stable")[:_COMPARED])
    columns["feedback_rank"][:] = 1 / (1 + _ranks(rows, asked_again) / 5)
    likeness = vectors @ vectors[order[:_FIRST]].mean(axis=0)
    columns["likeness"][:] = _standardised(likeness, likeness) / 3
    if view.named:
        columns["named"][np.isin(rows, list(view.named))] = 1
    _policy(columns, np.searchsorted(rows, in_view), state, candidates, takes, signals)
    return Seen(rows, features, edges)


def _of_lists(
    columns: Columns, rows: Rows, lexical: Hits, dense: Hits
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Fill in what both lists say; returns 10 / (10 + rank) in their fusion, and its order, [n] each."""
    by_words, by_vector = _ranks(rows, lexical), _ranks(rows, dense)
    _listed(columns, "lexical", by_words)
    _listed(columns, "dense", by_vector)
    fused = (by_words < SEEN) / (_FUSION + 1 + by_words) + (by_vector < SEEN) / (_FUSION + 1 + by_vector)
    columns["fused"][:] = np.log(fused * _FUSION + 1e-2)
    order = np.argsort(-fused, kind="stable")
    near = np.empty(len(rows))
    near[order] = 10 / (10 + np.arange(len(rows)))
    columns["fused_rank"][:] = near
    columns["agreement"][:] = len(np.intersect1d(lexical.rows[:10], dense.rows[:10])) / 10
    return near, order


def _of_words(columns: Columns, coverage: NDArray[np.float32], rows: Rows, lexical: Hits) -> None:
    """Fill in what the question's words say."""
    if len(lexical):
        scores = np.zeros(len(rows), np.float32)
        scores[np.searchsorted(rows, lexical.rows)] = lexical.scores
        top, low = float(lexical.scores[0]), float(lexical.scores[-1])
        columns["lexical_score"][:] = scores / max(top, 1e-6)
        columns["lexical_height"][:] = np.maximum(scores - low, 0) / max(top - low, 1e-6)
    columns["coverage"][:] = coverage / max(float(coverage.max()), 1e-6)
    columns["coverage_height"][:] = _standardised(coverage, coverage) / 3
    columns["covered"][:] = coverage.max()


def _of_vectors(
    columns: Columns, index: Searchable, asked: Vectors, vectors: Vectors, listed: NDArray[np.bool_]
) -> None:
    """Fill in what the question's vector says of the passages', float32 [n, d]."""
    cosines = vectors @ asked
    usual, deviation = index.sample.spread(asked)
    columns["dense"][:] = (cosines - usual) / deviation / 4
    columns["dense_below"][:] = (cosines - cosines.max()) / deviation
    columns["dense_height"][:] = _standardised(cosines, cosines[listed]) / 3
    columns["nearest"][:] = columns["dense"].max()


def _of_pieces(columns: Columns, world: QuestionWorld, rows: Rows, compared: NDArray[np.int64]) -> None:
    """Fill in what the question's word pieces say of those that are compared, where the index keeps any."""
    late = _late(world, rows, compared)
    if late is not None:
        columns["late_below"][:] = (late - late.max()) * 5
        columns["late_height"][:] = _standardised(late, late) / 3
        columns["late_rank"][np.argsort(-late, kind="stable")] = 1 / (1 + np.arange(len(rows)) / 5)


Columns = dict[str, NDArray[np.float32]]
"""A view of each feature, by its name."""

_NOTHING = Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))


def _ranks(rows: Rows, hits: Hits) -> NDArray[np.float64]:
    """Return the rank of each of the ascending ``rows`` in a list, from 0; infinite where it is not listed."""
    ranks = np.full(len(rows), np.inf)
    ranks[np.searchsorted(rows, hits.rows)] = np.arange(len(hits))
    return ranks


def _listed(columns: dict[str, NDArray[np.float32]], name: str, ranks: NDArray[np.float64]) -> None:
    columns[f"{name}_listed"][:] = np.isfinite(ranks)
    columns[f"{name}_rank"][:] = 1 / (1 + ranks / 5)


def _late(world: QuestionWorld, rows: Rows, compared: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """Return how well the question's word pieces fit each row, float32 [n]; what is not compared, like the least."""
    found = world.late_scores(rows[compared])
    if found is None:
        return None
    late = np.full(len(rows), found.min(), np.float32)
    late[compared] = found
    return late


def _standardised(values: NDArray[np.float32], among: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(among):
        return np.zeros(len(values), np.float32)
    return np.asarray((values - among.mean()) / max(float(among.std()), 1e-6), np.float32)


def _policy(
    columns: dict[str, NDArray[np.float32]],
    places: NDArray[np.int64],
    state: Lane,
    candidates: NDArray[np.float32],
    takes: NDArray[np.float32],
    signals: NDArray[np.float64],
) -> None:
    """Fill in what the policy made of the frontier, whose passages stand at ``places``."""
    frontier = candidates[: state.count]
    columns["in_view"][places] = 1
    columns["taken"][places[state.evidence]] = 1
    columns["taken_order"][places[state.evidence]] = 1 / (1 + np.arange(len(state.evidence)))
    columns["take"][places[: len(takes)]] = np.tanh(takes / 4)
    scores = np.full(state.count, -np.inf)  # what came too late to be scored stands last
    scores[: len(takes)] = takes
    scores[state.evidence] = np.inf
    rest = np.argsort(-scores, kind="stable")[len(state.evidence) :]
    columns["policy_rank"][places[[*state.evidence, *rest.tolist()]]] = 1 / (1 + np.arange(state.count) / 5)
    columns["found_by_hop"][places] = frontier[:, _HOPS].max(axis=1)
    columns["found_given_evidence"][places] = frontier[:, _GIVEN].max(axis=1)
    columns["conditioned_dense"][places] = frontier[:, _CONDITIONED]
    columns["stop"][:] = signals[0] / 8
    columns["weakest_take"][:] = signals[1] / 6
    columns["evidence"][:] = len(state.evidence) / state.world.settings.max_evidence


def _edges(index: Searchable, rows: Rows, vectors: Vectors) -> NDArray[np.float32]:
    """Return the neighbours of each passage among ``rows``, by kind: float32 [len(EDGES), n, n]."""
    n = len(rows)
    edges = np.zeros((len(EDGES), n, n), np.float32)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    count = min(_SIMILAR, n - 1)
    if count:
        nearest = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        np.put_along_axis(edges[0], nearest, np.exp(8 * (np.take_along_axis(alike, nearest, axis=1) - 1)), axis=1)
    source, target, relation = index.graph.links_between(rows)
    for number, kinds in enumerate(_KINDS, start=1):
        chosen = np.isin(relation, kinds)
        edges[number, source[chosen], target[chosen]] = 1
        edges[number, target[chosen], source[chosen]] = 1
    edges /= np.maximum(edges.sum(axis=2, keepdims=True), 1e-6)
    return edges


_KINDS = ((Relation.ADJACENT,), (Relation.TITLE_MENTION, Relation.ALIAS_MENTION), (Relation.SHARES,))

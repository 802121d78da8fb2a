"""What the linear re-rankers see of a candidate: a few numbers from 0 to 1, and the log of its rank.

Every function returns float64 [n, features]; no number depends on the order in which the candidates are given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...envs.question_view import QuestionView
from ...envs.similarity import similarity
from ...graph.pagerank import PageRank
from ...index.index import Index
from ...retrievers.records import Candidates, Query

SPARSE_DEPTH = 100
"""Passages of the lexical index whose scores are looked up; what is not among them has the score of the last."""

FAINTEST = 1e-4
"""Share of the greatest PageRank among the candidates below which a share counts as this."""

Features = Callable[[Query, Candidates], NDArray[np.float64]]

HYBRID = ("first_stage", "sparse", "dense")
GRAPH = ("first_stage", "named", "page_rank", "linked")
NAMES = {"hybrid": HYBRID, "graph": GRAPH}
"""Kind of re-ranker -> what its weights belong to, in order."""


def features_of(kind: str, index: Index) -> Features:
    """Return what computes the features of a kind over an index."""
    return HybridFeatures(index) if kind == "hybrid" else GraphFeatures(index)


class HybridFeatures:
    """How well the words and the vectors agree.

    *first_stage*: -log of the rank that the candidate came with. *sparse*: its BM25 score over the best there is.
    *dense*: its cosine with the question.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def __call__(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the features, float64 [n, 3]."""
        vector = query.vector if query.vector is not None else self._index.query(query.text).vector
        assert vector is not None  # `Index.query` encodes
        hits = self._index.lexical.search(query, SPARSE_DEPTH)
        best = float(hits.scores[:1].sum()) or 1.0
        known = dict(zip(hits.rows.tolist(), (hits.scores / best).tolist(), strict=True))
        last = min(known.values()) if len(hits) == SPARSE_DEPTH else 0.0
        sparse = [known.get(row, last) for row in candidates.rows.tolist()]
        dense = similarity(self._index, candidates.rows, vector)
        return np.column_stack((-np.log(candidates.first_ranks()), np.array(sparse, np.float64), dense))


class GraphFeatures:
    """How the candidates hang together.

    *first_stage*: -log of the rank that the candidate came with. *named*: whether the question names its title.
    *page_rank*: the log of its PageRank, walked from the titles that the question names and from the candidates by
    1 / rank, over the greatest among the candidates, scaled from ``FAINTEST`` (0) to the greatest (1). *linked*: the
    share of the other candidates, by 1 / rank, that it mentions or that mention it.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._pagerank = PageRank(index.graph)

    def __call__(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the features, float64 [n, 4]."""
        if not len(candidates):
            return np.zeros((0, len(GRAPH)))
        ranks = candidates.first_ranks()
        named = QuestionView.of(
            self._index, query.text, np.zeros(0, np.float32)
        ).named  # its titles are all that counts
        seeds = dict.fromkeys(named, 1.0)
        for row, rank in sorted(zip(candidates.rows.tolist(), ranks.tolist(), strict=True)):
            seeds[row] = seeds.get(row, 0.0) + 1 / rank
        mass = self._pagerank.personalised(seeds)[candidates.rows]
        strength = 1 - np.log(np.maximum(mass / mass.max(), FAINTEST)) / np.log(FAINTEST)
        is_named = np.array([row in named for row in candidates.rows.tolist()], np.float64)
        return np.column_stack((-np.log(ranks), is_named, strength, self._linked(candidates, 1 / ranks)))

    def _linked(self, candidates: Candidates, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each candidate the share of the others that a mention links it with, float64 [n]."""
        place = {row: k for k, row in enumerate(candidates.rows.tolist())}
        linked = np.zeros((len(candidates), len(candidates)), np.bool_)
        for row, k in place.items():
            for other in self._index.graph.neighbours(row, "mentions").rows.tolist():
                if other in place and other != row:
                    linked[k, place[other]] = linked[place[other], k] = True
        order = np.argsort(candidates.rows)  # added up in the order of the rows, so that sums round alike
        sums = (linked[:, order] * weights[order]).sum(axis=1)
        total = weights[order].sum() - weights
        shares: NDArray[np.float64] = np.divide(sums, total, out=np.zeros(len(candidates)), where=total > 0)
        return shares

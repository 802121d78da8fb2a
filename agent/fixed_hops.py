"""The fixed pipeline that follows every mention: from what was found and named, ``k`` hops, ranked by one rule."""

from __future__ import annotations

import numpy as np

from ..envs.similarity import similarity
from ..index.index import Index
from ..retrievers.records import Hits, Rows, Vectors

SEEDS = 3
"""Passages of the fused ranking that hops start from, beside those that the question names."""

MOST_FOLLOWED = 8
"""Neighbours of one passage that are followed: those nearest to the question, as a HOP of the policy brings."""

DECAY = 0.9
"""What a hop leaves of the score of the passage it starts from, for a neighbour as near as can be."""


def follow_mentions(
    index: Index, fused: Hits, named: Rows, vector: Vectors, hops: int, limit: int
) -> tuple[Hits, list[tuple[int, Rows]]]:
    """Return the ranking, and every hop that was made: the row it started from, and the rows it brought.

    What the question names scores 1, the passages of the fused ranking their share of the best one's score, at most
    1/2. A hop brings each mentioned passage ``DECAY * (1 + cosine with the question) / 2`` of its source's score; of
    several ways to a passage the best counts.

    Args:
        index: the index.
        fused: the ranking of lexical and dense together.
        named: rows that the question names.
        vector: of the question.
        hops: how many to follow.
        limit: passages to return at most.
    """
    scores = {row: score / 2 for row, score in zip(fused.rows.tolist(), _share(fused), strict=True)}
    scores |= dict.fromkeys(named.tolist(), 1.0)
    frontier = list(dict.fromkeys([*named.tolist(), *fused.rows[:SEEDS].tolist()]))
    followed: list[tuple[int, Rows]] = []
    done: set[int] = set()
    for _ in range(hops):
        reached: dict[int, float] = {}
        for source in frontier:
            rows = index.graph.neighbours(source, "mentions").rows
            if source in done or not len(rows):
                continue
            done.add(source)
            nearness = similarity(index, rows, vector)
            best = np.argsort(-nearness, kind="stable")[:MOST_FOLLOWED]
            followed.append((source, rows[best]))
            for row, near in zip(rows[best].tolist(), nearness[best].tolist(), strict=True):
                reached[row] = max(reached.get(row, 0.0), scores[source] * DECAY * (1 + near) / 2)
        for row, score in reached.items():
            scores[row] = max(scores.get(row, 0.0), score)
        frontier = list(reached)
    ranked = sorted(scores, key=lambda row: (-scores[row], row))[:limit]
    return Hits(np.array(ranked, np.int64), np.array([scores[row] for row in ranked], np.float32)), followed


def _share(fused: Hits) -> list[float]:
    best = float(fused.scores[:1].sum()) or 1.0
    return [float(score) / best for score in fused.scores]

"""One ranking out of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .records import Hits

K = 60
"""The constant of the paper; it keeps the first ranks of one list from deciding alone."""


def reciprocal_rank_fusion(rankings: Sequence[Hits], limit: int) -> Hits:
    """Fuse rankings by the sum of ``1 / (K + rank)``, ranks from 1, best first, ties by row.

    Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning
    methods", section 2.
    """
    scores: dict[int, float] = {}
    for hits in rankings:
        for rank, row in enumerate(hits.rows.tolist(), start=1):
            scores[row] = scores.get(row, 0.0) + 1 / (K + rank)
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[: max(limit, 0)]
    return Hits(np.array([row for row, _ in best], np.int64), np.array([score for _, score in best], np.float32))

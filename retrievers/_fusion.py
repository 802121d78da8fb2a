"""One ranking out of several."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np

from .records import Hits

K = 60
"""The constant of the paper; it keeps the first ranks of one list from deciding alone."""


def reciprocal_rank_fusion(rankings: Sequence[Hits], limit: int) -> Hits:
    """Fuse rankings by the sum of ``1 / (K + rank)``, ranks from 1, best first, ties by row.

    Cormack, Clarke and Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning
    methods", section 2.
    """
    shares: dict[int, list[float]] = {}
    for hits in rankings:
        for rank, row in enumerate(hits.rows.tolist(), start=1):
            shares.setdefault(row, []).append(1 / (K + rank))
    rows = np.array(list(shares), np.int64)
    # fsum: equal ranks make equal scores, in whatever order the rankings come.
    scores = np.array([fsum(share) for share in shares.values()], np.float32)
    best = np.lexsort((rows, -scores))[: max(limit, 0)]
    return Hits(rows[best], scores[best])

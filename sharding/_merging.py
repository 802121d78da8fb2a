"""One ranking out of the lists of all shards."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..retrievers.records import Hits

LAST_DIGITS = 1e-6
"""Share of a score of the lexical index that its last digits are: they depend on which shard computed it."""


def merged(lists: Iterable[Hits], limit: int, alike: float = 0.0) -> Hits:
    """Return the best passages of the lists of all shards; equal scores in the order of rows, that of the corpus.

    Args:
        lists: of the shards.
        limit: passages to return at most.
        alike: share of a score by which others that count as equal may lie below it.
    """
    found = list(lists)
    rows = np.concatenate([hits.rows for hits in found])
    scores = np.concatenate([hits.scores for hits in found])
    order = np.lexsort((rows, -scores))
    if alike and len(order):
        fall = -np.diff(scores[order].astype(np.float64))
        level = np.cumsum(np.concatenate([[False], fall > alike * np.abs(scores[order[1:]])]))
        order = order[np.lexsort((rows[order], level))]
    return Hits(rows[order[:limit]], scores[order[:limit]])

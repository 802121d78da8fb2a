"""Mines hard negatives: the passages that the encoder as it is now ranks highest and that are no evidence.

Xiong et al. 2020 (ANCE, arXiv:2007.00808) mine with the encoder in training. Some of what it ranks highest is evidence
that nobody labelled: a candidate that scores close to a positive, or above it, is likely one, and is left out where a
margin is given (positive-aware mining: Moreira et al. 2024, NV-Retriever, arXiv:2407.15831, TopK-MarginPos).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import RecipeError
from ..records import Rows, Vectors

_BLOCK = 256
"""Queries that are compared with the corpus at once: 256 times a million scores are a gigabyte."""


def hard_negatives(
    queries: Vectors,
    vectors: Vectors,
    positives: Sequence[Sequence[int]],
    count: int,
    margin: float | None = None,
) -> list[Rows]:
    """Return the rows of up to ``count`` hard negatives of every query, best first, ties by row.

    Args:
        queries: float32 [b, d], by the encoder as it is now.
        vectors: float32 [N, d], the passages'.
        positives: the rows that support each query, none of which is a negative of it.
        count: how many.
        margin: how far below the best positive of its query a negative must score at least; anything goes when None.

    Raises:
        RecipeError: when the count or the margin is impossible, or the numbers of queries and positives differ.
    """
    if count < 1 or (margin is not None and not margin >= 0):
        raise RecipeError(f"hard negatives cannot be mined with the count {count} and the margin {margin}")
    if len(queries) != len(positives):
        raise RecipeError(f"there are {len(queries)} queries but positives of {len(positives)}: give one list of each")
    mined = []
    for first in range(0, len(queries), _BLOCK):
        scores = queries[first : first + _BLOCK] @ vectors.T  # [block, N]
        for row, own in zip(scores, positives[first : first + _BLOCK], strict=True):
            mined.append(_best(row, list(own), count, margin))
    return mined


def _best(scores: Vectors, positives: list[int], count: int, margin: float | None) -> Rows:
    wanted = min(count + len(positives), len(scores))
    allowed = np.ones(len(scores), np.bool_)
    allowed[positives] = False
    if margin is not None and positives:
        allowed &= scores <= scores[positives].max() - margin
        wanted = min(count, int(allowed.sum()))
    ranked = np.where(allowed, scores, -np.inf)
    if 0 < wanted < len(ranked):
        cut = np.partition(ranked, -wanted)[-wanted]
        rows = np.flatnonzero(ranked >= cut)  # ties at the cut included, the sort below decides among them
    else:
        rows = np.flatnonzero(allowed)
    rows = rows[np.isfinite(ranked[rows])]
    return rows[np.lexsort((rows, -ranked[rows]))][:count].astype(np.int64)

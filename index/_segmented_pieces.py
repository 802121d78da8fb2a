"""The word pieces of several segments as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..retrievers.records import Rows, Vectors
from ..retrievers.vectors._late_interaction import PieceIndex


class SegmentedPieces:
    """The word pieces of several segments; offers what :class:`PieceIndex` offers. Threads may share one.

    Args:
        parts: of each segment.
    """

    def __init__(self, parts: Sequence[PieceIndex]) -> None:
        self._parts = parts
        self._offsets = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        """Return the number of rows, deleted ones among them."""
        return int(self._offsets[-1])

    def codes(self, rows: Rows) -> list[NDArray[np.uint8]]:
        """Return the codes of the word pieces of passages: see :meth:`PieceIndex.codes`."""
        numbers = np.searchsorted(self._offsets, rows, side="right") - 1
        within = rows - self._offsets[numbers]
        return [self._parts[number].codes(within[[place]])[0] for place, number in enumerate(numbers.tolist())]

    def score(self, pieces: Vectors, rows: Rows) -> NDArray[np.float32]:
        """Return how well passages fit a question's word pieces: see :meth:`PieceIndex.score`."""
        scores = np.zeros(len(rows), np.float32)
        numbers = np.searchsorted(self._offsets, rows, side="right") - 1
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            scores[mine] = self._parts[number].score(pieces, rows[mine] - self._offsets[number])
        return scores

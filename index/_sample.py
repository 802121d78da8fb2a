"""A sample of a corpus, which tells how near to a vector any passage is.

Passages are drawn by a number that each has from its document's id and its place in it. So the same corpus gives the
same sample however its documents are ordered, and in however many parts it is kept.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from ..retrievers.records import Rows, Vectors

SAMPLE = 256
"""Passages of a sample at most."""


class Sample:
    """Vectors of some passages of a corpus, float32 [at most SAMPLE, d], and what was asked of them lately."""

    def __init__(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self._spread = lru_cache(SAMPLE)(self._measured)  # a search asks for that of its question again and again

    def spread(self, vector: Vectors) -> tuple[float, float]:
        """Return mean and standard deviation of the cosines of ``vector`` [d] with the sample."""
        return self._spread(vector.tobytes())

    @cached_property
    def own_nearness(self) -> tuple[float, float, float]:
        """Mean cosine of two passages and of nearest neighbours in half of the sample, and the deviation of the first.

        Of half, because the curves of confidence were fitted on so many.
        """
        half = self.vectors[::2]
        if len(half) < 2:
            return 0.0, 1.0, 1.0
        alike = half @ half.T
        others = alike[~np.eye(len(alike), dtype=bool)]
        np.fill_diagonal(alike, -1)
        return float(others.mean()), float(alike.max(axis=1).mean()), max(float(others.std()), 1e-3)

    def _measured(self, vector: bytes) -> tuple[float, float]:
        usual = self.vectors @ np.frombuffer(vector, np.float32) if len(self.vectors) else np.zeros(1, np.float32)
        return float(usual.mean()), max(float(usual.std()), 1e-3)


def draw_numbers(document_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the number by which each passage is drawn, uint64 [n].

    Args:
        document_ids: the document of every passage; those of one document stand together, in their order.
    """
    if not len(document_ids):
        return np.zeros(0, np.uint64)
    named = np.fromiter((zlib.crc32(one.encode("utf-8", "surrogatepass")) for one in document_ids), np.uint64)
    rows = np.arange(len(named))
    begins = np.concatenate([[True], named[1:] != named[:-1]])
    place = rows - np.maximum.accumulate(np.where(begins, rows, 0))
    return _mixed((named << np.uint64(32)) | place.astype(np.uint64))


def drawn(numbers: NDArray[np.uint64], alive: NDArray[np.bool_]) -> Rows:
    """Return the rows of a sample of what is alive, bool [n]: those with the smallest numbers, smallest first."""
    rows = np.flatnonzero(alive)
    mine = numbers[rows]
    if len(rows) > SAMPLE:
        few = np.argpartition(mine, SAMPLE - 1)[:SAMPLE]
        rows, mine = rows[few], mine[few]
    return rows[np.argsort(mine, kind="stable")]


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers that look drawn at random: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))

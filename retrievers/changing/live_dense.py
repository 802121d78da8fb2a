"""The dense sub-index with changes: the base's own index, and the vectors of additions compared one by one."""

from __future__ import annotations

import numpy as np

from ..records import Hits, Query, Rows, Vectors
from ..vectors.dense import DenseIndex
from .snapshot import GrowingArray, Snapshot, living_hits, merged


class LiveDense:
    """Passages nearest to the query's vector, as of a snapshot; fulfils ``SubIndex``.

    Additions are always compared exactly, whatever kind the base's index is.

    Args:
        base: the dense index of the base.
        added: float32 [k, d], vectors of the additions, shared with the writer.
        snapshot: how much of it is seen.
    """

    name = "dense"

    def __init__(self, base: DenseIndex, added: GrowingArray, snapshot: Snapshot) -> None:
        self._base = base
        self._snapshot = snapshot
        self._added: Vectors = np.asarray(added.first(snapshot.rows - snapshot.base), np.float32)
        self.dimension = base.dimension

    def __len__(self) -> int:
        """Return the number of rows, removed ones among them."""
        return self._snapshot.rows

    @property
    def vectors(self) -> Vectors:
        """Every row's vector, float32 [N, d]: a copy of all of them, made anew at each call."""
        return np.concatenate([self._base.reconstruct(np.arange(self._snapshot.base)), self._added])

    def reconstruct(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d]."""
        rows = np.asarray(rows, np.int64)
        old = rows < self._snapshot.base
        if old.all():
            return self._base.reconstruct(rows)
        vectors = np.zeros((len(rows), self.dimension), np.float32)
        vectors[old] = self._base.reconstruct(rows[old])
        vectors[~old] = self._added[rows[~old] - self._snapshot.base]
        return vectors

    def search(self, query: Query, limit: int) -> Hits:
        """Return the ``limit`` passages nearest to the query's vector, best first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        base = living_hits(lambda wanted: self._base.search(query, wanted), limit, len(self._base), self._snapshot)
        if not len(self._added) or query.vector is None or limit < 1:
            return base
        rows = np.arange(self._snapshot.base, self._snapshot.rows, dtype=np.int64)
        scores = np.einsum("nd,d->n", self._added, query.vector).astype(np.float32)
        if self._snapshot.died:
            alive = self._snapshot.living(rows)
            rows, scores = rows[alive], scores[alive]
        return merged(base, Hits(rows, scores), limit)

"""The dense sub-index: inner products of encoder vectors, by FAISS."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from ..errors import DamagedIndexError, EncoderError
from .records import Hits, Query, Vectors

DenseKind = Literal["exact", "hnsw", "ivf"]
KINDS: tuple[DenseKind, ...] = ("exact", "hnsw", "ivf")

VECTORS = "vectors.npy"
FAISS = "faiss.index"

_HNSW_LINKS = 32
_HNSW_BUILD = 200
_HNSW_SEARCH = 128
_TIES = 8
"""How many passages more than asked for are fetched, so that equal scores at the end are cut by row."""


class DenseIndex:
    """Passages nearest to the query's vector; fulfils ``SubIndex``.

    ``exact`` compares with every vector, ``hnsw`` walks a small-world graph (Malkov and Yashunin 2016,
    arXiv:1603.09320), ``ivf`` looks into the nearest cells only (Jégou et al. 2011, inverted file).

    Args:
        folder: what :meth:`build` wrote.
        kind: of the FAISS index that was built.

    Attributes:
        vectors: float32 [N, d], every passage's vector, mapped from the file.

    Raises:
        DamagedIndexError: when the files cannot be read or do not belong together.
    """

    name = "dense"

    def __init__(self, folder: Path, kind: DenseKind = "exact") -> None:
        self._folder = folder
        self._kind = kind
        self._lock = Lock()
        try:
            self.vectors: Vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DamagedIndexError(f"{folder / VECTORS} cannot be read ({error}): build the index again") from error
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32:
            raise DamagedIndexError(
                f"{folder / VECTORS} is {self.vectors.dtype} {self.vectors.shape}, not float32 [N, d]:"
                " build the index again"
            )

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, kind: DenseKind = "exact") -> None:
        """Write ``vectors`` [N, d] and, but for ``exact``, the FAISS index over them, into ``folder``.

        Raises:
            EncoderError: when a vector is not finite, naming its row.
        """
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise EncoderError(f"the vector of passage row {bad[0]} is not finite: check the encoder")
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / VECTORS, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
        if kind != "exact":
            import faiss

            faiss.write_index(_faiss_index(vectors, kind), str(folder / FAISS))

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.vectors)

    def search(self, query: Query, limit: int) -> Hits:
        """Return the ``limit`` passages nearest to the query's vector, best first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        if query.vector is None or query.vector.shape != (self.vectors.shape[1],):
            given = None if query.vector is None else query.vector.shape
            raise EncoderError(
                f"the dense index holds vectors of {self.vectors.shape[1]} numbers, the query's shape is {given}:"
                " encode the question with the index's own encoder"
            )
        wanted = min(limit + _TIES, len(self))
        if limit < 1 or wanted == 0:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        found_scores, found_rows = self._faiss.search(np.ascontiguousarray(query.vector[None]), wanted)
        present = found_rows[0] >= 0  # an inverted file may find fewer than asked for
        rows, scores = found_rows[0][present].astype(np.int64), found_scores[0][present]
        order = np.lexsort((rows, -scores))[:limit]
        return Hits(rows[order], scores[order].astype(np.float32))

    @property
    def _faiss(self) -> Any:
        with self._lock:
            return self._opened

    @cached_property
    def _opened(self) -> Any:
        import faiss

        if self._kind == "exact":
            index: Any = faiss.IndexFlatIP(self.vectors.shape[1])
            index.add(np.ascontiguousarray(self.vectors))
            return index
        try:
            index = faiss.read_index(str(self._folder / FAISS))
        except RuntimeError as error:
            raise DamagedIndexError(f"{self._folder / FAISS} cannot be read by FAISS: build the index again") from error
        if (index.ntotal, index.d) != self.vectors.shape:
            raise DamagedIndexError(
                f"{self._folder / FAISS} holds {index.ntotal} vectors of {index.d} numbers, {VECTORS} holds"
                f" {self.vectors.shape[0]} of {self.vectors.shape[1]}: build the index again"
            )
        return index


def _faiss_index(vectors: Vectors, kind: DenseKind) -> Any:
    """Build an approximate index on one thread, so that two builds are equal."""
    import faiss

    count, dimension = vectors.shape
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        if kind == "hnsw":
            index: Any = faiss.IndexHNSWFlat(dimension, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = _HNSW_BUILD
            index.hnsw.efSearch = _HNSW_SEARCH
        else:
            cells = max(1, min(round(4 * count**0.5), count // 39))  # FAISS wants 39 vectors to train a cell
            index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT)
            index.nprobe = max(1, round(cells**0.5) * 2)
            index.train(vectors)
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    return index

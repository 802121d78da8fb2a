"""The dense sub-index: inner products of encoder vectors, by FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import DamagedIndexError, EncoderError
from .array_file import map_array
from .records import Hits, Query, Rows, Vectors

DenseKind = Literal["exact", "hnsw", "ivf"]
KINDS: tuple[DenseKind, ...] = ("exact", "hnsw", "ivf")

VECTORS = "vectors.npy"
FAISS = "faiss.index"

_HNSW_LINKS = 32
_HNSW_BUILD = 200
_HNSW_SEARCH = 128
_TIES = 8
"""How many passages more than asked for are fetched at first, so that equal scores at the end are cut by row."""


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
        try:
            self.vectors: Vectors = map_array(folder / VECTORS)
        except (OSError, ValueError, EOFError) as error:
            raise DamagedIndexError(f"{folder / VECTORS} cannot be read ({error}): build the index again") from error
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32:
            raise DamagedIndexError(
                f"{folder / VECTORS} is {self.vectors.dtype} {self.vectors.shape}, not float32 [N, d]:"
                " build the index again"
            )
        # At once: the folder may be replaced by a newer index while this one is still being searched.
        self._faiss = _exact(self.vectors) if kind == "exact" else _read(folder / FAISS, self.vectors.shape)

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, kind: DenseKind = "exact") -> None:
        """Write ``vectors`` [N, d] and, but for ``exact``, the FAISS index over them, into ``folder``.

        Raises:
            EncoderError: when a vector is not finite, naming its row.
        """
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise EncoderError(f"the vector of passage row {bad[0]} is not finite: check the encoder")
        vectors = np.ascontiguousarray(vectors, np.float32)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / VECTORS, vectors, allow_pickle=False)
        if kind != "exact":
            import faiss

            faiss.write_index(_faiss_index(vectors, kind), str(folder / FAISS))

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.vectors)

    @property
    def dimension(self) -> int:
        """Numbers to a vector."""
        return int(self.vectors.shape[1])

    def reconstruct(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d]."""
        return np.asarray(self.vectors[rows])

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
        limit = min(limit, len(self))
        if limit < 1:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        vector = np.ascontiguousarray(query.vector[None], np.float32)
        wanted = limit
        while True:
            wanted = min(2 * wanted + _TIES, len(self))
            scores, rows = (found[0] for found in self._faiss.search(vector, wanted))
            # As long as the last equals the one at the limit, more of its equals may follow.
            if wanted == len(self) or scores[-1] < scores[limit - 1] or rows[-1] < 0:
                break
        present = rows >= 0  # an approximate index may find fewer than asked for
        rows, scores = rows[present].astype(np.int64), scores[present].astype(np.float32)
        order = np.lexsort((rows, -scores))[:limit]
        return Hits(rows[order], scores[order])


def _exact(vectors: Vectors) -> Any:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    return index


def _read(path: Path, shape: tuple[int, ...]) -> Any:
    import faiss

    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise DamagedIndexError(f"{path} cannot be read by FAISS: build the index again") from error
    if (index.ntotal, index.d) != shape:
        raise DamagedIndexError(
            f"{path} holds {index.ntotal} vectors of {index.d} numbers, {VECTORS} holds {shape[0]} of {shape[1]}:"
            " build the index again"
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
            index.cp.min_points_per_centroid = 1  # a small corpus is no reason to write to the terminal
            index.train(vectors)
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    return index

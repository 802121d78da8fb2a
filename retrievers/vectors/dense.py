"""The dense sub-index: inner products of encoder vectors, by FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, EncoderError, IndexFolderError
from ..atomic_file import map_array
from ..records import Hits, Query, Rows, Vectors
from .quantisers import COMPRESSED, KINDS, LSH_BITS, DenseKind, faiss_index

__all__ = ["COMPRESSED", "FAISS", "KINDS", "VECTORS", "DenseIndex", "DenseKind"]

VECTORS = "vectors.npy"
FAISS = "faiss.index"

_TIES = 8
"""How many passages more than asked for are fetched at first, so that equal scores at the end are cut by row."""


class DenseIndex:
    """Passages nearest to the query's vector; fulfils ``SubIndex``.

    The kinds are those of :func:`faiss_index`. ``exact``, ``hnsw`` and ``ivf`` keep every vector as the encoder gave
    it; of the kinds in ``COMPRESSED`` there are codes only, and what :meth:`reconstruct` returns is what the codes say.

    Args:
        folder: what :meth:`build` wrote.
        kind: of the FAISS index that was built.

    Attributes:
        kind: the kind.
        dimension: d, numbers to a vector.

    Raises:
        DamagedIndexError: when the files cannot be read or do not belong together.
    """

    name = "dense"

    def __init__(self, folder: Path, kind: DenseKind = "exact") -> None:
        self.kind = kind
        # At once: the folder may be replaced by a newer index while this one is still being searched.
        self._vectors = None if kind in COMPRESSED else _mapped(folder / VECTORS)
        if self._vectors is not None and kind == "exact":
            self._faiss = _exact(self._vectors)
        else:
            self._faiss = _read(folder / FAISS, None if self._vectors is None else self._vectors.shape)
        self.dimension = int(self._faiss.d)

    @classmethod
    def build(cls, folder: Path, vectors: Vectors, kind: DenseKind = "exact") -> None:
        """Write ``vectors`` [N, d] into ``folder``, or their codes; but for ``exact`` also the FAISS index over them.

        Raises:
            EncoderError: when a vector is not finite, naming its row, or the dimension does not fit the kind.
        """
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise EncoderError(f"the vector of passage row {bad[0]} is not finite: check the encoder")
        vectors = np.ascontiguousarray(vectors, np.float32)
        made = faiss_index(vectors, kind) if kind != "exact" else None
        folder.mkdir(parents=True, exist_ok=True)
        if kind not in COMPRESSED:
            np.save(folder / VECTORS, vectors, allow_pickle=False)
        if made is not None:
            import faiss

            faiss.write_index(made, str(folder / FAISS))

    def __len__(self) -> int:
        """Return the number of passages."""
        return int(self._faiss.ntotal)

    @property
    def vectors(self) -> Vectors:
        """Every passage's vector, float32 [N, d], mapped from the file.

        Raises:
            IndexFolderError: when the memory is compressed.
        """
        if self._vectors is None:
            raise IndexFolderError(
                f"dense {self.kind} keeps codes instead of vectors: ask reconstruct(rows) for what they say,"
                " or build the index with exact, hnsw or ivf"
            )
        return self._vectors

    def reconstruct(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d]: the encoder's own, or what their codes say.

        A row's vector does not depend on what it is asked for together with.
        """
        if self._vectors is not None:
            return np.asarray(self._vectors[rows])
        rows = np.ascontiguousarray(rows, np.int64)
        vectors = np.zeros((len(rows), self.dimension), np.float32)
        for place, row in enumerate(rows.tolist()):
            vectors[place] = self._faiss.reconstruct(row)
        if self.kind == "lsh":  # the sides of hyperplanes say a direction only
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def search(self, query: Query, limit: int) -> Hits:
        """Return the ``limit`` passages nearest to the query's vector, best first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        if query.vector is None or query.vector.shape != (self.dimension,):
            given = None if query.vector is None else query.vector.shape
            raise EncoderError(
                f"the dense index holds vectors of {self.dimension} numbers, the query's shape is {given}:"
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
            if self.kind == "lsh":
                scores = _cosines(scores, self.dimension)
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


def _mapped(path: Path) -> Vectors:
    try:
        vectors: Vectors = map_array(path)
    except (OSError, ValueError, EOFError) as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
    if vectors.ndim != 2 or vectors.dtype != np.float32:
        raise DamagedIndexError(f"{path} is {vectors.dtype} {vectors.shape}, not float32 [N, d]: build the index again")
    return vectors


def _read(path: Path, shape: tuple[int, ...] | None) -> Any:
    """Read a FAISS index, which holds vectors of ``shape``."""
    import faiss

    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise DamagedIndexError(f"{path} cannot be read by FAISS: build the index again") from error
    if shape is not None and (index.ntotal, index.d) != shape:
        raise DamagedIndexError(
            f"{path} holds {index.ntotal} vectors of {index.d} numbers, {VECTORS} holds {shape[0]} of {shape[1]}:"
            " build the index again"
        )
    cells = faiss.try_extract_index_ivf(index)
    if cells is not None and shape is None:
        cells.make_direct_map()  # to find a passage's code by its row
    return index


def _cosines(distances: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """Return the cosines that Hamming distances speak of: a random hyperplane parts two vectors with probability
    angle / pi (Charikar 2002, section 3).
    """
    return np.cos(np.pi * np.minimum(distances / (LSH_BITS * dimension), 1)).astype(np.float32)

"""The dense sub-index: inner products of encoder vectors, kept exactly or as short codes, by FAISS."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, EncoderError, IndexFolderError
from .._atomic_file import map_array
from .._forks import Uncut
from ..records import Hits, Query, Rows, Vectors

DenseKind = Literal["exact", "hnsw", "ivf", "sq8", "pq", "opq", "ivfpq", "lsh"]
KINDS: tuple[DenseKind, ...] = ("exact", "hnsw", "ivf", "sq8", "pq", "opq", "ivfpq", "lsh")

COMPRESSED: frozenset[DenseKind] = frozenset(("sq8", "pq", "opq", "ivfpq", "lsh"))
"""Kinds that keep codes instead of vectors."""

PIECE = 4
"""Numbers of a vector that one byte of product quantisation stands for: a sixteenth of their float32."""

LSH_BITS = 2
"""Hyperplanes to a number of the vector: the codes are as long as those of product quantisation."""

_HNSW_LINKS = 32
_HNSW_BUILD = 200
_HNSW_SEARCH = 128
_CODES = 256
_SAMPLE = 256 * _CODES
"""Vectors that codebooks and centres are learned from: for codebooks FAISS itself takes no more."""


def faiss_index(vectors: Vectors, kind: DenseKind) -> Any:
    """Return the FAISS index of ``vectors`` [N, d], trained and filled.

    ``exact`` compares with every vector. ``hnsw`` walks a small-world graph (Malkov and Yashunin 2016,
    arXiv:1603.09320). ``ivf`` has two levels: the nearest clusters first, then the passages in them
    (Jégou et al. 2011, inverted file). ``sq8`` keeps a byte for each number, ``pq`` a byte for each piece of four
    (Jégou et al. 2011, product quantisation), ``opq`` the same after a rotation, ``ivfpq`` after the rotation such
    codes of what is left beside the centre of a cell. ``lsh`` keeps on which side of random hyperplanes a vector lies
    (Charikar 2002).

    Raises:
        EncoderError: when vectors of that dimension cannot be cut into pieces.
    """
    import faiss

    count, dimension = vectors.shape
    if kind in ("pq", "opq", "ivfpq") and dimension % PIECE:
        raise EncoderError(
            f"dense {kind} cuts vectors into pieces of {PIECE} numbers, and the encoder's have {dimension}:"
            " choose sq8, or an encoder of another dimension"
        )
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index = _empty(count, dimension, kind)
        if kind in ("opq", "ivfpq"):
            index = faiss.IndexPreTransform(_rotation(vectors), index)
        if kind == "ivf":
            index.train(vectors)
        elif kind in COMPRESSED:
            index.train(_sample(vectors, _CODES))
        index.add(vectors)
    finally:
        faiss.omp_set_num_threads(threads)
    return index


def _empty(count: int, dimension: int, kind: DenseKind) -> Any:
    """Return an index of ``kind`` for ``count`` vectors."""
    import faiss

    product = faiss.METRIC_INNER_PRODUCT
    index: Any
    if kind == "exact":
        return faiss.IndexFlatIP(dimension)
    if kind == "hnsw":
        index = faiss.IndexHNSWFlat(dimension, _HNSW_LINKS, product)
        index.hnsw.efConstruction = _HNSW_BUILD
        index.hnsw.efSearch = _HNSW_SEARCH
        return index
    if kind == "sq8":
        return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit, product)
    if kind == "lsh":
        return faiss.IndexLSH(dimension, LSH_BITS * dimension, True, False)
    if kind in ("pq", "opq"):
        index = faiss.IndexPQ(dimension, dimension // PIECE, 8, product)
        _hasten(index.pq.cp)
        return index
    cells = max(1, min(round(4 * count**0.5), count // 39))  # FAISS wants 39 vectors to train a cell
    centres = faiss.IndexFlatIP(dimension)
    if kind == "ivf":
        index = faiss.IndexIVFFlat(centres, dimension, cells, product)
    else:
        index = faiss.IndexIVFPQ(centres, dimension, cells, dimension // PIECE, 8, product)
        _hasten(index.pq.cp)
    index.nprobe = max(1, round(cells**0.5) * 2)
    index.cp.min_points_per_centroid = 1
    return index


def _hasten(training: Any) -> None:
    """Set how codebooks are learned: in ten rounds; fifteen more find 0.2 % more neighbours and cost as much again."""
    training.niter = 10
    training.min_points_per_centroid = 1  # a small corpus is no reason to write to the terminal


def _rotation(vectors: Vectors) -> Any:
    """Return the rotation that spreads the variance evenly over the pieces: the fewer bits are wasted.

    The closed form of Ge et al. 2013, "Optimized Product Quantization", section 3.2.2: along the principal axes,
    which are dealt out from the largest on, each to the piece with the smallest product of variances so far.
    """
    import faiss

    dimension = vectors.shape[1]
    axes = faiss.PCAMatrix(dimension, dimension)
    axes.train(_sample(vectors, dimension + 1))
    basis = faiss.vector_to_array(axes.PCAMat).reshape(dimension, dimension)
    variances = faiss.vector_to_array(axes.eigenvalues).astype(np.float64)
    logs = np.log(np.maximum(variances, 1e-9 * variances[0] + 1e-30))
    pieces: list[list[int]] = [[] for _ in range(dimension // PIECE)]
    volumes = np.zeros(len(pieces))
    for axis, log in enumerate(logs - logs.min()):
        piece = int(np.argmin(volumes))
        pieces[piece].append(axis)
        volumes[piece] = np.inf if len(pieces[piece]) == PIECE else volumes[piece] + log
    rotation = faiss.LinearTransform(dimension, dimension, False)
    order = [axis for piece in pieces for axis in piece]
    faiss.copy_array_to_vector(np.ascontiguousarray(basis[order]).ravel(), rotation.A)
    rotation.is_trained = True
    rotation.set_is_orthonormal()
    return rotation


def _sample(vectors: Vectors, least: int) -> Vectors:
    """Return at most ``_SAMPLE`` of the vectors, and at least ``least``, some of them more than once."""
    count = len(vectors)
    if count < least:
        return np.resize(vectors, (least, vectors.shape[1]))  # repeats them from the first on
    if count <= _SAMPLE:
        return vectors
    rows = np.random.default_rng(0).choice(count, _SAMPLE, replace=False)
    return np.ascontiguousarray(vectors[np.sort(rows)])


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

    Raises:
        DamagedIndexError: when the files cannot be read or do not belong together.
    """

    name = "dense"

    def __init__(self, folder: Path, kind: DenseKind = "exact") -> None:
        self.kind = kind
        # At once: the folder may be replaced by a newer index while this one is still being searched.
        self._vectors = None if kind in COMPRESSED else _mapped(folder / VECTORS)
        if self._vectors is not None and kind == "exact":
            self._faiss = faiss_index(np.asarray(self._vectors), "exact")
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
        """Every passage's vector, float32 [N, d], mapped from the file."""
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
            return np.asarray(self._vectors)[rows]  # indexing a memory map itself is several times slower
        rows = np.ascontiguousarray(rows, np.int64)
        vectors = np.zeros((len(rows), self.dimension), np.float32)
        for place, row in enumerate(rows.tolist()):
            vectors[place] = self._faiss.reconstruct(row)
        if self.kind == "lsh":  # the sides of hyperplanes say a direction only
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def among(self, query: Query, rows: Rows) -> Hits:
        """Return all of ``rows``, those nearest to the query's vector first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        scores = np.asarray(self.reconstruct(rows) @ vector_of(query, self.dimension), np.float32)
        order = np.lexsort((rows, -scores))
        return Hits(rows[order], scores[order])

    def search(self, query: Query, limit: int) -> Hits:
        """Return the ``limit`` passages nearest to the query's vector, best first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        asked = vector_of(query, self.dimension)
        limit = min(limit, len(self))
        if limit < 1:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        vector = np.ascontiguousarray(asked[None], np.float32)
        wanted = limit
        while True:
            wanted = min(2 * wanted + _TIES, len(self))
            with Uncut():
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


def vector_of(query: Query, dimension: int) -> Vectors:
    """Return the query's vector, float32 [dimension].

    Raises:
        EncoderError: when it has none, or one of another dimension.
    """
    if query.vector is None or query.vector.shape != (dimension,):
        given = None if query.vector is None else query.vector.shape
        raise EncoderError(
            f"the dense index holds vectors of {dimension} numbers, the query's shape is {given}:"
            " encode the question with the index's own encoder"
        )
    return query.vector


def _mapped(path: Path) -> Vectors:
    vectors: Vectors = map_array(path)
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

"""The kinds of dense memory: how vectors are kept, exactly or as short codes, and searched by FAISS.

Every kind is built on one thread from fixed seeds, so that two builds are equal.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ...errors import EncoderError
from ..records import Vectors

DenseKind = Literal["exact", "hnsw", "ivf", "sq8", "pq", "opq", "ivfpq", "lsh"]
KINDS: tuple[DenseKind, ...] = ("exact", "hnsw", "ivf", "sq8", "pq", "opq", "ivfpq", "lsh")

COMPRESSED: frozenset[DenseKind] = frozenset(("sq8", "pq", "opq", "ivfpq", "lsh"))
"""Kinds that keep codes in place of vectors."""

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
    arXiv:1603.09320). ``ivf`` is the memory of two levels: the nearest clusters first, then the passages in them
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

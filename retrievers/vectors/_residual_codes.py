"""Short codes of many vectors: the nearest of a few thousand centres, and what is left in 1, 2 or 4 bits a number.

Centres and residuals are those of Santhanam et al. 2022, "ColBERTv2: Effective and Efficient Retrieval via Lightweight
Late Interaction" (arXiv:2112.01488), section 3.3. There every number of a residual has a bucket of its own; here the 8,
4 or 2 numbers that share a byte are coded together, by the nearest of 256 words of that byte's codebook (product
quantisation, Jégou et al. 2011). A code is as long, is read the same way, and loses two fifths less at 2 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError
from .._atomic_file import load_arrays
from ..records import Vectors

BITS = (1, 2, 4)

MOST_CENTRES = 1 << 16

WORDS = 256
"""Of a byte's codebook."""

_ROUNDS = 4
_SAMPLE_TO_A_CENTRE = 32
_ALL_COMPARED = 1024
"""Centres up to which a vector is compared with each; of more, with those of the nearest ``_LISTS_PROBED`` lists."""
_LISTS_PROBED = 8
_BOOK_ROUNDS = 10
_SAMPLE_TO_A_WORD = 128


@dataclass(frozen=True)
class Coded:
    """Vectors as they are kept; indexing it chooses some of them.

    Attributes:
        cells: the nearest centre of each, uint16 [t].
        codes: a byte for every codebook, uint8 [t, w].
        lengths: of what cell and code add up to, float16 [t]; it is read as a vector of length 1.
    """

    cells: NDArray[np.uint16]
    codes: NDArray[np.uint8]
    lengths: NDArray[np.float16]

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self.cells)

    @classmethod
    def concatenate(cls, parts: Sequence[Coded]) -> Coded:
        """Put the vectors of several together."""
        names = ("cells", "codes", "lengths")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __getitem__(self, which: NDArray[np.int64] | slice) -> Coded:
        """Return some of the vectors."""
        return Coded(self.cells[which], self.codes[which], self.lengths[which])


@dataclass(frozen=True)
class CodedTexts:
    """The word pieces of some texts as they are kept, one text after the other; how many each has, int64 [n]."""

    counts: NDArray[np.int64]
    coded: Coded


@dataclass(frozen=True)
class ResidualCodec:
    """Turns unit vectors into codes and back.

    Attributes:
        centres: float32 [K, d], of numbers that 16 bits hold.
        books: the words of every byte, float32 [w, 256, s]; s = 8 / bits numbers to a byte, w * s >= d.
    """

    centres: Vectors
    books: NDArray[np.float32]

    @classmethod
    def learn(cls, vectors: Vectors, bits: int, centres: int) -> ResidualCodec:
        """Learn centres and codebooks from a sample of vectors, float32 [s, d], s >= 1; one thread, a fixed seed."""
        import faiss

        count = max(1, min(centres, len(vectors), MOST_CENTRES))
        clusters = faiss.Clustering(vectors.shape[1], count)
        clusters.niter = _ROUNDS
        clusters.seed = 0
        clusters.min_points_per_centroid = 1  # a small corpus is no reason to write to the terminal
        clusters.max_points_per_centroid = _SAMPLE_TO_A_CENTRE
        _alone(lambda: clusters.train(np.ascontiguousarray(vectors), _finder(count, vectors.shape[1])))
        rounded = faiss.vector_to_array(clusters.centroids).reshape(count, -1).astype(np.float16)
        found = np.asarray(np.unique(rounded, axis=0), np.float32)  # of two equal ones no vector would know its own
        codec = cls(found, np.zeros((-(-vectors.shape[1] * bits // 8), WORDS, 8 // bits), np.float32))
        left = _padded(vectors - found[codec.nearest(vectors)], 8 // bits)
        return replace(codec, books=_codebooks(left, 8 // bits))

    @property
    def bits(self) -> int:
        """Bits to a number."""
        return 8 // int(self.books.shape[2])

    @property
    def width(self) -> int:
        """Bytes to a vector's residual."""
        return len(self.books)

    def encode(self, vectors: Vectors) -> Coded:
        """Return the codes of vectors, float32 [t, d]."""
        cells = self.nearest(vectors)
        left = _padded(vectors - self.centres[cells], self.books.shape[2])
        codes = np.asarray(_alone(lambda: self._quantiser.compute_codes(left)), np.uint8).reshape(-1, self.width)
        return Coded(cells.astype(np.uint16), codes, np.linalg.norm(self._sum(cells, codes), axis=1).astype(np.float16))

    def nearest(self, vectors: Vectors) -> NDArray[np.int64]:
        """Return the nearest centre of each vector, int64 [t]; of many centres, nearly the nearest."""
        found = _alone(lambda: self._finder.search(np.ascontiguousarray(vectors), 1)[1])
        return np.asarray(found, np.int64).reshape(-1)

    def decode(self, coded: Coded) -> Vectors:
        """Return what codes say, float32 [t, d], rows of length 1."""
        lengths = np.maximum(coded.lengths.astype(np.float32), 1e-6)
        return np.asarray(self._sum(coded.cells, coded.codes) / lengths[:, None], np.float32)

    def asked(self, pieces: Vectors) -> PieceTables:
        """Return what compares codes with ``pieces``, float32 [l, d]."""
        parts = _padded(pieces, self.books.shape[2]).reshape(len(pieces), self.width, -1).transpose(1, 2, 0)
        tables = np.ascontiguousarray(np.matmul(self.books, parts)).reshape(self.width * WORDS, len(pieces))
        return PieceTables(np.ascontiguousarray(self.centres @ pieces.T), tables)

    def save(self, path: Path) -> None:
        """Write the arrays to ``path`` (safetensors)."""
        from safetensors.numpy import save_file

        save_file({"centres": self.centres.astype(np.float16), "books": self.books}, str(path))

    @classmethod
    def load(cls, path: Path) -> ResidualCodec:
        """Read what :meth:`save` wrote."""
        arrays = load_arrays(path)
        shapes = {name: array.shape for name, array in arrays.items()}
        dimension = shapes.get("centres", (0, 0))[-1]
        fitting = [
            {"centres": (shapes["centres"][0], dimension), "books": (-(-dimension * bits // 8), WORDS, 8 // bits)}
            for bits in BITS
            if "centres" in shapes
        ]
        kinds = {name: array.dtype for name, array in arrays.items()}
        if shapes not in fitting or kinds != {"centres": np.float16, "books": np.float32} or not dimension:
            raise DamagedIndexError(f"{path}: the arrays {shapes} do not fit together; build the index again")
        return cls(arrays["centres"].astype(np.float32), arrays["books"])

    @cached_property
    def _finder(self) -> Any:
        """FAISS' index of the centres."""
        finder = _finder(*self.centres.shape)
        if not finder.is_trained:
            _alone(lambda: finder.train(self.centres))
        finder.add(self.centres)
        return finder

    @cached_property
    def _quantiser(self) -> Any:
        """FAISS' quantiser with these codebooks."""
        import faiss

        quantiser = faiss.ProductQuantizer(self.width * self.books.shape[2], self.width, 8)
        faiss.copy_array_to_vector(self.books.ravel(), quantiser.centroids)
        return quantiser

    def _sum(self, cells: NDArray[Any], codes: NDArray[np.uint8]) -> Vectors:
        """Return centre and residual together, float32 [t, d]."""
        dimension = self.centres.shape[1]
        left = np.asarray(_alone(lambda: self._quantiser.decode(np.ascontiguousarray(codes))), np.float32)
        return np.asarray(self.centres[cells] + left[:, :dimension], np.float32)


@dataclass(frozen=True)
class PieceTables:
    """The inner products of a query's pieces with every centre and every word of the codebooks.

    A code's inner products are sums of rows of these (asymmetric distance computation), so no vector is decoded: a
    word piece costs w additions of l numbers instead of reading and multiplying d of them.

    Attributes:
        centres: float32 [K, l].
        words: float32 [w * 256, l], codebook after codebook.
    """

    centres: NDArray[np.float32]
    words: NDArray[np.float32]

    def similarity(self, coded: Coded) -> NDArray[np.float32]:
        """Return the inner products of decoded vectors and pieces, float32 [t, l]."""
        import torch

        first = np.arange(0, len(self.words), WORDS, dtype=np.int32)
        bags = torch.from_numpy(coded.codes + first)
        sums: NDArray[np.float32] = torch.nn.functional.embedding_bag(
            bags, torch.from_numpy(self.words), mode="sum"
        ).numpy()
        sums += self.centres[coded.cells]
        sums /= np.maximum(coded.lengths.astype(np.float32), 1e-6)[:, None]
        return sums


def _alone(work: Callable[[], Any]) -> Any:
    """Do ``work`` with one of FAISS' threads and every vector for itself: neither machine nor company matters then."""
    import faiss

    threads, together = faiss.omp_get_max_threads(), faiss.cvar.distance_compute_blas_threshold
    faiss.omp_set_num_threads(1)
    faiss.cvar.distance_compute_blas_threshold = 1 << 30
    try:
        return work()
    finally:
        faiss.omp_set_num_threads(threads)
        faiss.cvar.distance_compute_blas_threshold = together


def _finder(centres: int, dimension: int) -> Any:
    """Return an empty index for so many centres: with 8,192 it compares a vector with a tenth of them."""
    import faiss

    flat = faiss.IndexFlatL2(dimension)
    if centres <= _ALL_COMPARED:
        return flat
    index = faiss.IndexIVFFlat(flat, dimension, round(centres**0.5))
    index.nprobe = _LISTS_PROBED
    index.cp.min_points_per_centroid = 1
    return index


def _padded(vectors: Vectors, together: int) -> Vectors:
    """Return vectors with zeros after them, so that bytes of ``together`` numbers hold them, float32 [t, w * s]."""
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % together))), np.float32)


def _codebooks(left: Vectors, together: int) -> NDArray[np.float32]:
    """Return the words of every byte, float32 [w, 256, s]: k-means; of fewer vectors than words, these themselves."""
    import faiss

    width = left.shape[1] // together
    if len(left) < WORDS:
        rows = np.minimum(np.arange(WORDS), len(left) - 1)
        return np.ascontiguousarray(left[rows].reshape(WORDS, width, together).transpose(1, 0, 2))
    quantiser = faiss.ProductQuantizer(left.shape[1], width, 8)
    quantiser.cp.niter = _BOOK_ROUNDS
    quantiser.cp.min_points_per_centroid = 1  # a small corpus is no reason to write to the terminal
    quantiser.cp.max_points_per_centroid = _SAMPLE_TO_A_WORD
    _alone(lambda: quantiser.train(left))
    return np.asarray(faiss.vector_to_array(quantiser.centroids), np.float32).reshape(width, WORDS, together)

"""Short codes of many vectors: the nearest of a few thousand centres, and what is left in 1, 2 or 4 bits a number.

Santhanam et al. 2022, "ColBERTv2: Effective and Efficient Retrieval via Lightweight Late Interaction"
(arXiv:2112.01488), section 3.3. Bucket limits are quantiles of the residuals as there, but of every number apart, and
a bucket is read as the mean of what fell into it, which loses least.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from .array_file import load_arrays
from .records import Vectors

Codes = NDArray[np.uint8]
"""Packed residuals, uint8 [t, w]; w = d * bits / 8, rounded up."""

Cells = NDArray[np.uint16]
"""The nearest centre of each vector, [t]."""

BITS = (1, 2, 4)

MOST_CENTRES = 1 << 16

_ROUNDS = 4
_SAMPLE_TO_A_CENTRE = 32
_QUANTILE_SAMPLE = 1 << 15


@dataclass(frozen=True)
class ResidualCodec:
    """Turns unit vectors into codes and back.

    Attributes:
        centres: float32 [K, d].
        limits: float32 [d, 2^bits - 1], between the buckets of every number, ascending.
        values: float32 [d, 2^bits], what a bucket is read as.
    """

    centres: Vectors
    limits: Vectors
    values: Vectors

    @classmethod
    def learn(cls, vectors: Vectors, bits: int, centres: int) -> ResidualCodec:
        """Learn centres and buckets from a sample of vectors, float32 [s, d], s >= 1; one thread, a fixed seed."""
        import faiss

        centres = max(1, min(centres, len(vectors), MOST_CENTRES))
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            clusters = faiss.Kmeans(
                vectors.shape[1],
                centres,
                niter=_ROUNDS,
                seed=0,
                min_points_per_centroid=1,
                max_points_per_centroid=_SAMPLE_TO_A_CENTRE,
            )
            clusters.train(vectors)
        finally:
            faiss.omp_set_num_threads(threads)
        found = np.asarray(clusters.centroids, np.float32).reshape(centres, -1)
        part = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), _QUANTILE_SAMPLE)).astype(np.int64)]
        left = part - found[_nearest(part, found)]
        inner = np.arange(1, 1 << bits) / (1 << bits)
        limits = np.ascontiguousarray(np.quantile(left, inner, axis=0).T, np.float32)
        return cls(found, limits, _means(left, _buckets(left, limits), 1 << bits))

    @property
    def bits(self) -> int:
        """Bits to a number."""
        return int(self.values.shape[1]).bit_length() - 1

    @property
    def width(self) -> int:
        """Bytes to a vector's residual."""
        return -(-int(self.centres.shape[1]) * self.bits // 8)

    def encode(self, vectors: Vectors) -> tuple[Cells, Codes]:
        """Return the centres, uint16 [t], and the packed residuals, uint8 [t, w], of vectors float32 [t, d]."""
        cells = _nearest(vectors, self.centres)
        buckets = _buckets(vectors - self.centres[cells], self.limits)
        together = 8 // self.bits
        padded = np.zeros((len(vectors), self.width * together), np.uint8)
        padded[:, : buckets.shape[1]] = buckets
        codes = np.zeros((len(vectors), self.width), np.uint8)
        for place in range(together):
            codes |= padded[:, place::together] << np.uint8(place * self.bits)
        return cells.astype(np.uint16), codes

    def decode(self, cells: Cells, codes: Codes) -> Vectors:
        """Return what codes say, float32 [t, d], rows of length 1."""
        left = self._table[np.arange(self.width), codes]  # [t, w, 8 / bits]
        vectors = self.centres[cells]
        vectors += left.reshape(len(codes), self.width * (8 // self.bits))[:, : vectors.shape[1]]
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def save(self, path: Path) -> None:
        """Write the arrays to ``path`` (safetensors)."""
        from safetensors.numpy import save_file

        save_file({"centres": self.centres, "limits": self.limits, "values": self.values}, str(path))

    @classmethod
    def load(cls, path: Path) -> ResidualCodec:
        """Read what :meth:`save` wrote.

        Raises:
            DamagedIndexError: when the file cannot be read or its arrays do not fit together.
        """
        arrays = load_arrays(path)
        shapes = {name: arrays[name].shape for name in ("centres", "limits", "values") if name in arrays}
        dimension = shapes.get("centres", (0, 0))[-1]
        fitting = [
            {"centres": (shapes["centres"][0], dimension), "limits": (dimension, n - 1), "values": (dimension, n)}
            for n in (1 << bits for bits in BITS)
            if "centres" in shapes
        ]
        kinds = {array.dtype for array in arrays.values()}
        if shapes not in fitting or kinds != {np.dtype(np.float32)} or not dimension:
            raise DamagedIndexError(f"{path}: the arrays {shapes} do not fit together; build the index again")
        return cls(arrays["centres"], arrays["limits"], arrays["values"])

    def __post_init__(self) -> None:
        """Lay out what every byte of a code says."""
        together = 8 // self.bits
        dimension = len(self.values)
        padded = np.zeros((self.width * together, 1 << self.bits), np.float32)
        padded[:dimension] = self.values
        by_place = padded.reshape(self.width, together, 1 << self.bits)
        byte = np.arange(256)
        said = [by_place[:, place, (byte >> (place * self.bits)) & ((1 << self.bits) - 1)] for place in range(together)]
        object.__setattr__(self, "_table", np.stack(said, axis=2))  # [w, 256, 8 / bits]

    _table = np.zeros((0, 0, 0), np.float32)


def _nearest(vectors: Vectors, centres: Vectors) -> NDArray[np.int64]:
    """Return the nearest centre of each vector, int64 [t]."""
    import faiss

    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        index = faiss.IndexFlatL2(centres.shape[1])
        index.add(centres)
        return np.asarray(index.search(np.ascontiguousarray(vectors), 1)[1][:, 0], np.int64)
    finally:
        faiss.omp_set_num_threads(threads)


def _buckets(left: Vectors, limits: Vectors) -> NDArray[np.uint8]:
    """Return the bucket of every number, uint8 [t, d]."""
    buckets = np.zeros(left.shape, np.uint8)
    for limit in limits.T:
        buckets += left > limit
    return buckets


def _means(left: Vectors, buckets: NDArray[np.uint8], count: int) -> Vectors:
    """Return the mean of each number's buckets, float32 [d, count]; 0 for one that is empty."""
    sums = np.zeros((left.shape[1], count))
    sizes = np.zeros((left.shape[1], count))
    for bucket in range(count):
        inside = buckets == bucket
        sums[:, bucket] = np.where(inside, left, 0).sum(axis=0, dtype=np.float64)
        sizes[:, bucket] = inside.sum(axis=0)
    return (sums / np.maximum(sizes, 1)).astype(np.float32)

"""What is known of shards by their vectors: the centroids of the regions of each, in a file of the sharded index."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path

import numpy as np

from ..errors import DamagedIndexError
from ..index.index import Index
from ..retrievers._hashed_files import about_tensors, read_sealed_tensors, write_sealed_tensors
from ..retrievers.records import Rows, Vectors
from ..retrievers.router._clusters import balanced_clusters

_MOST_REGIONS = 64
"""Regions of a shard at most; fewer where its passages are fewer than their square."""

_COMPARED = _MOST_REGIONS**2
"""Passages of a shard that its regions are made of at most."""

_REMEDY = "build the index again"


@dataclass(frozen=True)
class Regions:
    """Centroids of the regions of every shard, unit vectors, float32 [S, R, d]."""

    centroids: Vectors

    @classmethod
    def of(cls, shards: Iterable[Index]) -> Regions:
        """Find regions among the passages of every shard; the same passages have the same ones."""
        rng = np.random.default_rng(0)
        drawn = []
        for shard in shards:
            rows = drawn_rows(np.flatnonzero(shard.parts.alive), rng)
            drawn.append(shard.parts.dense.reconstruct(rows))
        return cls.among(drawn, rng)

    @classmethod
    def among(cls, drawn: Sequence[Vectors], rng: np.random.Generator) -> Regions:
        """Find regions among vectors [n, d] that were drawn of every shard."""
        count = min(isqrt(len(vectors)) for vectors in drawn)
        return cls(np.stack([balanced_clusters(vectors, count, rng)[1] for vectors in drawn]))

    def nearest(self, vectors: Vectors) -> Rows:
        """Return the shard with the region nearest to each of some vectors [n, d], int64 [n]."""
        near = np.stack([(vectors @ shard.T).max(axis=1) for shard in self.centroids], axis=1)
        return np.asarray(near.argmax(axis=1), np.int64)

    def save(self, folder: Path) -> str:
        """Write them into a file of their own, and return its name."""
        from safetensors.numpy import save

        name = f"regions-{hashlib.sha256(self.centroids.tobytes()).hexdigest()[:16]}.safetensors"
        write_sealed_tensors(folder / name, save({"regions": self.centroids}, about_tensors({})))
        return name

    @classmethod
    def load(cls, file: Path) -> Regions:
        """Read what :meth:`save` wrote; DamagedIndexError when it is missing or damaged."""
        from safetensors.numpy import load

        content, _ = read_sealed_tensors(file, DamagedIndexError, _REMEDY)
        return cls(load(content)["regions"])


def drawn_rows(rows: Rows, rng: np.random.Generator) -> Rows:
    """Return the rows whose vectors the regions of a shard are made of, ascending."""
    return np.sort(rng.permutation(rows)[:_COMPARED])


def remove_regions(folder: Path, but: str) -> None:
    """Remove the files of regions of former states of a sharded index."""
    for path in folder.glob("regions-*.safetensors"):
        if path.name != but:
            path.unlink()

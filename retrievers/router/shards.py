"""Shards: a balanced partition of the corpus in which linked passages tend to lie together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..records import Rows, Vectors
from .balanced import SLACK, balanced_clusters
from .clues import Clues, Corpus, Postings, named_share, stacked

REGIONS = 32
"""Parts of a shard whose centroids a query is compared with, so that a shard of many subjects is seen as that."""

_BLOCK = 1 << 14

SHARD_CLUES = 9
"""What is known of a shard for a query: four of its words, two of its titles, three of its regions."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Which shard every passage lies in.

    Attributes:
        shard: int64 [N].
        centroids: float32 [S, d], unit means of the vectors that were clustered.
        regions: float32 [S, REGIONS, d], unit centroids of the parts of every shard; copies where there are fewer.
    """

    shard: NDArray[np.int64]
    centroids: Vectors
    regions: Vectors

    def __len__(self) -> int:
        """Return the number of shards."""
        return len(self.centroids)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Passages in every shard."""
        return np.bincount(self.shard, minlength=len(self))

    def rows(self, shards: NDArray[np.int64]) -> Rows:
        """Return the rows of some shards, ascending."""
        return np.flatnonzero(np.isin(self.shard, shards))

    def with_added(self, vectors: Vectors) -> Partition:
        """Return a partition in which new passages [m, d] lie in the shards with the nearest regions."""
        if not len(vectors):
            return self
        near = np.einsum("nd,srd->nsr", vectors, self.regions).max(axis=2).argmax(axis=1)
        return replace(self, shard=np.concatenate([self.shard, near]))


def partition(
    vectors: Vectors,
    shards: int,
    rng: np.random.Generator,
    links: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
    smoothing: float = 0.5,
) -> Partition:
    """Part passages into shards of nearly equal size.

    Args:
        vectors: float32 [N, d], unit length.
        shards: how many.
        rng: for the clusters.
        links: (source, target) rows of linked passages; a passage is clustered by its own vector and the mean of
            those it is linked with, either way, so that a question's second passage tends to lie beside its first.
        smoothing: the weight of that mean, 0 to below 1.

    Raises:
        ValueError: when there are fewer passages than shards, or a weight is out of range.
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be from 0 to below 1, not {smoothing}")
    clustered = vectors if links is None else _smoothed(vectors, *links, smoothing)
    shard, centroids = balanced_clusters(clustered, shards, rng)
    regions = []
    for number in range(shards):
        inside = vectors[shard == number]
        _, found = balanced_clusters(inside, min(REGIONS, len(inside)), rng, SLACK)
        regions.append(found[np.arange(REGIONS) % len(found)])
    return Partition(shard, centroids, np.stack(regions))


def _smoothed(vectors: Vectors, source: NDArray[np.integer], target: NDArray[np.integer], weight: float) -> Vectors:
    from scipy.sparse import csr_array

    ends = np.concatenate([source, target]), np.concatenate([target, source])
    linked = csr_array((np.ones(len(ends[0]), np.float32), ends), shape=(len(vectors), len(vectors)))
    linked.sum_duplicates()
    linked.data[:] = 1
    degree: NDArray[np.float32] = np.asarray(linked.sum(axis=1), np.float32).reshape(-1, 1)
    mixed: Vectors = np.asarray(linked @ vectors, np.float32)
    # In place: of a million passages one copy of the vectors is 1.5 GB.
    mixed *= weight / np.maximum(degree, 1)
    for first in range(0, len(mixed), _BLOCK):
        block = slice(first, first + _BLOCK)
        mixed[block] += (1 - weight) * vectors[block]
        mixed[block] /= np.maximum(np.linalg.norm(mixed[block], axis=1, keepdims=True), 1e-12)
    return mixed


class ShardStatistics:
    """What is known of every shard for a query without scoring a passage: resource selection's statistics.

    CORI (Callan et al. 1995) reads document frequencies, ReDDE (Si and Callan 2003) a sample of each shard; here a
    region's centroid stands for the sample, and a network learns how much each is worth.

    Args:
        corpus: the passages.
        partition: their shards; passages beyond its length lie in none.
    """

    def __init__(self, corpus: Corpus, partition: Partition) -> None:
        missing = np.full(len(corpus) - len(partition.shard), -1, np.int64)
        self._group = np.concatenate([partition.shard, missing])
        self._postings = Postings(corpus.terms, self._group, len(partition))
        self._regions = partition.regions

    def clues(self, clues: Clues) -> NDArray[np.float32]:
        """Return what is known of every shard, float32 [S, SHARD_CLUES]."""
        shards = len(self._regions)
        near = np.sort(self._regions @ clues.vector, axis=1)  # [S, REGIONS]
        columns = (
            self._postings.evidence(clues),
            named_share(clues, self._group, shards),
            near[:, -1:],
            near[:, -3:].mean(axis=1, keepdims=True),
            near.mean(axis=1, keepdims=True),
        )
        return np.hstack(columns).astype(np.float32)


class ShardNetwork(nn.Module):
    """Scores shards: what is known of each for the query, by weights they share, and a head over the query's vector.

    Letters: b queries, S shards, f = SHARD_CLUES, d dimension.

    Args:
        dimension: d.
        shards: S.
        hidden: numbers in each hidden layer.
    """

    def __init__(self, dimension: int, shards: int, hidden: int = 64) -> None:
        super().__init__()
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(SHARD_CLUES))
        self.register_buffer("spread", torch.ones(SHARD_CLUES))
        self.judge = nn.Sequential(nn.Linear(2 * SHARD_CLUES, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, 1))
        self.head = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(dimension, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, shards)
        )
        # The vectors' numbers are about 1/sqrt(d) each, the clues' about 1.
        self._scale = dimension**0.5 / 2
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def measure(self, known: Tensor) -> None:
        """Take mean and spread of the clues [n, S, f], so that they come in one scale."""
        self.mean.copy_(known.mean(dim=(0, 1)))
        self.spread.copy_(known.std(dim=(0, 1)).clamp(min=1e-3))

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Return scores [b, S] for query vectors [b, d] and what is known of the shards [b, S, f]."""
        known = (known - self.mean) / self.spread
        beside = known - known.mean(dim=1, keepdim=True)
        judged = self.judge(torch.cat([known, beside], dim=2)).squeeze(-1)
        scores: Tensor = judged + self.head(vectors * self._scale)
        return scores


def shard_inputs(statistics: ShardStatistics, clues: Sequence[Clues]) -> tuple[Tensor, Tensor]:
    """Return what is known of the shards [n, S, f] and the query vectors [n, d]."""
    known = torch.from_numpy(np.stack([statistics.clues(one) for one in clues]))
    return known, torch.from_numpy(stacked(clues))

"""Shards: a balanced partition of the corpus in which linked passages tend to lie together, and their sub-indexes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import EncoderError
from ..protocols import SubIndex
from ..records import Hits, Query, Rows, Vectors
from ..words._lexical import LexicalIndex
from ._clues import Clues, Corpus, Postings, named_share, region_evidence, stacked
from ._clusters import SLACK, balanced_clusters, smoothed

REGIONS = 32
"""Parts of a shard whose centroids a query is compared with, so that a shard of many subjects is seen as that."""

SHARD_CLUES = 9
"""What is known of a shard for a query: four of its words, two of its titles, three of its regions."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Which shard every passage lies in."""

    shard: NDArray[np.int64]  # int64 [N]
    centroids: Vectors  # float32 [S, d], unit means of the vectors that were clustered
    # float32 [S, REGIONS, d], unit centroids of the parts of every shard; copies where there are fewer
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
    clustered = vectors if links is None else smoothed(vectors, *links, smoothing)
    shard, centroids = balanced_clusters(clustered, shards, rng)
    regions = []
    for number in range(shards):
        inside = vectors[shard == number]
        _, found = balanced_clusters(inside, min(REGIONS, len(inside)), rng, SLACK)
        regions.append(found[np.arange(REGIONS) % len(found)])
    return Partition(shard, centroids, np.stack(regions))


class ShardStatistics:
    """What is known of every shard for a query without scoring a passage: resource selection's statistics.

    CORI (Callan et al. 1995) reads document frequencies, ReDDE (Si and Callan 2003) a sample of each shard; here a
    region's centroid stands for the sample, and a network learns how much each is worth. Passages of the corpus beyond
    the partition's length lie in no shard.
    """

    def __init__(self, corpus: Corpus, partition: Partition) -> None:
        missing = np.full(len(corpus) - len(partition.shard), -1, np.int64)
        self._group = np.concatenate([partition.shard, missing])
        self._postings = Postings(corpus.terms, self._group, len(partition))
        self._regions = partition.regions

    def clues(self, clues: Clues) -> NDArray[np.float32]:
        """Return what is known of every shard, float32 [S, SHARD_CLUES]."""
        shards = len(self._regions)
        columns = (
            self._postings.evidence(clues),
            named_share(clues, self._group, shards),
            region_evidence(self._regions, clues.vector),
        )
        return np.hstack(columns).astype(np.float32)


class ShardNetwork(nn.Module):
    """Scores shards: what is known of each for the query, by weights they share, and a head over the query's vector.

    Letters: b queries, S shards, f = SHARD_CLUES, d dimension.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, dimension: int, shards: int, hidden: int = 64) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(SHARD_CLUES))
        self.register_buffer("spread", torch.ones(SHARD_CLUES))
        self.judge = nn.Sequential(nn.Linear(2 * SHARD_CLUES, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, 1))
        self.head = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(dimension, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, shards)
        )
        # The vectors' numbers are about 1/sqrt(d) each, the clues' about 1.
        self._scale = dimension**0.5 / 2
        for parameter in self.head[-1].parameters():
            nn.init.zeros_(parameter)

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


_NOTHING = Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class DenseShard:
    """The vectors of one shard, in memory of their own: a search compares these and no others; a ``SubIndex``."""

    rows: Rows  # the passages, ascending
    vectors: Vectors  # float32 [n, d]
    name: str = "dense"  # of the sub-index

    def search(self, query: Query, limit: int) -> Hits:
        """Return the shard's passages nearest to the query's vector."""
        if query.vector is None or query.vector.shape != (self.vectors.shape[1],):
            raise EncoderError(f"a dense shard needs a query vector of {self.vectors.shape[1]} numbers")
        return best(self.rows, self.vectors @ query.vector, limit)


@dataclass(frozen=True, slots=True)
class LexicalShard:
    """The lexical index of one shard; a ``SubIndex``.

    Words weigh as they are rare in the shard, not in the corpus: nothing outside the shard is read.
    """

    rows: Rows  # the passages, ascending
    index: LexicalIndex  # over them, in that order
    name: str = "lexical"  # of the sub-index

    def search(self, query: Query, limit: int) -> Hits:
        """Return the shard's passages that share a word with the query."""
        hits = self.index.search(query, limit)
        return best(self.rows[hits.rows], hits.scores, limit)


class WithinShards:
    """A sub-index within some shards, asked through the sub-index of each; fulfils ``SubIndex``."""

    def __init__(self, shards: Sequence[SubIndex]) -> None:
        self.name = shards[0].name
        self._shards = shards

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages of the shards, best first, ties by row."""
        found = [shard.search(query, limit) for shard in self._shards]
        rows = np.concatenate([hits.rows for hits in found])
        return best(rows, np.concatenate([hits.scores for hits in found]), limit)


def dense_shards(vectors: Vectors, partition: Partition) -> list[DenseShard]:
    """Copy the vectors of every shard, so that a shard is one block of memory."""
    members = [partition.rows(np.array([number])) for number in range(len(partition))]
    return [DenseShard(rows, np.ascontiguousarray(vectors[rows])) for rows in members]


def build_lexical_shards(folder: Path, passages: Iterable[tuple[str, str]], partition: Partition) -> list[LexicalShard]:
    """Write and open a lexical index of every shard in ``folder``; passages are (title, text) in row order."""
    everything = list(passages)
    for number in range(len(partition)):
        rows = partition.rows(np.array([number])).tolist()
        LexicalIndex.build(folder / f"{number:03d}", [everything[row] for row in rows], len(rows))
    return open_lexical_shards(folder, partition)


def open_lexical_shards(folder: Path, partition: Partition) -> list[LexicalShard]:
    """Open what :func:`build_lexical_shards` wrote for the same partition."""
    return [
        LexicalShard(partition.rows(np.array([number])), LexicalIndex(folder / f"{number:03d}"))
        for number in range(len(partition))
    ]


def best(rows: Rows, scores: np.ndarray[tuple[int], np.dtype[np.float32]], limit: int) -> Hits:
    """Return the ``limit`` passages with the highest scores, ties by row."""
    if limit < 1 or not len(rows):
        return _NOTHING
    if limit < len(rows):
        # Everything that equals the last one stays, so that ties are cut by row.
        last = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        kept = np.flatnonzero(scores >= last)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:limit]
    return Hits(rows[order].astype(np.int64), scores[order].astype(np.float32))

"""The sub-indexes of single shards, and one that asks some of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import EncoderError
from ..protocols import SubIndex
from ..records import Hits, Query, Rows, Vectors
from ..words.lexical import LexicalIndex
from .shards import Partition

_NOTHING = Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class DenseShard:
    """The vectors of one shard, in memory of their own: a search compares these and no others; a ``SubIndex``.

    Attributes:
        rows: the passages, ascending.
        vectors: float32 [n, d].
        name: of the sub-index.
    """

    rows: Rows
    vectors: Vectors
    name: str = "dense"

    def search(self, query: Query, limit: int) -> Hits:
        """Return the shard's passages nearest to the query's vector."""
        if query.vector is None or query.vector.shape != (self.vectors.shape[1],):
            raise EncoderError(f"a dense shard needs a query vector of {self.vectors.shape[1]} numbers")
        return best(self.rows, self.vectors @ query.vector, limit)


@dataclass(frozen=True, slots=True)
class LexicalShard:
    """The lexical index of one shard; a ``SubIndex``.

    Words weigh as they are rare in the shard, not in the corpus: nothing outside the shard is read.

    Attributes:
        rows: the passages, ascending.
        index: over them, in that order.
        name: of the sub-index.
    """

    rows: Rows
    index: LexicalIndex
    name: str = "lexical"

    def search(self, query: Query, limit: int) -> Hits:
        """Return the shard's passages that share a word with the query."""
        hits = self.index.search(query, limit)
        return best(self.rows[hits.rows], hits.scores, limit)


class WithinShards:
    """A sub-index within some shards; fulfils ``SubIndex``.

    Args:
        shards: the sub-index of each, returning rows of the whole corpus.
    """

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
    shards = []
    for number in range(len(partition)):
        rows = partition.rows(np.array([number]))
        shards.append(DenseShard(rows, np.ascontiguousarray(vectors[rows])))
    return shards


def build_lexical_shards(folder: Path, passages: Iterable[tuple[str, str]], partition: Partition) -> list[LexicalShard]:
    """Write a lexical index of every shard into ``folder``, and open them.

    Args:
        folder: made if it is not there.
        passages: (title, text) of every passage, in row order.
        partition: the shards.
    """
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

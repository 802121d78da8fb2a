"""What a search keeps of passages of shards, and the state of the shards that it keeps to."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..graph._edges import Links
from ..index._sample import Sample
from ..retrievers._bounded import Bounded
from ..retrievers._forks import PerProcess
from ..retrievers.records import Passage, Rows, Vectors
from ..retrievers.words._terms import TermHashes
from ._messages import GROUPS_OF_EDGES, EdgeBlock, RecordBlock

_MOST_KEPT = 64_000_000
"""Bytes of passages that are kept from one search to the next."""

_MOST_WORDS = 1_000_000
"""Terms whose frequencies are kept from one search to the next."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of a passage: it, and its place in what its shard sent."""

    passage: Passage
    block: RecordBlock
    place: int

    @property
    def vector(self) -> Vectors:
        """Its vector, float32 [d]."""
        vector: Vectors = self.block.vectors[self.place]
        return vector

    @property
    def terms(self) -> TermHashes:
        """Its terms, uint32 [k], sorted."""
        return self.block.terms[self.block.offsets[self.place] : self.block.offsets[self.place + 1]]

    @property
    def linked(self) -> bool:
        """Whether its edges are known."""
        return self.block.edges is not None

    @property
    def in_degree(self) -> int:
        """How many passages mention it."""
        return int(self._edges.in_degree[self.place])

    @property
    def out_degree(self) -> int:
        """How many passages it mentions."""
        return int(self._edges.out_degree[self.place])

    def links(self, first: int, last: int) -> Links:
        """Return the edges of some of the groups, ``GROUPS_OF_EDGES[first:last]``."""
        edges, begin = self._edges, self.place * len(GROUPS_OF_EDGES)
        part = slice(edges.offsets[begin + first], edges.offsets[begin + last])
        return Links(edges.rows[part], edges.relations[part], edges.starts[part], edges.ends[part])

    @property
    def _edges(self) -> EdgeBlock:
        assert self.block.edges is not None  # whoever asks for them has fetched them
        return self.block.edges

    def weight(self) -> int:
        """Return about how many bytes it takes, terms and edges by the length of its text."""
        return self.block.vectors.itemsize * int(self.block.vectors.shape[1]) + 3 * len(self.passage.text) + 500


def records_of(rows: Rows, block: RecordBlock) -> dict[int, Record]:
    """Return what a shard sent of the rows that it was asked for."""
    return {
        row: Record(passage, block, place)
        for place, (row, passage) in enumerate(zip(rows[block.there].tolist(), block.passages, strict=True))
    }


class Remembered:
    """What searches of one state of all shards have asked before. Threads may share one."""

    def __init__(self) -> None:
        self.records: Bounded[int, Record] = Bounded(_MOST_KEPT, Record.weight)
        self.sample: Sample | None = None
        self._lock = PerProcess(Lock)
        self._words: tuple[TermHashes, NDArray[np.int64]] = (np.zeros(0, np.uint32), np.zeros(0, np.int64))

    def frequencies(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return in how many passages each term is, int64 [k], -1 where it is not known."""
        known, counts = self._words
        if not len(known):
            return np.full(len(hashes), -1)
        place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        return np.where(known[place] == hashes, counts[place], -1)

    def learn(self, hashes: TermHashes, counts: NDArray[np.int64]) -> None:
        """Keep the frequencies of terms, uint32 [k], sorted, each once."""
        with self._lock():
            new = self.frequencies(hashes) < 0
            if not new.any():
                return
            known, before = self._words
            if len(known) > _MOST_WORDS:
                known, before = known[:0], before[:0]
            place = np.searchsorted(known, hashes[new])
            self._words = (np.insert(known, place, hashes[new]), np.insert(before, place, counts[new]))

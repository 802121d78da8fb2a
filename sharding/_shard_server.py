"""What a shard answers: what its words weigh, all that a search wants to rank, and passages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ShardError
from ..index._segments import Parts
from ..index.index import Index
from ..index.updates import UpdateReport
from ..retrievers._forks import PerProcess
from ..retrievers._thread_limits import computing_on
from ..retrievers.protocols import Encoder
from ..retrievers.records import Document, Hits, Passage, Query, Rows, Vectors
from ..retrievers.words._lexical import MOST_IDENTIFIED, LexicalIndex
from ..retrievers.words._word_statistics import CorpusSize, WordStatistics

FieldWord = tuple[str, str]
"""A field of the lexical index, and a term in it."""

_KEPT = 4
"""States of a shard whose passages can still be read after it has changed."""


@dataclass(frozen=True)
class ShardStatistics:
    """What a shard adds to the weights of words.

    Attributes:
        size: of the shard.
        frequencies: how many of its passages have each word that was asked for.
    """

    size: CorpusSize
    frequencies: Mapping[FieldWord, int]


@dataclass(frozen=True)
class ShardQuestion:
    """What a shard is asked.

    Attributes:
        text: the question.
        vector: of the question, float32 [d]; None where vectors are not to be compared.
        limit: passages of each list at most.
        by_words: the size of all shards together, and the frequencies in them; None where words are not looked up.
        identifiers: of the question, those that few passages of all shards have.
    """

    text: str
    vector: Vectors | None
    limit: int
    by_words: tuple[CorpusSize, WordStatistics] | None
    identifiers: tuple[FieldWord, ...] = ()


@dataclass(frozen=True)
class ShardAnswer:
    """What a shard found.

    Attributes:
        lists: rows of the shard with their scores, best first, by ``lexical``, ``dense`` and ``identified``.
        documents: id of the document of every such row.
        generation: state of the shard that the rows are of.
    """

    lists: Mapping[str, Hits]
    documents: Mapping[int, str]
    generation: int


class ShardServer:
    """Answers for one shard, in whatever process it is; threads may share one.

    Args:
        folder: an index, alone or of a sharded index.
        encoder: instead of the one that the index names, for what is added.

    Raises:
        IndexFolderError: when there is no index, or it cannot be opened.
        EncoderError: when ``encoder`` is another than the index's own.
    """

    def __init__(self, folder: Path, encoder: Encoder | None = None) -> None:
        # Who searches a sharded index has checked its manifest; hashes of whole files were checked when it was built.
        self._index = Index.open(folder, encoder=encoder, threads=1, verify=False)
        self._lock = PerProcess(Lock)
        self._states: dict[int, Parts] = {}
        self._sized: tuple[LexicalIndex, CorpusSize] | None = None
        self._within: tuple[LexicalIndex, CorpusSize, LexicalIndex] | None = None

    def statistics(self, words: Sequence[FieldWord]) -> ShardStatistics:
        """Return the size of the shard and how many passages have each word, deleted ones among them."""
        lexical = self._newest()[1].lexical
        return ShardStatistics(self._size(lexical), {word: lexical.frequency(*word) for word in words})

    def ask(self, question: ShardQuestion) -> ShardAnswer:
        """Return all that the shard finds for a question."""
        generation, parts = self._newest()
        query = Query(question.text, question.vector)
        lists: dict[str, Hits] = {}
        with computing_on(1):
            if question.by_words is not None:
                corpus, statistics = question.by_words
                lists["lexical"] = self._lexical(parts.lexical, corpus).search(query, question.limit, statistics)
            if question.vector is not None:
                lists["dense"] = parts.dense.search(query, question.limit)
            if question.identifiers:
                lists["identified"] = _identified(parts.lexical, question.identifiers)
        rows = sorted({row for hits in lists.values() for row in hits.rows.tolist()})
        return ShardAnswer(lists, {row: parts.document_of[row] for row in rows}, generation)

    def passages(self, rows: Sequence[int], generation: int) -> list[Passage]:
        """Return the passages of rows of an answer.

        Raises:
            ShardError: when the shard has changed too often since.
        """
        newest = self._newest()
        with self._lock():
            parts = self._states.get(generation, newest[1] if newest[0] == generation else None)
        if parts is None:
            raise ShardError(f"{self._index.path} has changed more than {_KEPT} times since it was asked: ask again")
        return parts.store.passages(rows)

    def of_documents(self, method: str, *given: Any) -> Any:
        """Return what a method of :class:`Documents` says of the newest state."""
        return getattr(self._newest()[1].store, method)(*given)

    def change(self, documents: Sequence[Document], delete: Sequence[str], replace: bool) -> UpdateReport:
        """Change the shard: see ``Index.change``. It is found, and on the disk, once this returns."""
        return self._index.change(documents, delete=delete, replace=replace)

    def close(self) -> None:
        """Let go of files and memory."""
        self._index.close()

    def _newest(self) -> tuple[int, Parts]:
        """Return the newest state of the shard and its number."""
        self._index.refresh()
        with self._index.snapshot():
            generation, parts = int(self._index.manifest["generation"]), self._index.parts
        with self._lock():
            self._states[generation] = parts
            while len(self._states) > _KEPT:
                del self._states[min(self._states)]
        return generation, parts

    def _size(self, lexical: LexicalIndex) -> CorpusSize:
        with self._lock():
            if self._sized is None or self._sized[0] is not lexical:
                self._sized = (lexical, lexical.size())
            return self._sized[1]

    def _lexical(self, lexical: LexicalIndex, corpus: CorpusSize) -> LexicalIndex:
        """Return the lexical index with the mean lengths of all shards."""
        with self._lock():
            if self._within is None or self._within[0] is not lexical or self._within[1] != corpus:
                self._within = (lexical, corpus, lexical.within(corpus))
            return self._within[2]


def _identified(lexical: LexicalIndex, identifiers: Sequence[FieldWord]) -> Hits:
    found = [lexical.with_phrase([word], field, MOST_IDENTIFIED) for field, word in identifiers]
    rows: Rows = np.unique(np.concatenate(found))
    scores: NDArray[np.float32] = np.ones(len(rows), np.float32)
    return Hits(rows, scores)

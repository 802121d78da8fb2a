"""What a shard answers: what its words weigh, all that a search wants to rank, and passages with all that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import IndexFolderError, ShardError
from ..index._searchable import Pieces
from ..index._segments import Parts
from ..index.index import Index
from ..index.updates import UpdateReport
from ..retrievers._forks import PerProcess
from ..retrievers._thread_limits import computing_on
from ..retrievers.protocols import Encoder
from ..retrievers.records import Document, Hits, Passage, Query, Rows, Vectors
from ..retrievers.words._lexical import MOST_IDENTIFIED, LexicalIndex
from ..retrievers.words._terms import TermHashes
from ..retrievers.words._title_tables import MAX_TITLE_ROWS
from ..retrievers.words._word_statistics import CorpusSize, FieldWord
from ._messages import Asked, Begun, KnownWords, QuestionWords, RecordBlock, TitleForm, View, row_in_shard
from ._shard_links import ShardLinks

_KEPT = 4
"""States of a shard whose passages can still be read after it has changed."""


class ShardServer:
    """Answers for one shard, in whatever process it is; threads may share one.

    Args:
        folder: a shard of a sharded index.
        encoder: instead of the one that the index names, for what is added.
        index: the shard, where it is open already.

    Raises:
        IndexFolderError: when there is no index, or it cannot be opened.
        EncoderError: when ``encoder`` is another than the index's own.
    """

    def __init__(self, folder: Path, encoder: Encoder | None = None, index: Index | None = None) -> None:
        # Who searches a sharded index has checked its manifest; hashes of whole files were checked when it was built.
        opened = Index.open(folder, encoder=encoder, threads=1, verify=False) if index is None else index
        self._index = opened
        self._links = ShardLinks(folder)
        self._lock = PerProcess(Lock)
        self._states: dict[int, Parts] = {}
        self._sized: tuple[LexicalIndex, CorpusSize] | None = None
        self._within: tuple[LexicalIndex, CorpusSize, LexicalIndex] | None = None

    @property
    def passages_in_all(self) -> int:
        """Number of passages in the newest state."""
        return len(self._index)

    def begin(self, view: View, asked: Sequence[QuestionWords]) -> Begun:
        """Begin a search: say what the shard knows of questions by their words, and which state it is in."""
        generation, whole = self._newest() if view.generation is None else (view.generation, self._whole(view))
        view = View(generation, view.where)
        parts = self._parts(view)
        size = self._size(whole.lexical)
        known = tuple(_known(parts, words, partial(self._links.in_all, whole)) for words in asked)
        counted = int(parts.alive.sum()) if view.where is not None else len(parts.terms)
        complete = self._links.hold(whole) and bool(parts.alive[: len(whole.base)].all())
        sizes = parts.store.documents, len(parts.store)
        return Begun(generation, size, *sizes, counted, parts.pieces is not None, complete, known)

    def ask(self, view: View, asked: Asked) -> dict[str, Hits]:
        """Return all that the shard finds for a query, by ``lexical`` and ``dense``."""
        whole, parts = self._whole(view), self._parts(view)
        query = Query(asked.text, asked.vector)
        found: dict[str, Hits] = {}
        with computing_on(1):
            if asked.by_words is not None:
                corpus, statistics = asked.by_words
                found["lexical"] = self._lexical(whole, parts, corpus).search(query, asked.limit, statistics)
            if asked.vector is not None:
                found["dense"] = parts.dense.search(query, asked.limit)
        return {kind: Hits(self._links.in_all(whole, hits.rows), hits.scores) for kind, hits in found.items()}

    def passages(self, view: View, rows: Rows) -> list[Passage]:
        """Return the passages of rows of an answer."""
        return self._parts(view).store.passages(row_in_shard(rows).tolist())

    def records(self, view: View, rows: Rows, linked: bool) -> RecordBlock:
        """Return all that is known of passages, with or without their edges; rows that are not seen are left out."""
        parts = self._parts(view)
        rows = row_in_shard(rows)
        there: NDArray[np.bool_] = rows < len(parts.alive)
        there[there] = parts.alive[rows[there]]
        mine = rows[there]
        terms, owner = parts.terms.terms_of(mine)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(mine)))]).astype(np.int64)
        passages = parts.store.passages(mine.tolist())
        edges = self._links.edges(self._whole(view), parts, mine) if linked else None
        return RecordBlock(there, passages, parts.dense.reconstruct(mine), offsets, np.asarray(terms), edges)

    def vectors(self, view: View, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d]; IndexError for one that is not seen."""
        parts, mine = self._parts(view), row_in_shard(rows)
        if not parts.alive[mine].all():
            raise IndexError(f"rows {mine[~parts.alive[mine]]} of {self._index.path} are not seen")
        return parts.dense.reconstruct(mine)

    def late(self, view: View, pieces: Vectors, rows: Rows) -> NDArray[np.float32]:
        """Return how well a question's word pieces fit passages, float32 [n]."""
        with computing_on(1):
            return self._pieces(view).score(pieces, row_in_shard(rows))

    def codes(self, view: View, rows: Rows) -> list[NDArray[np.uint8]]:
        """Return the codes of the word pieces of passages, uint8 [t, w] each."""
        return self._pieces(view).codes(row_in_shard(rows))

    def frequencies(self, view: View, hashes: TermHashes) -> NDArray[np.int64]:
        """Return in how many passages each term is, int64 [k]."""
        return self._parts(view).terms.document_frequency(hashes)

    def sample(self, view: View) -> tuple[NDArray[np.uint64], Vectors]:
        """Return the shard's sample: the numbers by which its passages are drawn, and their vectors."""
        parts = self._parts(view)
        return parts.draw_numbers[parts.sample_rows], parts.sample.vectors

    def rows_named(self, view: View, kind: str, name: str) -> list[int]:
        """Return the rows of a ``passage`` or of a ``document`` by its id; none where it is not of this shard."""
        store = self._parts(view).store
        try:
            rows = [store.row_of(name)] if kind == "passage" else store.rows_of(name)
        except KeyError:
            return []
        found: list[int] = self._links.in_all(self._whole(view), np.array(rows, np.int64)).tolist()
        return found

    def document(self, view: View, document_id: str) -> Document | None:
        """Return a document with its text; None where it is not of this shard, or not seen."""
        store = self._parts(view).store
        return store.document(document_id) if store.having([document_id]) else None

    def of_documents(self, method: str, *given: Any) -> Any:
        """Return what a method of :class:`ShardedDocuments` says of the newest state."""
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

    def _whole(self, view: View) -> Parts:
        """Return a state of the shard.

        Raises:
            ShardError: when the shard has changed too often since.
        """
        assert view.generation is not None  # a search begins with the newest
        with self._lock():
            parts = self._states.get(view.generation)
        if parts is None:
            newest, parts = self._newest()
            if newest != view.generation:
                raise ShardError(f"{self._index.path} has changed too often since this search began: ask again")
        return parts

    def _parts(self, view: View) -> Parts:
        """Return what is seen of a state."""
        whole = self._whole(view)
        return whole if view.where is None else self._index.visible(whole, view.where)

    def _pieces(self, view: View) -> Pieces:
        found = self._parts(view).pieces
        if found is None:
            raise IndexFolderError(f"{self._index.path} keeps no word pieces, as other shards do: build it again")
        return found

    def _size(self, lexical: LexicalIndex) -> CorpusSize:
        with self._lock():
            if self._sized is None or self._sized[0] is not lexical:
                self._sized = (lexical, lexical.size())
            return self._sized[1]

    def _lexical(self, whole: Parts, parts: Parts, corpus: CorpusSize) -> LexicalIndex:
        """Return the lexical index of what is seen, with the mean lengths of all shards."""
        lexical = whole.lexical
        with self._lock():
            if self._within is None or self._within[0] is not lexical or self._within[1] != corpus:
                self._within = (lexical, corpus, lexical.within(corpus))
            within = self._within[2]
        return within if parts is whole else within.without(parts.alive, parts.lexical.spare)


InAll = Callable[[Rows], Rows]
"""Makes rows of all shards of those of a shard."""


def _known(parts: Parts, asked: QuestionWords, in_all: InAll) -> KnownWords:
    lexical = parts.lexical
    return KnownWords(
        parts.terms.document_frequency(asked.hashes),
        lexical.frequencies(asked.words),
        tuple(_identified(lexical, word, in_all) for word in asked.identifiers),
        tuple(_forms(parts, asked.folded, in_all)),
    )


def _identified(lexical: LexicalIndex, word: FieldWord, in_all: InAll) -> Rows | None:
    """Return the rows that have an identifier; None where they are too many."""
    field, term = word
    rows = lexical.with_phrase([term], field, MOST_IDENTIFIED)
    return None if not len(rows) and lexical.frequency(field, term) > MOST_IDENTIFIED else in_all(rows)


def _forms(parts: Parts, folded: Sequence[str], in_all: InAll) -> Iterable[TitleForm]:
    """Return every form of a title that stands among folded words, those that fit too many documents too."""
    found = [
        (phrase, form, form.rows[: MAX_TITLE_ROWS + 1])
        for phrase, form in parts.titles.table(folded=True).among(folded)
    ]
    named = iter(in_all(np.array([row for _, _, rows in found for row in rows], np.int64)).tolist())
    return dict.fromkeys(
        TitleForm(phrase, form.text, form.kind, form.exact, tuple(islice(named, len(rows))))
        for phrase, form, rows in found
    )

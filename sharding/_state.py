"""The state of all shards that a search keeps to, and what it has asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..index._sample import SAMPLE, Sample
from ..index.where import Where
from ..retrievers.records import Document, Hits, Passage, Query, Rows, Vectors
from ..retrievers.words._analyser import Identifier, identifiers
from ..retrievers.words._asked_words import asked_words
from ..retrievers.words._lexical import MOST_IDENTIFIED
from ..retrievers.words._phrases import fold, words_of
from ..retrievers.words._terms import TermHashes, term_hashes, title_hashes
from ..retrievers.words._title_tables import NamedForm
from ..retrievers.words._titles import EntityIndex, TitleMatcher
from ..retrievers.words._word_statistics import CorpusSize, FieldWord, WordStatistics
from ._fan import Fan
from ._merging import LAST_DIGITS, merged
from ._messages import MOST_SHARDS, Asked, Begun, KnownWords, QuestionWords, View, shards_of
from ._records import Record, Remembered, records_of
from ._remembering import Remembering
from ._routing import Routing, known_of

_SPARE = 10
"""Passages beyond those wanted that a shard is asked for: of equal scores it cannot know which come first in all."""

_MAY_END, _ENDS = 1, 2
"""Whether an edge that leads to a shard ends at a passage that is seen: perhaps, or always; 0 for never."""

_FIELDS = ("forms", "both")
"""Fields that an identifier is looked for in, one after the other."""


@dataclass(frozen=True)
class Known:
    """What all shards together know of a question's words.

    Attributes:
        in_all: how many passages of all shards have each of its words, int64 [w].
        entity: finds what it names.
        asked: the words.
        by_shard: what each shard knows of them.
    """

    in_all: NDArray[np.int64]
    entity: EntityIndex
    asked: QuestionWords
    by_shard: Mapping[int, KnownWords]


class _Identified:
    """The passages that have an identifier of a question."""

    def __init__(self, rows: Mapping[FieldWord, Rows]) -> None:
        self._rows = rows

    def identified(self, identifier: Identifier) -> Rows:
        """Return them, ascending; none where more than a few have it."""
        for word in _looked_up(identifier):
            if len(self._rows[word]):
                return self._rows[word]
        return np.zeros(0, np.int64)


def _looked_up(identifier: Identifier) -> list[FieldWord]:
    return [(field, term) for term in identifier.terms for field in _FIELDS]


def _asked_of(text: str) -> QuestionWords:
    named = [word for one in identifiers(text) for word in _looked_up(one)]
    words = dict.fromkeys((one.field, one.term) for one in asked_words(text))
    return QuestionWords(term_hashes(text), tuple(words), tuple(named), tuple(fold(word) for word in words_of(text)))


class State:
    """A state of all shards, of which a search sees the documents that fit.

    Every shard keeps to the state that it is in when it is first asked. One that does not answer then is left out.

    Args:
        fan: asks them.
        where: what documents must fit; None for all.
        remembering: what searches of the same state have asked before.
        dimension: of vectors.
        routing: chooses the shards that are asked for what they find; None for all.
    """

    def __init__(
        self, fan: Fan, where: Where | None, remembering: Remembering, dimension: int, routing: Routing | None = None
    ) -> None:
        self.fan = fan
        self.dimension = dimension
        self._where = where
        self._routing = routing
        self._chosen: dict[str, list[int]] = {}
        self._remembering = remembering
        self._begun: dict[int, Begun] = {}
        self._views: dict[int, View] = {}
        self._known: dict[str, Known] = {}
        self._announced: dict[str, Query] = {}
        self._lists: dict[tuple[str, str, int], Hits] = {}
        self._records: dict[int, Record] = {}
        self._fetched: list[Record] = []
        self._vectors: dict[int, Vectors] = {}
        self._ends = np.zeros(MOST_SHARDS, np.int8)
        self._remembered = Remembered()

    def announce(self, queries: Sequence[Query]) -> None:
        """Look up the words of questions in one round trip, and remember their vectors: lexical asks with dense."""
        self.know([query.text for query in queries])
        self._announced.update((query.text, query) for query in queries)

    def know(self, texts: Sequence[str]) -> None:
        """Look up the words of texts in one round trip."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if self._begun and not new:
            return
        asked = [_asked_of(text) for text in new]
        if self._begun:
            found = self.fan.ask("begin", {number: (view, asked) for number, view in self._views.items()})
        else:
            found = self.fan.begin("begin", View(None, self._where), asked)
            self._begun = found
            self._views = {number: View(begun.generation, self._where) for number, begun in found.items()}
            generations = tuple(sorted((number, begun.generation) for number, begun in found.items()))
            self._remembered = self._remembering.of(generations, self._where)
            for number, begun in found.items():
                self._ends[number] = _ENDS if begun.complete else _MAY_END
        for place, (text, words) in enumerate(zip(new, asked, strict=True)):
            self._known[text] = self._gathered(words, {number: begun.known[place] for number, begun in found.items()})

    def known(self, text: str) -> Known:
        """Return what all shards know of the words of a text."""
        self.know([text])
        return self._known[text]

    @property
    def passages(self) -> int:
        """Passages that are seen."""
        return sum(begun.passages for begun in self._of_all)

    @property
    def documents(self) -> int:
        """Documents that are seen."""
        return sum(begun.documents for begun in self._of_all)

    @property
    def rows(self) -> int:
        """Passages that count in the frequencies of terms."""
        return sum(begun.rows for begun in self._of_all)

    @property
    def has_pieces(self) -> bool:
        """Whether word pieces are kept."""
        return all(begun.pieces for begun in self._of_all)

    @property
    def _of_all(self) -> list[Begun]:
        self.know([])
        return list(self._begun.values())

    def find(self, kind: str, query: Query, limit: int, ahead: bool = False) -> Hits:
        """Return what ``lexical`` or ``dense`` finds; of a question that was announced both, in one round trip.

        Args:
            kind: which of them.
            query: what to find.
            limit: passages at most.
            ahead: fetch all that is known of what is found for an announced question.
        """
        key = (kind, query.text, limit)
        announced = self._announced.get(query.text)
        if announced is not None and query.vector is not None and announced.vector is not query.vector:
            announced = None  # the same words with another vector
        if announced is not None and key in self._lists:
            return self._lists[key]
        vector = query.vector if announced is None else announced.vector
        kinds = (kind,) if announced is None or vector is None else ("lexical", "dense")
        found = self._found(query.text, vector, limit, kinds)
        if announced is not None:
            self._lists.update({(one, query.text, limit): hits for one, hits in found.items()})
            if ahead:
                self.fetch(np.concatenate([hits.rows for hits in found.values()]))
        return found[kind]

    def _found(self, text: str, vector: Vectors | None, limit: int, kinds: Sequence[str]) -> dict[str, Hits]:
        given = {}
        for number in self.chosen(text, vector):
            by_words = (self._size, self._statistics(text, number)) if "lexical" in kinds else None
            asked = Asked(text, vector if "dense" in kinds else None, limit + _SPARE, by_words)
            given[number] = (self._views[number], asked)
        answers: dict[int, dict[str, Hits]] = self.fan.ask("ask", given)
        alike = {"lexical": LAST_DIGITS, "dense": 0.0}
        return {kind: merged((one[kind] for one in answers.values()), limit, alike[kind]) for kind in kinds}

    def _statistics(self, text: str, number: int) -> WordStatistics:
        """Return how frequent the words of a text are in all shards, and in one of them."""
        known = self.known(text)
        return WordStatistics(self._size.passages, known.asked.words, known.in_all, known.by_shard[number].words)

    def chosen(self, text: str, vector: Vectors | None = None) -> list[int]:
        """Return the numbers of the shards that are asked for what they find for a text."""
        self.know([])
        if self._routing is None:
            return sorted(self._views)
        if text not in self._chosen:
            known, announced = self.known(text), self._announced.get(text)
            passages = {number: begun.size.passages for number, begun in self._begun.items()}
            of_shards = known_of(known.asked, known.by_shard, passages, text, known.entity)
            vector = announced.vector if vector is None and announced is not None else vector
            self._chosen[text] = self._routing.chosen(list(known.by_shard), of_shards, text, vector)
        return self._chosen[text]

    def records(self, rows: Rows, linked: bool = False) -> list[Record]:
        """Return what is known of passages, in the order of their rows; with their edges where they are to be linked.

        Raises:
            IndexError: when there is no such row.
        """
        if self._lacking(rows.tolist(), linked):
            self.fetch(rows)
        try:
            return [self._records[row] for row in rows.tolist()]
        except KeyError as error:
            raise IndexError(f"row {error} is not one of the passages that are seen") from error

    def _lacking(self, rows: Iterable[int], linked: bool) -> list[int]:
        """Return the rows of which nothing is known, or not their edges."""
        known = self._records
        return [row for row in rows if row not in known or (linked and not known[row].linked)]

    def fetch(self, rows: Rows, linked: bool = True) -> None:
        """Fetch what is known of passages, with or without their edges, where it is not there yet."""
        missing = self._lacking(dict.fromkeys(rows.tolist()), linked)
        if not missing:
            return
        kept = self._remembered.records.get(missing)
        self._records.update(kept)
        self._fetched += kept.values()
        wanted = self._by_shard(np.array(self._lacking(missing, linked), np.int64))
        for number, block in self.fan.ask("records", self._of_shards(wanted, linked)).items():
            new = records_of(wanted[number], block)
            self._records.update(new)
            self._fetched += new.values()
            self._remembered.records.put(new)

    def there(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which of the passages that edges lead to are seen, bool [n]."""
        known = self._ends[shards_of(rows)]
        found: NDArray[np.bool_] = known == _ENDS
        doubtful = known == _MAY_END
        if doubtful.any():
            self.fetch(rows[doubtful])
            found[doubtful] = [row in self._records for row in rows[doubtful].tolist()]
        return found

    def read(self, rows: Rows) -> list[Passage]:
        """Return passages with their texts, in the order of their rows.

        Raises:
            IndexError: when there is no such row.
        """
        records, sent = self._records, dict[int, Passage]()
        missing = [row for row in rows.tolist() if row not in records]
        if missing:
            wanted = self._by_shard(np.array(missing, np.int64))
            for number, passages in self.fan.ask("passages", self._of_shards(wanted)).items():
                sent.update(zip(wanted[number].tolist(), passages, strict=True))
        try:
            return [records[row].passage if row in records else sent[row] for row in rows.tolist()]
        except KeyError as error:
            raise IndexError(f"row {error} is not one of the passages that are seen") from error

    def vectors(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d], in the order of their rows.

        Raises:
            IndexError: when there is no such row.
        """
        records, vectors = self._records, self._vectors
        missing = [row for row in dict.fromkeys(rows.tolist()) if row not in records and row not in vectors]
        if missing:
            wanted = self._by_shard(np.array(missing, np.int64))
            for number, sent in self.fan.ask("vectors", self._of_shards(wanted)).items():
                vectors.update(zip(wanted[number].tolist(), sent, strict=True))
        try:
            found = [records[row].vector if row in records else vectors[row] for row in rows.tolist()]
        except KeyError as error:
            raise IndexError(f"row {error} is not one of the passages that are seen") from error
        return np.concatenate([np.zeros(0, np.float32), *found]).reshape(-1, self.dimension)

    def frequencies(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return in how many passages each term is, int64 [k], and look up what is asked next: all terms fetched."""
        self.know([])
        found = self._remembered.frequencies(hashes)
        missing = found < 0
        if missing.any():
            fetched, self._fetched = self._fetched, []
            each = [some for one in fetched for some in (one.terms, title_hashes(one.passage.title))]
            theirs = np.unique(np.concatenate([hashes[:0], *each]))
            unknown = np.union1d(hashes[missing], theirs[self._remembered.frequencies(theirs) < 0])
            counts = np.sum(list(self.fan.ask("frequencies", self._to_all(unknown)).values()), axis=0)
            self._remembered.learn(unknown, counts)
            found[missing] = counts[np.searchsorted(unknown, hashes[missing])]
        return found

    def late(self, pieces: Vectors, rows: Rows) -> NDArray[np.float32]:
        """Return how well a question's word pieces fit passages, float32 [n]."""
        wanted = self._by_shard(rows)
        answers = self.fan.ask("late", {number: (self._views[number], pieces, mine) for number, mine in wanted.items()})
        scores = np.zeros(len(rows), np.float32)
        for number, found in answers.items():
            scores[shards_of(rows) == number] = found
        return scores

    def codes(self, rows: Rows) -> list[NDArray[np.uint8]]:
        """Return the codes of the word pieces of passages, uint8 [t, w] each."""
        wanted, found = self._by_shard(rows), dict[int, NDArray[np.uint8]]()
        for number, sent in self.fan.ask("codes", self._of_shards(wanted)).items():
            found.update(zip(wanted[number].tolist(), sent, strict=True))
        return [found[row] for row in rows.tolist()]

    def sample(self) -> Sample:
        """Return the sample of all shards."""
        self.know([])
        if self._remembered.sample is None:
            parts = self.fan.ask("sample", self._to_all())
            numbers = np.concatenate([numbers for numbers, _ in parts.values()])
            vectors = np.concatenate([vectors for _, vectors in parts.values()])
            self._remembered.sample = Sample(vectors[np.argsort(numbers, kind="stable")[:SAMPLE]])
        return self._remembered.sample

    def document(self, document_id: str) -> Document:
        """Return a document with its text.

        Raises:
            KeyError: when no shard has it.
        """
        self.know([])
        sent: dict[int, Document | None] = self.fan.ask("document", self._to_all(document_id))
        here = [document for document in sent.values() if document is not None]
        if not here:
            raise KeyError(document_id)
        return here[0]

    def rows_named(self, kind: str, name: str) -> list[int]:
        """Return the rows of a ``passage`` or of a ``document`` by its id; KeyError where no shard has it."""
        self.know([])
        found: list[int] = [
            row for rows in self.fan.ask("rows_named", self._to_all(kind, name)).values() for row in rows
        ]
        if not found:
            raise KeyError(name)
        return found

    def _to_all(self, *given: object) -> dict[int, tuple[object, ...]]:
        return {number: (view, *given) for number, view in self._views.items()}

    def _of_shards(self, wanted: Mapping[int, Rows], *more: object) -> dict[int, tuple[object, ...]]:
        return {number: (self._views[number], mine, *more) for number, mine in wanted.items()}

    def _by_shard(self, rows: Rows) -> dict[int, Rows]:
        """Return rows by their shards, in their order."""
        self.know([])
        numbers = shards_of(rows)
        wanted = {number: rows[numbers == number] for number in np.unique(numbers).tolist()}
        return {number: mine for number, mine in wanted.items() if number in self._views}

    def _gathered(self, asked: QuestionWords, by_shard: Mapping[int, KnownWords]) -> Known:
        known = list(by_shard.values())
        in_all = np.sum([one.words for one in known], axis=0)
        self._remembered.learn(asked.hashes, np.sum([one.hashes for one in known], axis=0))
        identified: dict[FieldWord, Rows] = {}
        for place, word in enumerate(asked.identifiers):
            parts = [one.identified[place] for one in known]
            rows = [mine for mine in parts if mine is not None]
            few = len(rows) == len(parts) and sum(map(len, rows)) <= MOST_IDENTIFIED
            identified[word] = np.sort(np.concatenate(rows)) if few else np.zeros(0, np.int64)
        forms = (
            (
                (form.phrase, form.kind, form.exact),
                NamedForm(form.text, form.kind, form.exact, list(form.rows)),
            )
            for one in known
            for form in one.forms
        )
        entity = EntityIndex((), None, TitleMatcher.of(forms, folded=True), _Identified(identified))
        return Known(in_all, entity, asked, by_shard)

    @cached_property
    def _size(self) -> CorpusSize:
        """The size of all shards together, once a search has begun."""
        return CorpusSize.total([begun.size for begun in self._begun.values()])

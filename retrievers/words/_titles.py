"""Which passages' titles a text names: in passages to link them, in questions to find them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._forks import PerProcess
from ..records import Hits, Query
from ._analyser import STOP_WORDS, identifiers
from ._lexical import LexicalIndex
from ._phrases import PARAGRAPH_END, Accept, PhraseTable, find_phrases, fold, joins, word_spans, words_of
from ._title_forms import Kind, title_forms

MAX_TITLE_ROWS = 8
MAX_ALIAS_ROWS = 4
"""An alias that fits more documents than this ("John Smith") says too little to be followed."""

_SENTENCE_END = frozenset(".!?")
_NAME_JOINTS = frozenset((" ", "-", "–", "'", "’"))
"""What stands between the words of one name: New York, Jean-Paul, Paris–Roubaix, O'Brien."""


@dataclass(frozen=True, slots=True)
class TitleMention:
    """A place where a text names the title of one or more passages.

    Attributes:
        rows: the passages, ascending.
        start: first character of its first word.
        end: one past the last character of its last word.
        kind: "title", or "alias" for a derived form.
        exact: the whole title is there, its parenthesis included, not only a form of it.
    """

    rows: tuple[int, ...]
    start: int
    end: int
    kind: Kind
    exact: bool


@dataclass(slots=True)
class NamedForm:
    """A form in a table: how it is written (case and punctuation), and which rows it names."""

    text: str
    kind: Kind
    exact: bool
    rows: list[int]


FormKey = tuple[str, Kind, bool]
"""A form's words, joined by spaces, its kind, and whether it is a whole title: writings of one key count together."""


class FormTable(Protocol):
    """Where a matcher looks forms up."""

    def entries(self, phrase: str) -> list[NamedForm] | None:
        """Return the forms of these words, joined by spaces."""
        ...

    def find(self, words: Sequence[str], accept: Accept[NamedForm]) -> list[tuple[int, int, list[NamedForm]]]:
        """Find forms as :func:`~trailhound.retrievers.words._phrases.find_phrases` does."""
        ...

    def is_crowded(self, phrase: str) -> bool:
        """Return whether a form of these words fits too many documents."""
        ...


class _TitleTables:
    """The forms of several matchers, read as one table; fulfils ``FormTable``. See :meth:`TitleMatcher.over`."""

    def __init__(
        self, matchers: Sequence[TitleMatcher], offsets: Sequence[int], alive: NDArray[np.bool_], folded: bool
    ) -> None:
        self._matchers = matchers
        self._offsets = offsets
        self._alive = alive
        self._whole = bool(alive.all())
        self._folded = folded

    @cached_property
    def _tables(self) -> list[TitleTable]:  # made when first needed
        return [matcher.single(self._folded) for matcher in self._matchers]

    @cached_property
    def _phrases(self) -> list[PhraseTable[NamedForm]]:
        return [some for table in self._tables for some in (table, table.crowded) if len(some)]

    def entries(self, phrase: str) -> list[NamedForm] | None:
        """Return the forms of these words that name a living row."""
        first = self._tables[0]
        if self._whole and all(some is first or some.entries(phrase) is None for some in self._phrases):
            return first.entries(phrase)
        return [form for writings, crowded in self._forms(phrase) if not crowded for form in writings] or None

    def is_crowded(self, phrase: str) -> bool:
        """Return whether a form of these words fits too many documents that are alive."""
        return any(crowded for _, crowded in self._forms(phrase))

    def find(self, words: Sequence[str], accept: Accept[NamedForm]) -> list[tuple[int, int, list[NamedForm]]]:
        """Find forms as :func:`~trailhound.retrievers.words._phrases.find_phrases` does."""
        lengths: dict[str, tuple[int, ...]] = {}
        for word in set(words):
            found = {length for some in self._phrases for length in some.lengths(word)}
            if found:
                lengths[word] = tuple(sorted(found, reverse=True))
        begins = [place for place, word in enumerate(words) if word in lengths]
        return find_phrases(words, begins, lengths.__getitem__, self.entries, accept)

    def _forms(self, phrase: str) -> Iterator[tuple[list[NamedForm], bool]]:
        """Iterate over the forms of one key, with their living rows, and whether those are too many."""
        named: dict[FormKey, dict[str, NamedForm]] = {}
        for table, offset in zip(self._tables, self._offsets, strict=True):
            for entry in (*(table.entries(phrase) or ()), *(table.crowded.entries(phrase) or ())):
                rows = [row + offset for row in entry.rows if self._alive[row + offset]]
                if rows:
                    writings = named.setdefault((phrase, entry.kind, entry.exact), {})
                    writings.setdefault(entry.text, NamedForm(entry.text, entry.kind, entry.exact, [])).rows.extend(
                        rows
                    )
        for key, writings in named.items():
            yield list(writings.values()), not _names(key, writings)


def _names(key: FormKey, writings: Mapping[str, NamedForm]) -> bool:
    """Return whether forms of one key fit few enough documents to name them."""
    return len({row for entry in writings.values() for row in entry.rows}) <= most_rows(key[1])


class TitleTable(PhraseTable[NamedForm]):
    """The forms of many titles; fulfils ``FormTable``.

    Attributes:
        crowded: forms that fit so many documents that they name none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.crowded: PhraseTable[NamedForm] = PhraseTable()

    def is_crowded(self, phrase: str) -> bool:
        """Return whether a form of these words fits too many documents."""
        return self.crowded.entries(phrase) is not None


def most_rows(kind: Kind) -> int:
    """Return how many documents a form may fit before it names none."""
    return MAX_TITLE_ROWS if kind == "title" else MAX_ALIAS_ROWS


def keyed_forms(title: str, folded: bool) -> Iterator[tuple[FormKey, str]]:
    """Iterate over the forms of ``title``: how a table knows each, case folded or not, and how it is written."""
    for form in title_forms(title):
        words = words_of(form.text)
        key = " ".join([fold(word) for word in words] if folded else words)
        yield (key, form.kind, form.text == title.strip()), form.text


class TitleMatcher:
    """Finds the passages whose titles a text names.

    A title with a parenthesis is known by the whole and by the part before it; the longest form that fits wins. A
    title that several documents share names them all, up to ``MAX_TITLE_ROWS`` documents; a form that fits more
    names none. Of a document cut into several passages the first stands for all.

    The two tables (case kept for passages, folded for questions) are rebuilt from the titles on first use, 0.1 s for
    6,119 titles and about 10 s for a million; they are never written to disk. Safe for several threads.

    Args:
        titles: the title of every passage, "" for none, in row order.
        document_ids: the document of every passage; without them every passage counts as a document.

    Raises:
        ValueError: when the two differ in length.
    """

    def __init__(self, titles: Sequence[str], document_ids: Sequence[str] | None = None) -> None:
        if document_ids is not None and len(document_ids) != len(titles):
            raise ValueError(f"{len(titles)} titles but {len(document_ids)} document ids: give one of each per passage")
        self._titles = titles
        self._document_ids = document_ids
        self._cased: FormTable | None = None
        self._folded: FormTable | None = None
        self._lock = PerProcess(Lock)

    def find(self, text: str) -> list[TitleMention]:
        """Find titles in a passage's text, from left to right, none overlapping; upper and lower case count.

        A one-word title must be capitalised, and is not found where it begins a sentence or is part of a longer
        capitalised name.
        """
        table = self.table(folded=False)
        words = words_of(text)
        spans: list[tuple[int, int]] = []

        def accept(first: int, last: int, entries: list[NamedForm]) -> list[NamedForm]:
            spans.extend(() if spans else word_spans(text))
            return [entry for entry in entries if _holds_in_passage(text, spans, first, last, entry)]

        return _mentions(table.find(words, accept), spans)

    def find_in_question(self, text: str) -> list[TitleMention]:
        """Find titles in a question, whatever its case and accents, from left to right.

        A one-word title must be capitalised in the question. Where a form fits both a whole title and others
        ("Sold" and "Sold (2014 film)"), the exact mention comes first, then one for the others, at the same place.
        """
        table = self.table(folded=True)
        spans = word_spans(text)
        words = [fold(text[start:end]) for start, end in spans]

        def accept(first: int, last: int, entries: list[NamedForm]) -> list[NamedForm]:
            return [entry for entry in entries if _holds_in_question(text, spans, first, last, entry)]

        return _mentions(table.find(words, accept), spans)

    @classmethod
    def over(cls, matchers: Sequence[TitleMatcher], offsets: Sequence[int], alive: NDArray[np.bool_]) -> TitleMatcher:
        """Return a matcher over the titles of several others.

        Args:
            matchers: each of some documents.
            offsets: what is added to the rows of each.
            alive: bool [N], false for rows that no form names any more.
        """
        matcher = cls([])
        matcher._cased, matcher._folded = (_TitleTables(matchers, offsets, alive, folded) for folded in (False, True))
        return matcher

    def is_crowded(self, text: str) -> bool:
        """Return whether some form of these words, case kept, fits so many documents that it names none."""
        return self.table(folded=False).is_crowded(" ".join(words_of(text)))

    def table(self, folded: bool) -> FormTable:
        """Return one of the two tables, made on first use."""
        with self._lock():
            if folded:
                if self._folded is None:
                    self._folded = self._table(folded=True)
                return self._folded
            if self._cased is None:
                self._cased = self._table(folded=False)
            return self._cased

    def single(self, folded: bool) -> TitleTable:
        """Return one of the two tables of a matcher that is not over others."""
        table = self.table(folded)
        if not isinstance(table, TitleTable):
            raise TypeError("a matcher over several others has no table of its own")
        return table

    def _table(self, folded: bool) -> TitleTable:
        # Forms of the same words are counted together, but judged one by one: "Help!" and "Help" are two titles.
        named: dict[FormKey, dict[str, NamedForm]] = {}
        for row, title in self._first_rows():
            for key, text in keyed_forms(title, folded):
                writings = named.setdefault(key, {})
                writings.setdefault(text, NamedForm(text, key[1], key[2], [])).rows.append(row)
        table = TitleTable()
        for key, writings in named.items():
            kept = table if _names(key, writings) else table.crowded
            for entry in writings.values():
                kept.add(key[0].split(" "), entry)
        return table

    def _first_rows(self) -> Iterator[tuple[int, str]]:
        """Iterate over the rows that stand for their documents, with their titles."""
        seen: set[tuple[str, str]] = set()
        for row, title in enumerate(self._titles):
            if self._document_ids is not None:
                named = (self._document_ids[row], title)
                if named in seen:
                    continue
                seen.add(named)
            yield row, title


def _holds_in_passage(text: str, spans: Sequence[tuple[int, int]], first: int, last: int, entry: NamedForm) -> bool:
    """Return whether ``entry`` is really named at the words ``[first, last)`` of a passage's text."""
    if last - first > 1:
        return joins(text, spans[first:last], entry.text)
    start, end = spans[first]
    # The punctuation of a title counts: "Help!", or the quotation marks of "\"Heroes\"".
    begin = start - entry.text.index(text[start:end])
    if not text[start].isupper() or begin < 0 or not text.startswith(entry.text, begin):
        return False
    before = text[spans[first - 1][1] : start] if first else PARAGRAPH_END
    if _SENTENCE_END.intersection(before) or PARAGRAPH_END in before:
        return False
    if before in _NAME_JOINTS and text[spans[first - 1][0]].isupper():
        return False
    return last == len(spans) or not (text[end : spans[last][0]] in _NAME_JOINTS and text[spans[last][0]].isupper())


def _holds_in_question(text: str, spans: Sequence[tuple[int, int]], first: int, last: int, entry: NamedForm) -> bool:
    """Return whether ``entry`` is really named at the words ``[first, last)`` of a question."""
    if last - first > 1:
        return joins(text, spans[first:last], entry.text)
    start, end = spans[first]
    if text[start:end].lower() in STOP_WORDS and (first == 0 or text[start].islower()):
        return False
    return not text[start].islower() or text[start:end] == entry.text


def _mentions(
    found: Sequence[tuple[int, int, list[NamedForm]]], spans: Sequence[tuple[int, int]]
) -> list[TitleMention]:
    """Turn accepted entries into mentions: at one place titles alone if any, exact before not, each row once."""
    mentions = []
    for first, last, entries in found:
        start, end, seen = spans[first][0], spans[last - 1][1], set[int]()
        titles = [entry for entry in entries if entry.kind == "title"]
        for exact in (True, False):
            rows = {row for entry in titles or entries if entry.exact is exact for row in entry.rows} - seen
            seen |= rows
            if rows:
                kind: Kind = "title" if titles else "alias"
                mentions.append(TitleMention(tuple(sorted(rows)), start, end, kind, exact))
    return mentions


class EntityIndex:
    """Finds passages that the query names: by their title, an alias of it, or an identifier that they alone have.

    It fulfils ``SubIndex``. Longer, more exact and less ambiguous mentions come first. A passage's score is the length
    in characters of its best mention, times 1 for the exact title or an identifier, 0.8 for a title without its
    parenthesis, 0.5 for an alias, divided by the square root of the number of passages that the mention fits.

    Args:
        titles: the title of every passage, "" for none, in row order.
        document_ids: the document of every passage; without them every passage counts as a document.
        matcher: a matcher over the same titles, to share its tables.
        lexical: finds identifiers in the same passages.
    """

    name = "entity"

    def __init__(
        self,
        titles: Sequence[str],
        document_ids: Sequence[str] | None = None,
        matcher: TitleMatcher | None = None,
        lexical: LexicalIndex | None = None,
    ) -> None:
        self.matcher = matcher if matcher is not None else TitleMatcher(titles, document_ids)
        self._lexical = lexical

    def mentions(self, text: str) -> list[TitleMention]:
        """Return what a question names: titles, then identifiers."""
        return [*self.matcher.find_in_question(text), *self.identified(text)]

    def identified(self, text: str) -> list[TitleMention]:
        """Return the identifiers of a question that few passages have, with these passages."""
        if self._lexical is None:
            return []
        found = [(one, self._lexical.identified(one)) for one in identifiers(text)]
        return [
            TitleMention(tuple(rows.tolist()), one.start, one.end, "title", True) for one, rows in found if len(rows)
        ]

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages whose title the query names, most specific first, ties by row."""
        scores: dict[int, float] = {}
        for mention in self.mentions(query.text):
            score = _specificity(mention)
            for row in mention.rows:
                scores[row] = max(score, scores.get(row, 0.0))
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[: max(limit, 0)]
        rows = np.array([row for row, _ in best], np.int64)
        return Hits(rows, np.array([score for _, score in best], np.float32))


def _specificity(mention: TitleMention) -> float:
    trust = 0.5 if mention.kind == "alias" else 1.0 if mention.exact else 0.8
    return trust * (mention.end - mention.start) / sqrt(len(mention.rows))

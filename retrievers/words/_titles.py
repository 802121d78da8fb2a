"""Which passages' titles a text names: in passages to link them, in questions to find them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .._forks import PerProcess
from ..records import Hits, Query, Rows
from ._analyser import STOP_WORDS, Identifier, identifiers
from ._phrases import PARAGRAPH_END, fold, joins, word_spans, words_of
from ._title_forms import Kind
from ._title_tables import FormKey, FormTable, NamedForm, TitleTable, TitleTables, keyed_forms

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
        matcher._cased, matcher._folded = (
            TitleTables(lambda folded=folded: [one.single(folded) for one in matchers], offsets, alive)  # type: ignore[misc]
            for folded in (False, True)
        )
        return matcher

    @classmethod
    def of(cls, forms: Iterable[tuple[FormKey, NamedForm]], folded: bool) -> TitleMatcher:
        """Return a matcher that knows some forms alone: those that questions may name (folded), or that texts may."""
        matcher = cls([])
        if folded:
            matcher._folded = TitleTable.of(forms)
        else:
            matcher._cased = TitleTable.of(forms)
        return matcher

    def is_crowded(self, text: str) -> bool:
        """Return whether some form of these words, case kept, fits so many documents that it names none."""
        return self.table(folded=False).is_crowded(" ".join(words_of(text)))

    def table(self, folded: bool) -> FormTable:
        """Return one of the two tables, made on first use."""
        with self._lock():
            if folded:
                if self._folded is None:
                    self._folded = TitleTable.of(self.forms(folded=True))
                return self._folded
            if self._cased is None:
                self._cased = TitleTable.of(self.forms(folded=False))
            return self._cased

    def single(self, folded: bool) -> TitleTable:
        """Return one of the two tables of a matcher that is not over others."""
        table = self.table(folded)
        if not isinstance(table, TitleTable):
            raise TypeError("a matcher over several others has no table of its own")
        return table

    def forms(self, folded: bool) -> Iterator[tuple[FormKey, NamedForm]]:
        """Iterate over the forms of all titles, case folded or not, with the row that stands for each document."""
        for row, title in self._first_rows():
            for key, text in keyed_forms(title, folded):
                yield key, NamedForm(text, key[1], key[2], [row])

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


class Identifying(Protocol):
    """Where identifiers are looked up, such as a lexical index."""

    def identified(self, identifier: Identifier) -> Rows:
        """Return the passages that have an identifier, ascending; none where more than a few have it."""
        ...


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
        lexical: Identifying | None = None,
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

"""Which passages' titles a text names: in passages to link them, in questions to find them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Literal, Protocol

from .phrases import PARAGRAPH_END, Accept, PhraseTable, fold, joins, without_marks, word_spans, words_of
from .terms import STOP_WORDS

Kind = Literal["title", "alias"]

MAX_TITLE_ROWS = 8
MAX_ALIAS_ROWS = 4
"""An alias that fits more documents than this ("John Smith") says too little to be followed."""

_PARENTHESIS = re.compile(r"\([^()]*\)$")
_OF_PLACE = re.compile(r"\b(of .+)$")
_ORDINAL = re.compile(r"\d+(st|nd|rd|th)\b")
_SUFFIX = re.compile(r",?(?<!\s)\s++(Jr|Sr|junior|senior)\.?$", re.IGNORECASE)
_INITIAL = re.compile(r"^\w\.?$")
_SENTENCE_END = frozenset(".!?")
_NAME_JOINTS = frozenset((" ", "-", "–", "'", "’"))
"""What stands between the words of one name: New York, Jean-Paul, Paris–Roubaix, O'Brien."""


@dataclass(frozen=True, slots=True)
class TitleForm:
    """One way of writing a title; an alias is a guess, less sure than the title itself."""

    text: str
    kind: Kind


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

    @property
    def crowded(self) -> set[FormKey]:
        """Forms that fit so many documents that they name none."""
        ...

    def lengths(self, word: str) -> tuple[int, ...]:
        """Return the lengths in words of the forms that begin with ``word``, longest first."""
        ...

    def entries(self, phrase: str) -> list[NamedForm] | None:
        """Return the forms of these words, joined by spaces."""
        ...

    def find(self, words: Sequence[str], accept: Accept[NamedForm]) -> list[tuple[int, int, list[NamedForm]]]:
        """Find forms as :func:`~trailhound.retrievers.words.phrases.find_phrases` does."""
        ...


class TitleTable(PhraseTable[NamedForm]):
    """The forms of many titles; fulfils ``FormTable``."""

    def __init__(self) -> None:
        super().__init__()
        self._crowded: set[FormKey] = set()

    @property
    def crowded(self) -> set[FormKey]:
        """Forms that fit so many documents that they name none."""
        return self._crowded


def most_rows(kind: Kind) -> int:
    """Return how many documents a form may fit before it names none."""
    return MAX_TITLE_ROWS if kind == "title" else MAX_ALIAS_ROWS


def keyed_forms(title: str, folded: bool) -> Iterator[tuple[FormKey, str]]:
    """Iterate over the forms of ``title``: how a table knows each, case folded or not, and how it is written."""
    for form in title_forms(title):
        words = words_of(form.text)
        key = " ".join([fold(word) for word in words] if folded else words)
        yield (key, form.kind, form.text == title.strip()), form.text


def strip_parenthesis(title: str) -> str:
    """Return ``title`` without a closing parenthesis: "Theodred II (Bishop of Elmham)" gives "Theodred II"."""
    stripped = _PARENTHESIS.sub("", title.strip()).strip()
    return stripped if words_of(stripped) else title.strip()


def title_forms(title: str) -> list[TitleForm]:
    """Return the ways of writing ``title``: itself, without its parenthesis, then aliases; each text once.

    Aliases: "Maurice, Prince of Orange" gives "Maurice of Orange"; "Esme Stewart, 1st Duke of Lennox" gives
    "Esme Stewart" and "1st Duke of Lennox"; "John F. Kennedy" and "John Fitzgerald Kennedy" give "John Kennedy";
    "Al Gore Sr." gives "Al Gore"; "The Rolling Stones" gives "the Rolling Stones"; accents may be missing.
    (Dots and spaces of initials need no alias: texts are compared word by word.)
    """
    whole, stripped = title.strip(), strip_parenthesis(title)
    forms: dict[str, Kind] = {whole: "title", stripped: "title"}
    for alias in (*_comma_aliases(stripped), *_name_aliases(stripped), *_article_aliases(stripped)):
        forms.setdefault(alias, "alias")
    for form in list(forms):
        forms.setdefault(without_marks(form), "alias")
    return [TitleForm(text, kind) for text, kind in forms.items() if words_of(text)]


def _comma_aliases(title: str) -> list[str]:
    """Return the aliases of "Name, Rank of Place"."""
    name, comma, rest = title.partition(",")
    name, rest = name.strip(), rest.strip()
    if not comma or not rest or _SUFFIX.search(title):
        return []
    aliases = [name] if len(words_of(name)) >= 2 else []
    place = _OF_PLACE.search(rest)
    if place:
        aliases.append(f"{name} {place.group(1)}")
    if _ORDINAL.match(rest):
        aliases.append(rest)
    return aliases


def _name_aliases(title: str) -> list[str]:
    """Return the aliases of a person's name: without suffix, without middle initials, without one middle name."""
    aliases = []
    plain = _SUFFIX.sub("", title)
    if plain != title and len(words_of(plain)) >= 2:
        aliases.append(plain)
    parts = plain.split()
    if len(parts) < 3 or not all(part[0].isupper() for part in parts):
        return aliases
    middle = parts[1:-1]
    if all(_INITIAL.match(part) for part in middle) or (len(parts) == 3 and _reads_as_names(parts)):
        aliases.append(f"{parts[0]} {parts[-1]}")
    return aliases


def _reads_as_names(parts: Sequence[str]) -> bool:
    return all(part.isalpha() and part.lower() not in STOP_WORDS and not part.isupper() for part in parts)


def _article_aliases(title: str) -> list[str]:
    """Return "the X Y" for "The X Y": running text writes the article small."""
    return ["t" + title[1:]] if title.startswith("The ") and len(words_of(title)) >= 3 else []


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
        self._lock = Lock()

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
    def over(cls, cased: FormTable, folded: FormTable) -> TitleMatcher:
        """Return a matcher that looks forms up in other tables: with case kept for passages, folded for questions."""
        matcher = cls([])
        matcher._cased, matcher._folded = cased, folded
        return matcher

    def table(self, folded: bool) -> FormTable:
        """Return one of the two tables, made on first use."""
        with self._lock:
            if folded:
                if self._folded is None:
                    self._folded = self._table(folded=True)
                return self._folded
            if self._cased is None:
                self._cased = self._table(folded=False)
            return self._cased

    def _table(self, folded: bool) -> TitleTable:
        # Forms of the same words are counted together, but judged one by one: "Help!" and "Help" are two titles.
        named: dict[FormKey, dict[str, NamedForm]] = {}
        for row, title in self._first_rows():
            for key, text in keyed_forms(title, folded):
                writings = named.setdefault(key, {})
                writings.setdefault(text, NamedForm(text, key[1], key[2], [])).rows.append(row)
        table = TitleTable()
        for key, writings in named.items():
            if len({row for entry in writings.values() for row in entry.rows}) <= most_rows(key[1]):
                for entry in writings.values():
                    table.add(key[0].split(" "), entry)
            else:
                table.crowded.add(key)
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

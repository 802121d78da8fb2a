"""Tables of the forms of titles: which rows each names, and which fit so many documents that they name none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ._phrases import Accept, PhraseTable, find_phrases, fold, words_of
from ._title_forms import Kind, title_forms

MAX_TITLE_ROWS = 8
MAX_ALIAS_ROWS = 4
"""An alias that fits more documents than this ("John Smith") says too little to be followed."""


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

    def among(self, words: Sequence[str]) -> Iterator[tuple[str, NamedForm]]:
        """Iterate over all forms that stand among some words, those that fit too many documents too."""
        ...


class TitleTables:
    """The forms of several tables, read as one; fulfils ``FormTable``.

    Args:
        tables: makes them when they are first needed.
        offsets: what is added to the rows of each.
        alive: bool [N], false for rows that no form names any more.
    """

    def __init__(
        self, tables: Callable[[], list[TitleTable]], offsets: Sequence[int], alive: NDArray[np.bool_]
    ) -> None:
        self._make = tables
        self._offsets = offsets
        self._alive = alive
        self._whole = bool(alive.all())

    @cached_property
    def _tables(self) -> list[TitleTable]:  # made when first needed
        return self._make()

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

    def among(self, words: Sequence[str]) -> Iterator[tuple[str, NamedForm]]:
        """Iterate over all forms that stand among some words, with their living rows."""
        for table, offset in zip(self._tables, self._offsets, strict=True):
            for phrase, form in table.among(words):
                rows = [row + offset for row in form.rows if self._alive[row + offset]]
                if rows:
                    yield phrase, NamedForm(form.text, form.kind, form.exact, rows)

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

    @classmethod
    def of(cls, forms: Iterable[tuple[FormKey, NamedForm]]) -> TitleTable:
        """Return a table of forms. Those of one key count together, but are judged one by one: "Help!" and "Help"."""
        named: dict[FormKey, dict[str, NamedForm]] = {}
        for key, form in forms:
            writings = named.setdefault(key, {})
            writings.setdefault(form.text, NamedForm(form.text, key[1], key[2], [])).rows.extend(form.rows)
        table = cls()
        for key, writings in named.items():
            kept = table if _names(key, writings) else table.crowded
            for entry in writings.values():
                kept.add(key[0].split(" "), entry)
        return table

    def is_crowded(self, phrase: str) -> bool:
        """Return whether a form of these words fits too many documents."""
        return self.crowded.entries(phrase) is not None

    def among(self, words: Sequence[str]) -> Iterator[tuple[str, NamedForm]]:
        """Iterate over all forms that stand among some words, those that fit too many documents too."""
        for table in (self, self.crowded):
            for first, word in enumerate(words):
                for length in table.lengths(word):
                    phrase = " ".join(words[first : first + length])
                    for form in (table.entries(phrase) or ()) if first + length <= len(words) else ():
                        yield phrase, form


def most_rows(kind: Kind) -> int:
    """Return how many documents a form may fit before it names none."""
    return MAX_TITLE_ROWS if kind == "title" else MAX_ALIAS_ROWS


def keyed_forms(title: str, folded: bool) -> Iterator[tuple[FormKey, str]]:
    """Iterate over the forms of ``title``: how a table knows each, case folded or not, and how it is written."""
    for form in title_forms(title):
        words = words_of(form.text)
        key = " ".join([fold(word) for word in words] if folded else words)
        yield (key, form.kind, form.text == title.strip()), form.text

"""Titles with changes: the forms of added titles beside the base's, and none of removed passages."""

from __future__ import annotations

from collections.abc import Sequence

from ..words.phrases import Accept, find_phrases
from ..words.titles import FormKey, FormTable, NamedForm, TitleMatcher, TitleTable, keyed_forms, most_rows
from .snapshot import Snapshot


class TitleAdditions:
    """The forms of added titles, with case and folded; only ever grows."""

    def __init__(self) -> None:
        self.cased = TitleTable()
        self.folded = TitleTable()

    def add(self, row: int, title: str) -> None:
        """Add the title of a row that stands for its document."""
        for folded, table in ((False, self.cased), (True, self.folded)):
            for (words, kind, exact), text in keyed_forms(title, folded):
                table.add(words.split(" "), NamedForm(text, kind, exact, [row]))


class LayeredTable:
    """Two tables of forms read as one, as of a snapshot; fulfils ``FormTable``.

    A form names none once it fits too many documents, as when a table is built; one that fitted too many in the base
    goes on to name none, however many of them are removed.
    """

    def __init__(self, base: TitleMatcher, folded: bool, added: TitleTable, snapshot: Snapshot) -> None:
        self._matcher = base
        self._folded = folded
        self._added = added
        self._snapshot = snapshot

    @property
    def _base(self) -> FormTable:
        return self._matcher.table(self._folded)  # made when first needed

    @property
    def crowded(self) -> set[FormKey]:
        """Forms of the base that fit so many documents that they name none."""
        return self._base.crowded

    def lengths(self, word: str) -> tuple[int, ...]:
        """Return the lengths in words of the forms that begin with ``word``, longest first."""
        base, added = self._base.lengths(word), self._added.lengths(word)
        return tuple(sorted({*base, *added}, reverse=True)) if base and added else base or added

    def entries(self, phrase: str) -> list[NamedForm] | None:
        """Return the forms of these words that name a passage; None where there are none."""
        base, added = self._base.entries(phrase), self._added.entries(phrase)
        if added is None and (base is None or not self._snapshot.died):
            return base
        named: dict[FormKey, dict[str, NamedForm]] = {}
        for entry in [*(base or ()), *(added or ())]:
            rows = [row for row in entry.rows if self._snapshot.sees(row)]
            if rows:
                writings = named.setdefault((phrase, entry.kind, entry.exact), {})
                writings.setdefault(entry.text, NamedForm(entry.text, entry.kind, entry.exact, [])).rows.extend(rows)
        kept: list[NamedForm] = []
        for key, writings in named.items():
            rows_named = {row for entry in writings.values() for row in entry.rows}
            if len(rows_named) <= most_rows(key[1]) and key not in self.crowded:
                kept += writings.values()
        return kept or None

    def find(self, words: Sequence[str], accept: Accept[NamedForm]) -> list[tuple[int, int, list[NamedForm]]]:
        """Find forms as :func:`~trailhound.retrievers.words.phrases.find_phrases` does."""
        base, added = self._base, self._added
        begins = [place for place, word in enumerate(words) if base.lengths(word) or added.lengths(word)]
        return find_phrases(words, begins, self.lengths, self.entries, accept)


def live_titles(base: TitleMatcher, additions: TitleAdditions, snapshot: Snapshot) -> TitleMatcher:
    """Return a matcher over the titles of base and additions, as of a snapshot."""
    return TitleMatcher.over(
        LayeredTable(base, False, additions.cased, snapshot), LayeredTable(base, True, additions.folded, snapshot)
    )

"""What an added or removed title changes in who mentions whom, found without reading every passage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..graph.linking import mentions_of
from ..retrievers.changing.changes import Mention
from ..retrievers.protocols import Progress
from ..retrievers.words.phrases import words_of
from ..retrievers.words.titles import title_forms
from .live_graph import mentions_by_row
from .parts import LiveParts

_AT_ONCE = 500


def relinked(
    parts: LiveParts, new: Sequence[int], titles: Iterable[str], lost: Iterable[int], progress: Progress | None = None
) -> Mapping[int, Sequence[Mention]]:
    """Return the mentions of passages that mention something else than before, by row.

    These are the new passages; those whose text has a form of a new title, which the lexical index finds; and those
    that mentioned a removed passage. Each is read as when an index is built, so longer titles win over shorter ones
    and a name that has come to fit too many documents names none.

    Args:
        parts: the index with the new passages and without the removed ones, their mentions not yet linked.
        new: rows of the new passages.
        titles: the new titles.
        lost: rows that mentioned a removed passage.
        progress: hears of every five hundredth passage.
    """
    older = {row for row in lost if parts.store.alive(row)}
    for title in set(titles):
        older.update(_naming(parts, title))
    older.difference_update(new)
    found: dict[int, Sequence[Mention]] = {}
    for done, (row, text) in enumerate(_texts(parts, [*sorted(older), *new]), start=1):
        mentions = list(mentions_of(row, text, parts.titles, parts.title_of, parts.document_of))
        plain = [(other, int(relation), start, end) for other, relation, start, end in mentions]
        if row in older and plain == mentions_by_row(parts.graph, row):
            continue
        if plain or row in older:
            found[row] = plain
        if progress is not None and done % _AT_ONCE == 0:
            progress("linking titles", done, len(older) + len(new))
    return found


def _naming(parts: LiveParts, title: str) -> Iterator[int]:
    """Iterate over the passages that may have a form of ``title`` in their text."""
    for words in dict.fromkeys(tuple(words_of(form.text)) for form in title_forms(title)):
        stems = parts.lexical.stems(" ".join(words))
        for row, text in _texts(parts, parts.lexical.mentioning(stems).tolist() if stems else []):
            if all(word in text for word in words):  # stems fit many words, and any case
                yield row


def _texts(parts: LiveParts, rows: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Iterate over rows with the texts of their passages."""
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        yield from zip(some, (passage.text for passage in parts.store.passages(some)), strict=True)

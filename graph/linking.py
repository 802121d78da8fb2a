"""Edges from passages to the passages whose titles they mention."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from ..retrievers.protocols import Progress
from ..retrievers.words.titles import TitleMatcher
from .edges import Edges, Relation


def link_titles(
    titles: Sequence[str],
    texts: Sequence[str],
    matcher: TitleMatcher,
    document_ids: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Edges:
    """Link each passage to those whose title its text mentions, at the first mention; sources ascend.

    A passage is not linked to itself, to other parts of its document, or to passages of the same title.

    Args:
        titles: the title of every passage, "" for none, in row order.
        texts: the text of every passage.
        matcher: finds the titles.
        document_ids: the document of every passage; without them every passage counts as a document.
        progress: hears of every thousandth passage.
    """
    columns = tuple(array("i") for _ in range(5))
    source, target, relation, start, end = columns
    for row, text in enumerate(texts):
        for other, kind, first, last in mentions_of(row, text, matcher, titles, document_ids):
            for column, value in zip(columns, (row, other, kind, first, last), strict=True):
                column.append(value)
        if progress is not None and row % 1000 == 999:
            progress("linking titles", row + 1, len(texts))
    if progress is not None:
        progress("linking titles", len(texts), len(texts))
    return Edges(
        np.array(source, np.int32),
        np.array(target, np.int32),
        np.array(relation, np.int8),
        np.array(start, np.int32),
        np.array(end, np.int32),
        np.ones(len(source), np.float32),
    )


def mentions_of(
    row: int,
    text: str,
    matcher: TitleMatcher,
    titles: Sequence[str],
    document_ids: Sequence[str] | None = None,
) -> Iterator[tuple[int, Relation, int, int]]:
    """Iterate over the passages that the passage at ``row`` mentions: (row, relation, start, end), each row once."""
    linked: set[int] = set()
    for mention in matcher.find(text):
        for other in mention.rows:
            if other in linked or _is_itself(row, other, titles, document_ids):
                continue
            linked.add(other)
            kind = Relation.ALIAS_MENTION if mention.kind == "alias" else Relation.TITLE_MENTION
            yield other, kind, mention.start, mention.end


def _is_itself(row: int, other: int, titles: Sequence[str], document_ids: Sequence[str] | None) -> bool:
    """Return whether the two passages have one title or are of one document."""
    return titles[other] == titles[row] or (document_ids is not None and document_ids[other] == document_ids[row])


def link_neighbours(document_ids: Sequence[str]) -> Edges:
    """Link each passage of a document to the next one of that document, in row order."""
    source: list[int] = []
    target: list[int] = []
    last: dict[str, int] = {}
    for row, document in enumerate(document_ids):
        if document in last:
            source.append(last[document])
            target.append(row)
        last[document] = row
    return Edges.of(source, target, Relation.ADJACENT)

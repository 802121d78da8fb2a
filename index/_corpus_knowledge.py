"""The lines before the passages of added documents: what the index knows of their subjects, without a walk over it.

Of a user's function an addition gets the line that a build gives it. For ``corpus`` a build walks over all documents;
here the lexical index is asked who speaks of the subjects of the added documents, and only those passages are read
(``CorpusKnowledge``). Passages that are there already keep their lines.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from ..retrievers.compiling._context import (
    MOST_SECTIONS,
    Chunked,
    ContextFunction,
    ContextName,
    DistinctiveTerms,
    Mentions,
    context_lines,
    corpus_lines,
    paths_of,
    sections_of_titles,
)
from ..retrievers.compiling._markdown import Section, headings, sections
from ..retrievers.records import Passage
from ..retrievers.words._phrases import words_of
from ..retrievers.words._title_forms import title_forms
from ._segments import Parts

MOST_READ = 64
"""Passages with the words of a title that are read; a title that more have is taken for a kind of section."""


class CorpusKnowledge:
    """What an index knows of the subjects of documents that are to be added.

    It differs from what a build knows in three things: a title that more than ``MOST_READ`` passages have the words of
    is no subject; terms are weighed by the passages that have them instead of the documents; and a passage speaks of
    the subject though the longer title of a third document stands there.

    Args:
        parts: of the index.
        without: documents that the change removes.
    """

    def __init__(self, parts: Parts, without: Collection[str]) -> None:
        self._store = parts.store
        self._lexical = parts.lexical
        self._terms = parts.terms
        self._without = frozenset(without)

    def lines(self, chunked: Sequence[Chunked]) -> list[str]:
        """Return the line of every passage of the documents, in order; "" where there is nothing to say."""
        located = [sections(document, passages) for document, passages in chunked]
        own = sections_of_titles(
            [paths_of(document, where) for (document, _), where in zip(chunked, located, strict=True)]
        )
        subjects = [title for title in own if title and own[title] <= MOST_SECTIONS]
        around, sections_around = self._around({p.id: p for title in subjects for p in self._naming(title) or ()})
        mentions = Mentions(
            [*around, *chunked], [*sections_around, *located], lambda title: own[title] + self._sections(title)
        )
        terms = DistinctiveTerms(self._frequency, len(self._store) + 1)
        return corpus_lines(chunked, located, mentions, terms, len(around))

    def _around(self, passages: dict[str, Passage]) -> tuple[list[Chunked], list[list[Section]]]:
        """Return some passages by their documents, in the order of the corpus, each with its section."""
        chunked: list[Chunked] = []
        located: list[list[Section]] = []
        rows = {identifier: self._store.row_of(identifier) for identifier in passages}
        for identifier in dict.fromkeys(passages[some].document_id for some in sorted(rows, key=rows.__getitem__)):
            document = self._store.document(identifier)
            whole = self._store.passages(self._store.rows_of(identifier))
            pairs = list(zip(whole, sections(document, whole), strict=True))
            # One that stands under the document's title says, beside those that are read, that it is a heading too.
            headed = next((passage.id for passage, section in pairs if document.title in section.path), None)
            some = [pair for pair in pairs if pair[0].id in passages or pair[0].id == headed]
            chunked.append((document, [passage for passage, _ in some]))
            located.append([section for _, section in some])
        return chunked, located

    def _sections(self, title: str) -> int:
        """Return of how many documents and sections of the index a title is the name; too many when unsure."""
        passages, titled = self._naming(title), self._having([title], "title")
        if passages is None or titled is None:
            return MOST_SECTIONS + 1
        named = [passage.document_id for passage in passages for one in headings(passage.text) if one.title == title]
        return len(named) + len({passage.document_id for passage in titled if passage.title == title} - set(named))

    def _naming(self, title: str) -> list[Passage] | None:
        """Return the passages that may name a title in their text; None where they are too many."""
        return self._having((form.text for form in title_forms(title)), "text")

    def _having(self, texts: Iterable[str], field: str) -> list[Passage] | None:
        """Return the passages that may have the words of one of ``texts`` in a field; None where they are too many."""
        rows: set[int] = set()
        for words in dict.fromkeys(tuple(words_of(text)) for text in texts):
            rows.update(self._lexical.naming(" ".join(words), field).tolist())
        if len(rows) > MOST_READ:
            return None
        return [p for p in self._store.passages(sorted(rows)) if p.document_id not in self._without]

    def _frequency(self, stem: str) -> int:
        """Return how many passages have a stem, the one that is asked for among them."""
        term = np.array([zlib.crc32(stem.encode("utf-8", "surrogatepass"))], np.uint32)
        return int(self._terms.document_frequency(term)[0]) + 1


def lines_of_additions(
    chunked: Sequence[Chunked], context: ContextName | ContextFunction, knowledge: CorpusKnowledge
) -> tuple[str, ...]:
    """Return the line of every passage of added documents, in order; none at all where there is no context."""
    if context == "none":
        return ()
    return tuple(knowledge.lines(chunked) if context == "corpus" else context_lines(chunked, context))

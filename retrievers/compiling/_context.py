"""A line before a passage's text, for embedding and lexical indexing alone: what the passage does not say itself.

A chunk of a long document often lacks what it is about: the heading stands above another chunk, the name became a
pronoun, and who else speaks of its subject is in no chunk of it. Anthropic, "Introducing Contextual Retrieval"
(2024), lets an LLM write such a line; here it is gathered from the document and the corpus, in time linear in both.

A *subject* is the title of a document, or a heading that is no more than a few times in the corpus ("Career" is none).
A passage is about the innermost subject that it stands under. When the text of another subject names it, that subject
is a way to it which its own text does not show: on the web such words are the anchor text of the links that lead to a
page (Craswell, Hawking and Robertson 2001, "Effective site finding using link anchor information").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from math import log1p
from typing import Literal

from ...errors import CorpusError
from ..records import Document, Passage
from ..words._phrases import words_of
from ..words._terms import analyse
from ..words._titles import TitleMatcher
from ._markdown import Section, sections

MOST_TERMS = 12
"""Terms of a document that are looked at; a few that a passage lacks go into its line."""

_NAME_WEIGHT = 2.0
"""A word that is never written small is the name of something, and says more of what a text is about."""


class DistinctiveTerms:
    """The terms of documents by tf-idf over a corpus: Salton and Buckley 1988, "Term-weighting approaches".

    Terms are compared by their stems, and shown as they are written most often.

    Args:
        frequency: in how many documents a stem is.
        documents: how many there are.
    """

    def __init__(self, frequency: Callable[[str], int], documents: int) -> None:
        self._frequency = frequency
        self._documents = documents

    def of(self, text: str) -> list[tuple[str, str]]:
        """Return (stem, word) of the ``MOST_TERMS`` most distinctive terms said twice or more, best first."""
        written: dict[str, Counter[str]] = {}
        for word in words_of(text):
            for stem in analyse(word):
                written.setdefault(stem, Counter())[word] += 1
        ranked = sorted(
            ((-self._weight(stem, words), stem) for stem, words in written.items() if words.total() > 1),
        )
        return [(stem, written[stem].most_common(1)[0][0]) for _, stem in ranked[:MOST_TERMS]]

    def _weight(self, stem: str, words: Counter[str]) -> float:
        """Return tf times ln(1 + (N - df + 0.5) / (df + 0.5)), more for a name."""
        frequency = self._frequency(stem)
        named = all(word[0].isupper() for word in words)
        idf = log1p((self._documents - frequency + 0.5) / (frequency + 0.5))
        return words.total() * idf * (_NAME_WEIGHT if named else 1.0)


_JOINT = " > "

MOST_SECTIONS = 2
"""A heading of more sections than this is a kind of section, not a subject."""

MOST_NAMES = 3
"""Names that are said of a subject."""

MOST_MENTIONS = 12
"""What more subjects than this speak of is known everywhere; none of them says anything about it."""


class Mentions:
    """Who speaks of whom in a corpus; built in one walk over it, its cost that of finding titles in texts.

    Args:
        documents: with their passages.
        located: the section of every passage, document by document.
        sections: of how many documents and sections a title is the name; None counts, over all documents.
    """

    def __init__(
        self,
        documents: Sequence[tuple[Document, Sequence[Passage]]],
        located: Sequence[Sequence[Section]],
        sections: Callable[[str], int] | None = None,
    ) -> None:
        named = [paths_of(document, where) for (document, _), where in zip(documents, located, strict=True)]
        count = cache(sections or sections_of_titles(named).__getitem__)
        self._paths = [
            [tuple(title for title in path if title and count(title) <= MOST_SECTIONS) for path in paths]
            for paths in named
        ]
        titles = list(dict.fromkeys(title for paths in self._paths for path in paths for title in path))
        matcher = TitleMatcher(titles)
        self._speakers: dict[str, dict[str, None]] = {}
        for (_, passages), paths in zip(documents, self._paths, strict=True):
            for passage, path in zip(passages, paths, strict=True):
                for mention in matcher.find(passage.text) if path else ():
                    self._remember(path, [titles[row] for row in mention.rows])

    def names(self, document: int, passage: int) -> list[str]:
        """Return who speaks of what a passage is about: at most ``MOST_NAMES``, in the order of the corpus."""
        for subject in reversed(self._paths[document][passage]):
            speakers = self._speakers.get(subject, {})
            if speakers:
                return list(speakers)[:MOST_NAMES] if len(speakers) <= MOST_MENTIONS else []
        return []

    def _remember(self, path: tuple[str, ...], named: Sequence[str]) -> None:
        if len(named) > MOST_SECTIONS:
            return
        for subject in named:
            if subject not in path:
                speakers = self._speakers.setdefault(subject, {})
                if len(speakers) <= MOST_MENTIONS:
                    speakers.setdefault(_JOINT.join(path))


def paths_of(document: Document, sections: Sequence[Section]) -> list[tuple[str, ...]]:
    """Return what each passage is about, outermost first; a title that is a heading too is that section's alone."""
    headed = any(document.title in section.path for section in sections)
    return [section.path if headed else (document.title, *section.path) for section in sections]


def sections_of_titles(named: Sequence[Sequence[tuple[str, ...]]]) -> Counter[str]:
    """Return of how many documents and sections each title is the name."""
    counts: Counter[str] = Counter()
    for paths in named:
        counts.update(path[-1] for path in {path[:depth] for path in paths for depth in range(1, len(path) + 1)})
    return counts


ContextName = Literal["none", "corpus", "function"]
"""``function`` stands in an index's settings where a user's own function gave the context."""

CONTEXTS: tuple[ContextName, ...] = ("none", "corpus", "function")

ContextFunction = Callable[[Document, Passage, Sequence[Passage]], str]
"""A user's own: given a document, one of its passages and all of them, returns the line, "" for none."""

Chunked = tuple[Document, Sequence[Passage]]
"""A document and the passages that it was cut into."""

LACKING_TERMS = 3
"""Terms of a document without headings that go into the line of a passage that lacks them."""


def context_lines(chunked: Sequence[Chunked], context: ContextName | ContextFunction) -> list[str]:
    """Return the line of every passage, in order; "" where there is nothing to say.

    Args:
        chunked: a whole corpus.
        context: ``corpus``: the headings above, or where there are none the terms that distinguish the document and
            that the passage lacks, and what else in the corpus speaks of its subject. Or a user's own function.
    """
    if callable(context):
        return [
            _one_line(context(document, passage, passages), context, passage)
            for document, passages in chunked
            for passage in passages
        ]
    if context == "none":
        return [""] * sum(len(passages) for _, passages in chunked)
    located = [sections(document, passages) for document, passages in chunked]
    counts: Counter[str] = Counter()
    for document, _ in chunked:
        counts.update(set(analyse(document.text)))
    terms = DistinctiveTerms(counts.__getitem__, len(chunked))
    return corpus_lines(chunked, located, Mentions(chunked, located), terms)


def in_context(line: str, text: str) -> str:
    """Return what a passage is found by: the line, where there is one, then its text."""
    return f"{line}\n{text}" if line else text


def name_of(context: ContextName | ContextFunction) -> str:
    """Return the name of a context; of a function that by which it can be imported."""
    if not callable(context):
        return context
    name = getattr(context, "__qualname__", type(context).__qualname__)
    return f"{getattr(context, '__module__', type(context).__module__)}.{name}"


def corpus_lines(
    chunked: Sequence[Chunked],
    located: Sequence[Sequence[Section]],
    mentions: Mentions,
    terms: DistinctiveTerms,
    first: int = 0,
) -> list[str]:
    """Return the lines of the context ``corpus`` for documents, the first of which has a number in ``mentions``."""
    lines = []
    for number, ((document, passages), where) in enumerate(zip(chunked, located, strict=True), first):
        # Beside headings they name the subject worse and make its passages alike (benchmarks/contextual_chunks.py).
        headless = len(passages) > 1 and not all(section.path for section in where)
        about = terms.of(document.text) if headless else []
        for place, (passage, section) in enumerate(zip(passages, where, strict=True)):
            lacking = [] if section.path else _lacking(passage, about)
            names = mentions.names(number, place)
            lines.append(_joined([_above(document, section), " ".join(lacking), ", ".join(names)]))
    return lines


def _lacking(passage: Passage, about: Sequence[tuple[str, str]]) -> list[str]:
    """Return the first words of ``about`` that neither the passage nor its title says."""
    said = set(analyse(f"{passage.title} {passage.text}")) if about else set()
    return [word for stem, word in about if stem not in said][:LACKING_TERMS]


def _above(document: Document, section: Section) -> str:
    """Return the headings above a passage as one phrase, without one that repeats the document's title."""
    title = document.title.casefold()
    return _JOINT.join(heading for heading in section.above if heading.casefold() != title)


def _joined(parts: Sequence[str]) -> str:
    return ". ".join(part.rstrip(".") for part in parts if part)


def _one_line(line: object, context: ContextFunction, passage: Passage) -> str:
    if not isinstance(line, str):
        raise CorpusError(
            f"the context function {name_of(context)} gave {line!r} for the passage {passage.id!r}: let it return a"
            " string, empty for no context"
        )
    return " ".join(line.split())

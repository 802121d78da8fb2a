"""A line before a passage's text, for embedding and lexical indexing alone: what the passage does not say itself.

A chunk of a long document often lacks what it is about: the heading stands above another chunk, the name became a
pronoun, and who else speaks of its subject is in no chunk of it. Anthropic, "Introducing Contextual Retrieval"
(2024), lets an LLM write such a line; here it is gathered from the document and the corpus, in time linear in both.
The title of the document stands before the line in any case, see ``encoder.embedding_text``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from ...errors import CorpusError
from ..records import Document, Passage
from ..words.terms import analyse
from .corpus_context import DistinctiveTerms, Mentions
from .markdown import Section, sections

ContextName = Literal["none", "corpus", "function"]
"""``function`` stands in an index's settings where a user's own function gave the context."""

CONTEXTS: tuple[ContextName, ...] = ("none", "corpus", "function")

ContextFunction = Callable[[Document, Passage, Sequence[Passage]], str]
"""A user's own: given a document, one of its passages and all of them, returns the line, "" for none."""

Chunked = tuple[Document, Sequence[Passage]]
"""A document and the passages that it was cut into."""

LACKING_TERMS = 3
"""Terms of a document without headings that a passage is told because it lacks them."""

_HEADING_JOINT = " > "


def context_lines(chunked: Sequence[Chunked], context: ContextName | ContextFunction) -> list[str]:
    """Return the line of every passage, in order; "" where there is nothing to say.

    Args:
        chunked: a whole corpus.
        context: ``corpus``: the headings above, or where there are none the terms that distinguish the document and
            that the passage lacks, and what else in the corpus speaks of its subject. Or a user's own function.

    Raises:
        CorpusError: a user's function gave something else than a string.
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
    terms = DistinctiveTerms(document.text for document, _ in chunked)
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
    """Return the lines of the context ``corpus``.

    Args:
        chunked: documents, all of a corpus or some.
        located: the section of every passage, document by document.
        mentions: who speaks of whom in the corpus.
        terms: what distinguishes a document in the corpus.
        first: the number that the first of these documents has for ``mentions``.
    """
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
    return _HEADING_JOINT.join(heading for heading in section.above if heading.casefold() != title)


def _joined(parts: Sequence[str]) -> str:
    return ". ".join(part.rstrip(".") for part in parts if part)


def _one_line(line: object, context: ContextFunction, passage: Passage) -> str:
    if not isinstance(line, str):
        raise CorpusError(
            f"the context function {name_of(context)} gave {line!r} for the passage {passage.id!r}: let it return a"
            " string, empty for no context"
        )
    return " ".join(line.split())

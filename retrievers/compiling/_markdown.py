"""The Markdown of a text: its paragraphs, list items, headings and fenced code, and the sections of its passages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..records import Document, Passage

_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_HEADING_MARKS = re.compile(r"[ ]*(#{1,6})[ \t]*(.*?)(?:[ \t]+#+)?[ \t]*$", re.DOTALL)
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]")
_FENCE = re.compile(r" {0,3}(?:```|~~~)")


class Block(NamedTuple):
    """A stretch that no sentence crosses: a paragraph, a list item or a heading."""

    start: int
    end: int
    heading: bool


class Heading(NamedTuple):
    """A markdown heading: its line is ``text[start:end]``; level 1 to 6."""

    start: int
    end: int
    level: int
    title: str


def blocks(text: str) -> Iterator[Block]:
    """Yield paragraphs, list items, headings and fenced code, which has no headings or items in it."""
    fenced = False
    start = end = -1
    position = 0
    while position < len(text):
        line_end = text.find("\n", position)
        line_end = len(text) if line_end < 0 else line_end
        blank = text[position:line_end].isspace() or position == line_end
        heading = not fenced and _HEADING.match(text, position, line_end) is not None
        item = not fenced and _LIST_ITEM.match(text, position, line_end) is not None
        fence = _FENCE.match(text, position, line_end) is not None
        if start >= 0 and (blank or heading or item or (fence and not fenced)):
            yield Block(start, end, heading=False)
            start = -1
        if heading:
            yield Block(position, line_end, heading=True)
        elif not blank:
            start, end = (position if start < 0 else start), line_end
        if fence and fenced:
            yield Block(start, end, heading=False)
            start = -1
        fenced ^= fence
        position = line_end + 1
    if start >= 0:
        yield Block(start, end, heading=False)


def headings(text: str) -> list[Heading]:
    """Return the markdown headings of ``text`` that have words, in order; none of those inside fenced code."""
    found = []
    for block in blocks(text):
        if block.heading:
            match = _HEADING_MARKS.match(text[block.start : block.end])
            if match and match[2]:
                found.append(Heading(block.start, block.end, len(match[1]), match[2]))
    return found


@dataclass(frozen=True, slots=True)
class Section:
    """Where a passage stands among the headings of its document.

    Attributes:
        path: titles of the headings that it stands under or begins with, outermost first.
        inside: how many of them, from the last backwards, are in the passage's own text.
    """

    path: tuple[str, ...]
    inside: int

    @property
    def above(self) -> tuple[str, ...]:
        """The part of the path that the passage does not have itself."""
        return self.path[: len(self.path) - self.inside]


def sections(document: Document, passages: Sequence[Passage]) -> list[Section]:
    """Return the section of each passage of a document, in one walk over both.

    A passage that begins with a heading stands under it; headings further down in it are its own affair.
    """
    outline = headings(document.text)
    found: list[Section] = []
    open_headings: list[Heading] = []
    place = 0
    for passage in passages:
        while place < len(outline) and (
            outline[place].start < passage.start or _begins(document.text, passage, outline, place)
        ):
            heading = outline[place]
            while open_headings and open_headings[-1].level >= heading.level:
                open_headings.pop()
            open_headings.append(heading)
            place += 1
        inside = sum(heading.start >= passage.start for heading in open_headings)
        found.append(Section(tuple(heading.title for heading in open_headings), inside))
    return found


def _begins(text: str, passage: Passage, outline: Sequence[Heading], place: int) -> bool:
    """Return whether nothing but headings stands between the beginning of the passage and this heading."""
    heading = outline[place]
    if not passage.start <= heading.start < passage.end:
        return False
    reach = passage.start
    if place and outline[place - 1].start >= passage.start:
        reach = outline[place - 1].end
    return not text[reach : heading.start].strip()

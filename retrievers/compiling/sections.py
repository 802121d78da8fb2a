"""Which headings a passage stands under, and which stand beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..records import Document, Passage
from .chunking import Heading, headings


@dataclass(frozen=True, slots=True)
class Section:
    """Where a passage stands among the headings of its document.

    Attributes:
        path: titles of the headings that it stands under or begins with, outermost first.
        inside: how many of them, from the last backwards, are in the passage's own text.
        before, after: the heading before and the one after its innermost one, "" where there is none.
    """

    path: tuple[str, ...]
    inside: int
    before: str
    after: str

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
        found.append(
            Section(
                tuple(heading.title for heading in open_headings),
                sum(heading.start >= passage.start for heading in open_headings),
                outline[place - 2].title if place > 1 else "",
                outline[place].title if place < len(outline) else "",
            )
        )
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

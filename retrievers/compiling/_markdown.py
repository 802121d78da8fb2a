"""Where a text may be cut: its headings, paragraphs, list items, tables and lines, by CommonMark or by lines alone.

The blocks of Markdown are those of markdown-it-py (CommonMark 0.31 and GitHub's tables); inside them nothing is
parsed. Link definitions are paragraphs, so that no word is outside of a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from ..records import Document, Markup, Passage
from ._commonmark import Opening, openings_of, words_of_inline
from ._front_matter import front_matter_end, front_matter_title

Kind = Literal["text", "item", "heading", "table", "lines"]
"""What a block is: ``text`` is a paragraph, ``item`` one of a list, ``lines`` is code, or records of a line each."""

_STRETCH = 1 << 20
"""Characters that are parsed at once; the last block among them is parsed again with what follows."""

_LONGEST_TITLE = 1000
"""Characters of a heading in which emphasis and links are looked for."""

_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•‣◦▪]|\d{1,9}[.)])[ \t]")
_BULLET = re.compile(r"\n(?=[ \t]*[•‣◦▪][ \t])")
_LINE = re.compile(r"[^\n]+")
# Without a line that begins like this, Markdown is paragraphs and empty lines.
_MARKED_LINE = re.compile(r"^(?: {0,3}(?:[#>\-+*`~|<=:•‣◦▪\t]|\d{1,9}[.)])| {4}|.*\r)", re.MULTILINE)
_INLINE_MARKS = re.compile(r"[*_`\[<\\&]")
_HEADING_NAME = re.compile(r"[ \t]\{#[^{}\s]*\}$")

_FEWEST_RECORDS = 3
_RECORD_HEAD = 24
_RECORDS = 0.8
"""Share of the lines of a paragraph that have a digit near their beginning, or begin with no letter, in a log."""


class Block(NamedTuple):
    """Whole lines that no sentence leaves, from the beginning of the first to the last character that is no space.

    Attributes:
        start, end: its place ``[start, end)`` in the text.
        kind: what it is.
        level: of a heading, 1 to 6.
        body: of a table, where its first row begins, after the header and the line under it.
    """

    start: int
    end: int
    kind: Kind
    level: int = 0
    body: int = 0


class Heading(NamedTuple):
    """A heading that has words: its lines are ``text[start:end]``; level 1 to 6; ``title`` without its marks."""

    start: int
    end: int
    level: int
    title: str


def blocks(text: str, markup: Markup = "markdown") -> Iterator[Block]:
    """Yield the blocks of a text in order; every character that is not white space is in exactly one."""
    if markup != "markdown":
        yield from _runs_of_lines(text, 0, markup)
        return
    position = front_matter_end(text)
    yield from _trimmed(text, 0, position, "lines")
    if _MARKED_LINE.search(text, position) is None:
        yield from _runs_of_lines(text, position, "markdown")
        return
    # The parser takes "\n" alone for the end of a line; offsets must stay.
    text = text.replace("\r\n", " \n").replace("\r", "\n")
    while position < len(text):
        found, position = _stretch(text, position)
        yield from found


def headings(text: str) -> list[Heading]:
    """Return the headings of a Markdown text that have words, in order; none of lists, quotes, code or comments."""
    return list(_headings(text))


def document_title(text: str) -> str:
    """Return the title of a Markdown text: that of its front matter, else its first heading, else ""."""
    title = front_matter_title(text)
    return title or next((heading.title for heading in _headings(text)), "")


def _headings(text: str) -> Iterator[Heading]:
    for block in blocks(text):
        if block.kind == "heading" and (title := _heading_title(text[block.start : block.end])):
            yield Heading(block.start, block.end, block.level, title)


def _heading_title(source: str) -> str:
    """Return the words of a heading, given its lines, without the marks of emphasis, code and links."""
    *words, line = source.strip().split("\n")
    if words:  # underlined
        title = " ".join(words)
    else:
        title = line.lstrip("#").strip(" \t")
        without = title.rstrip("#")
        title = without.rstrip() if without != title and without[-1:] in ("", " ", "\t") else title
        title = _HEADING_NAME.sub("", title)
    if len(title) <= _LONGEST_TITLE and _INLINE_MARKS.search(title):
        plain = words_of_inline(title)
        title = plain if plain.strip() else title
    return " ".join(title.split())


def _runs_of_lines(text: str, position: int, markup: Markup) -> Iterator[Block]:
    """Yield what stands between empty lines; list items of their own too, but of code."""
    start = end = -1
    item = False
    for line in _LINE.finditer(text, position):
        if text[line.start() : line.end()].isspace():
            continue
        begins = markup == "plain" and _LIST_ITEM.match(text, line.start(), line.end()) is not None
        if start >= 0 and (begins or line.start() != end + 1):
            yield from _paragraph(text, start, end, markup, item)
            start = -1
        if start < 0:
            start, item = line.start(), begins
        end = line.end()
    if start >= 0:
        yield from _paragraph(text, start, end, markup, item)


def _paragraph(text: str, start: int, end: int, markup: Markup, item: bool) -> Iterator[Block]:
    kind: Kind = "lines" if markup == "code" else "item" if item else _kind_of_text(text[start:end])
    return _trimmed(text, start, end, kind)


def _kind_of_text(paragraph: str) -> Kind:
    """Return ``lines`` for the records of a log, ``text`` for sentences."""
    lines = paragraph.split("\n")
    if len(lines) < _FEWEST_RECORDS:
        return "text"
    records = sum(not line[:1].isalpha() or any(map(str.isdigit, line[:_RECORD_HEAD])) for line in lines)
    return "lines" if records >= _RECORDS * len(lines) else "text"


def _stretch(text: str, position: int) -> tuple[list[Block], int]:
    """Return the blocks of the next stretch, and where the one after it begins."""
    size = _STRETCH
    while True:
        end = text.find("\n", position + size) + 1 or len(text)
        found, last = _parsed(text[position:end])
        if end == len(text) or last == end - position:
            return [_moved(block, position) for block in found], end
        if last > 0:
            return [_moved(block, position) for block in found if block.start < last], position + last
        size *= 2


def _moved(block: Block, offset: int) -> Block:
    return Block(block.start + offset, block.end + offset, block.kind, block.level, block.body and block.body + offset)


def _parsed(text: str) -> tuple[list[Block], int]:
    """Return the blocks of a text, and where the last that stands in no other begins: its end where there is none."""
    openings, starts = openings_of(text)
    found: list[Block] = []
    reached = list_end = 0
    last = len(text)
    for token in openings:
        first, end = token.map
        last = starts[first] if token.level == 0 else last
        if token.type == "list_item_open":
            list_end = max(list_end, end)
        elif token.type in _LEAVES and starts[end] > reached:
            begin = max(starts[first], reached)
            if begin > reached:
                found += _trimmed(text, reached, begin, "text")
            found += _leaf(text, begin, starts[end], token, first < list_end)
            reached = starts[end]
    found += _trimmed(text, reached, len(text), "text")
    return found, last


_LEAVES: dict[str, Kind] = {
    "paragraph_open": "text",
    "heading_open": "heading",
    "fence": "lines",
    "code_block": "lines",
    "html_block": "text",
    "hr": "text",
    "table_open": "table",
}


def _leaf(text: str, start: int, end: int, opening: Opening, in_list: bool) -> Iterator[Block]:
    """Yield the block of an opening; a paragraph that lists its points by signs of its own is several."""
    kind = _LEAVES[opening.type]
    if kind == "heading" and opening.level == 0:
        for block in _trimmed(text, start, end, "heading"):
            yield block._replace(level=int(opening.tag[1:]))
    elif kind == "table":
        body = text.find("\n", text.find("\n", start) + 1) + 1 or end
        for block in _trimmed(text, start, end, "table"):
            yield block._replace(body=min(body, block.end))
    elif kind in ("text", "heading"):
        points = [start, *(match.end() for match in _BULLET.finditer(text, start, end)), end]
        for first, (begin, stop) in enumerate(pairwise(points)):
            yield from _trimmed(text, begin, stop, "item" if in_list or first else _kind_of_text(text[begin:stop]))
    else:
        yield from _trimmed(text, start, end, kind)


def _trimmed(text: str, start: int, end: int, kind: Kind) -> Iterator[Block]:
    """Yield the block from the first line with words to the last, if there is one."""
    part = text[start:end]
    words = len(part) - len(part.lstrip())
    if words < len(part):
        yield Block(start + part.rfind("\n", 0, words) + 1, start + len(part.rstrip()), kind)


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

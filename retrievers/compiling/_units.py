"""The units that passages are made of, none longer than a passage, and how much a cut before each would hurt."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from ..records import Markup
from ._markdown import Block, blocks
from ._sentences import sentences_of_block
from ._window import WORD, Window

_DASHES = re.compile("-+")
_LINE = re.compile(r"[^\n]+")

BETWEEN_SECTIONS = 0.0
BETWEEN_BLOCKS = 0.05
BETWEEN_LINES = 0.4
BETWEEN_SENTENCES = 0.25
INSIDE_ITEM = 0.6
INSIDE_SENTENCE = 0.8
AFTER_HEADING = 3.0
"""What a cut costs, in parts of a passage that is too long or too short for it."""


class Unit(NamedTuple):
    """A sentence, a line, a row, or a part of one that is too long.

    Attributes:
        start, end: its place ``[start, end)`` in the document.
        size: tokens.
        cost: of a cut before it.
        section: whether a section begins with it.
        table: the number of the table whose row it is, counted from 0; -1 for none.
    """

    start: int
    end: int
    size: int
    cost: float
    section: bool = False
    table: int = -1


class Lead(NamedTuple):
    """The header of a table, as it is repeated, and its tokens."""

    text: str
    size: int


class Ruler:
    """Measures stretches of one text by its words, each of which was measured once.

    A word of more than ``most`` tokens is several, so that it can be cut.
    """

    def __init__(self, text: str, window: Window, most: int) -> None:
        words = [match.span() for match in WORD.finditer(text)]
        sizes = window.word_sizes([text[start:end] for start, end in words])
        if any(size > most for size in sizes):
            words, sizes = _cut_words(text, words, sizes, window, most)
        self._starts = [start for start, _ in words]
        self.ends = [end for _, end in words]
        self._totals = [0, *accumulate(sizes)]

    def size(self, start: int, end: int) -> int:
        """Return the tokens of ``[start, end)``; a word that is partly in it counts."""
        return self._totals[bisect_left(self._starts, end)] - self._totals[bisect_right(self.ends, start)]

    def furthest(self, start: int, room: int) -> int:
        """Return where the last word ends that fits from ``start`` on; the first does in any case."""
        first = bisect_right(self.ends, start)
        reached = bisect_right(self._totals, self._totals[first] + room) - 1
        return self.ends[max(first, min(reached, len(self.ends)) - 1)]


def _cut_words(
    text: str, words: list[tuple[int, int]], sizes: list[int], window: Window, most: int
) -> tuple[list[tuple[int, int]], list[int]]:
    """Halve the words that are too long until they are not, or are single characters."""
    while True:
        spans: list[tuple[int, int]] = []
        long = False
        for (start, end), size in zip(words, sizes, strict=True):
            if size > most and end - start > 1:
                middle = (start + end) // 2
                spans += [(start, middle), (middle, end)]
                long = True
            else:
                spans.append((start, end))
        if not long:
            return words, sizes
        words, sizes = spans, window.word_sizes([text[start:end] for start, end in spans])


class Units:
    """The units of a document, and the headers of its tables.

    Args:
        text: of the document.
        markup: how it is written.
        window: measures.
        most: tokens to a unit with what must stay before it.
    """

    def __init__(self, text: str, markup: Markup, window: Window, most: int) -> None:
        self._text = text
        self._window = window
        self._most = most
        self._ruler = Ruler(text, window, most)
        self.leads: list[Lead] = []
        self._heading = 0  # tokens of the headings right before
        self.all: list[Unit] = []
        for block in blocks(text, markup):
            self.all += self._of_block(block)

    def lead(self, unit: Unit) -> Lead:
        """Return what is repeated before a passage that begins with the unit."""
        return _NO_LEAD if unit.table < 0 else self.leads[unit.table]

    def _of_block(self, block: Block) -> Iterator[Unit]:
        after, size, heading = self._heading, 0, block.kind == "heading"
        for start, end, cost, table in self._parts(block):
            first = size == 0
            reserved = after if first else self.leads[table].size if table >= 0 else 0
            if first:
                cost = AFTER_HEADING if after else BETWEEN_SECTIONS if heading else BETWEEN_BLOCKS
            for unit in self._fitting(start, end, cost, reserved):
                yield unit._replace(table=table, section=heading and size == 0 and not after)
                size += unit.size
        # Headings stay with what follows, as long as they leave room for it.
        self._heading = after + size if heading and after + size <= self._most // 2 else 0

    def _parts(self, block: Block) -> Iterator[tuple[int, int, float, int]]:
        """Yield start, end, the cost of a cut before it, and the table of every part of a block."""
        text = self._text
        if block.kind == "table":
            yield from self._rows(block)
        elif block.kind == "lines":
            before = block.start
            for line in _LINE.finditer(text, block.start, block.end):
                if not line[0].isspace():
                    gap = text.count("\n", before, line.start()) > 1
                    yield (
                        line.start(),
                        line.start() + len(line[0].rstrip()),
                        (BETWEEN_BLOCKS if gap else BETWEEN_LINES),
                        -1,
                    )
                    before = line.end()
        else:
            inside = INSIDE_ITEM if block.kind == "item" else BETWEEN_SENTENCES
            for start, end in sentences_of_block(text, block):
                yield start, end, inside, -1

    def _rows(self, block: Block) -> Iterator[tuple[int, int, float, int]]:
        header = self._text[block.start : block.body].strip().split("\n")
        text = "\n".join([header[0].strip(), *(_DASHES.sub("-", line.strip()) for line in header[1:])])
        size = sum(self._window.word_sizes([match[0] for match in WORD.finditer(text)]))
        self.leads.append(Lead(text, size) if size <= self._most // 2 else _NO_LEAD)
        for number, (start, end) in enumerate(sentences_of_block(self._text, block)):
            body = number >= len(header)
            cost = BETWEEN_LINES if number > len(header) else AFTER_HEADING
            yield start, end, cost, (len(self.leads) - 1 if body else -1)

    def _fitting(self, start: int, end: int, cost: float, reserved: int) -> Iterator[Unit]:
        """Yield the part, or the parts of it that fit beside what must stay before the first of them."""
        size = self._ruler.size(start, end)
        room = max(1, self._most - reserved)
        while size > room:
            stop = max(start + 1, self._place_to_cut(start, end, room, size))  # a part is never empty
            taken = self._ruler.size(start, stop)
            yield Unit(start, stop, taken, cost)
            start = _skip_space(self._text, stop, end)
            size, cost = self._ruler.size(start, end), INSIDE_SENTENCE
        if start < end:
            yield Unit(start, end, size, cost)

    def _place_to_cut(self, start: int, end: int, room: int, size: int) -> int:
        """Return where a first part of at most ``room`` tokens ends: at a line, else at a comma, else at a word."""
        parts = -(-size // room)
        furthest = min(self._ruler.furthest(start, room), end)
        even = min(self._ruler.furthest(start, -(-size // parts)), furthest)
        soonest = start + (even - start) // 2
        line = self._text.rfind("\n", soonest, furthest + 1)
        if line > soonest and self._text[start:line].strip():
            return start + len(self._text[start:line].rstrip())
        clause = max(self._text.rfind(sign, soonest, furthest) for sign in (", ", "; ", ": ", "、", "，"))
        return clause + 1 if clause > soonest else even


_NO_LEAD = Lead("", 0)


def _skip_space(text: str, position: int, end: int) -> int:
    while position < end and text[position].isspace():
        position += 1
    return position

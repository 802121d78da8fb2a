"""The reading order of a PDF page: columns that are drawn line by line across the page are read one after the other.

Producers draw most pages in reading order. Where lines of two columns alternate, a gutter that no word crosses shows
it: what stands left of it is read first. Tables have such gutters too, so both sides must be lines of running prose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

_GAP = 0.9
"""Of the height of the letters: a space this wide between two words of one line parts columns or cells."""

_LEAST_LINES = 3
"""Lines that each column has at least."""

_LEAST_WORDS = 3
"""Words to a line of prose, at the median; cells of tables have fewer."""

_FULL = 0.6
"""Lines of a column reach this far across it, at the median; cells of tables are as long as what they say."""

_MOST_SEGMENTS = 3000
_GOING_ON = 0.3
"""So many of the lines of prose begin in the middle of a sentence; cells of tables begin with a capital or number."""

_PARAGRAPHS_APART = 2.2
"""Of the height of the letters times 1.2: lines of one column are not further apart."""


class Word(NamedTuple):
    """One or more words of a line that stand together, in points; y grows upwards."""

    text: str
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Words of one line that stand together: a line of a column, or a cell of a table."""

    words: tuple[Word, ...]
    left: float
    right: float
    bottom: float
    top: float
    same_line: bool = False
    """Whether it goes on with the line of the segment before it."""

    @property
    def height(self) -> float:
        """Height of the letters."""
        return max(self.top - self.bottom, 1.0)


def segments(lines: Iterable[Sequence[Word]]) -> list[Segment]:
    """Cut lines of words, in the order that they are drawn, where a space is far wider than between words."""
    found: list[Segment] = []
    for line in lines:
        height = max((word.top - word.bottom for word in line), default=0.0)
        part: list[Word] = []
        begun = False
        for word in line:
            if part and not -2 * height <= word.left - part[-1].right <= _GAP * height:
                found.append(_segment(part, begun))
                part, begun = [], True
            part.append(word)
        if part:
            found.append(_segment(part, begun))
    return found


def _segment(words: Sequence[Word], same_line: bool) -> Segment:
    return Segment(
        tuple(words),
        min(word.left for word in words),
        max(word.right for word in words),
        min(word.bottom for word in words),
        max(word.top for word in words),
        same_line,
    )


def are_upright(drawn: Sequence[Segment]) -> bool:
    """Return whether most of a page's text runs up or down it: it is higher than it is wide."""
    long = [segment for segment in drawn if sum(len(word.text) for word in segment.words) > 3]
    upright = sum(segment.height > 1.5 * (segment.right - segment.left) for segment in long)
    return 2 * upright > len(long)


def reading_order(drawn: Sequence[Segment]) -> list[Segment]:
    """Return segments in the order that they are read: each block of columns column by column.

    A page with more segments than any that is read by people stays as it is drawn, so that time is bounded.
    """
    if len(drawn) > _MOST_SEGMENTS:
        return list(drawn)
    ordered: list[Segment] = []
    place = 0
    while place < len(drawn):
        columns = _columns(drawn, place)
        if columns is None:
            ordered.append(drawn[place])
            place += 1
            continue
        for column in columns:
            ordered += reading_order([replace(segment, same_line=False) for segment in column])
        place += sum(map(len, columns))
    return ordered


def _columns(drawn: Sequence[Segment], start: int) -> tuple[list[Segment], list[Segment]] | None:
    """Return the two sides of a block of columns that begins with a pair at ``start``, None where there is none."""
    if start + 1 >= len(drawn):
        return None
    first, second = drawn[start], drawn[start + 1]
    if second.left <= first.right or abs(first.bottom - second.bottom) >= 0.9 * max(first.height, second.height):
        return None
    left, right = [first], [second]
    low, high = first.right, second.left
    turns, last_is_right = 1, True
    for segment in drawn[start + 2 :]:
        least = 0.5 * segment.height
        is_left = segment.right <= high - least
        is_right = not is_left and segment.left >= low + least
        column = left if is_left else right
        if not (is_left or is_right) or not _follows(column[-1], segment):
            break
        low, high = (max(low, segment.right), high) if is_left else (low, min(high, segment.left))
        turns += is_right and not last_is_right
        last_is_right = is_right
        column.append(segment)
    if turns < _LEAST_LINES or not _is_prose(left) or not (_is_prose(right) or _are_columns(right)):
        return None
    return left, right


def _are_columns(side: Sequence[Segment]) -> bool:
    """Return whether one side of a gutter is columns again, all of it."""
    found = _columns(side, 0)
    return found is not None and sum(map(len, found)) == len(side)


def goes_on(before: Segment, after: Segment) -> bool:
    """Return whether a segment stands to the right of another, on the same line."""
    return after.left > before.right and abs(before.bottom - after.bottom) < 0.3 * max(before.height, after.height)


def _follows(before: Segment, after: Segment) -> bool:
    """Return whether a segment is the next line of a column, or of a column to the right of it."""
    distance = before.bottom - after.bottom
    below = 0 < distance <= _PARAGRAPHS_APART * 1.2 * max(before.height, after.height)
    return below or (after.left > before.right and abs(distance) < 0.9 * max(before.height, after.height))


def _is_prose(column: Sequence[Segment]) -> bool:
    """Return whether the lines of a column are those of running text and not cells of a table."""
    if len(column) < _LEAST_LINES:
        return False
    width = max(segment.right for segment in column) - min(segment.left for segment in column)
    text = "".join(part for segment in column for word in segment.words for part in word.text.split())
    goes_on = sum(segment.words[0].text[:1].islower() for segment in column[1:])
    return (
        median(sum(len(word.text.split()) for word in segment.words) for segment in column) >= _LEAST_WORDS
        and median(segment.right - segment.left for segment in column) >= _FULL * width
        and sum(map(str.isalpha, text)) >= 0.6 * len(text)
        and goes_on >= _GOING_ON * (len(column) - 1)
    )

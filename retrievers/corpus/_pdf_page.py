"""One page of a PDF by pdfium: its lines in reading order, the size of their letters, form values and notes."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from ._pdf_layout import Segment, Word, are_upright, goes_on, reading_order, segments

_LINE = re.compile("[^\n\x02\ufffe]+[\x02\ufffe]?|[\x02\ufffe]")
"""A line ends after a hyphen that divides a word, too, where pdfium writes no end of line."""

_SIGNS = str.maketrans({"\x02": "-", "\ufffe": "-", "\u00a0": " "})
"""What pdfium gives for the hyphen at the end of a line, and a space that holds words together."""

_SPACE = 0.17
"""Of the height of the letters: a gap as wide as a space. Between letters it is below a tenth."""

_APART = 1.6
"""Lines further apart than this, times the page's median, begin a paragraph."""

_WRITTEN_NOTES = frozenset({1, 3})
"""Annotations whose text is read: FPDF_ANNOT_TEXT and FPDF_ANNOT_FREETEXT of fpdf_annot.h."""

_WIDGET = 20
_LONGEST_VALUE = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page.

    Attributes:
        text: without the end of line; a hyphen that divides a word is written ``-``.
        size: height of its letters in points.
        apart: whether there is more space above it than between lines.
    """

    text: str
    size: float
    apart: bool = False


def page_lines(page: Any, forms: Any) -> list[Line]:
    """Return the lines of a page in reading order; what was filled in and noted comes last.

    Args:
        page: a ``PdfPage``.
        forms: the form environment of the document, or None.
    """
    text_page = page.get_textpage()
    try:
        drawn = segments(_drawn(text_page))
    finally:
        text_page.close()
    # The lines of a page that is turned stand beside each other: their order is the one that they are drawn in.
    lines = _as_drawn(drawn) if are_upright(drawn) else _spaced(_joined(reading_order(drawn)))
    return lines + [Line(text, 0.0, apart=place == 0) for place, text in enumerate(_filled_in(page, forms))]


def _drawn(text_page: Any) -> Iterator[list[Word]]:
    """Yield every line, as it is drawn, in pieces that spaces of pdfium's own making divide, with their places."""
    import pypdfium2.raw as pdfium

    count = text_page.count_chars()
    if count <= 0:
        return
    raw = text_page.raw
    text = text_page.get_text_range(0, count)
    places: Sequence[int] = range(count)
    if len(text) != count:
        # A character beyond the first plane, or one that pdfium leaves out: each is asked for alone.
        text, places = _characters([pdfium.FPDFText_GetUnicode(raw, place) for place in places])
    is_made = pdfium.FPDFText_IsGenerated
    made = {place for place, char in enumerate(text) if char == " " and is_made(raw, places[place]) == 1}
    boxes = _Boxes(raw, places)
    uneven = len(made) > 0.02 * text.count(" ")
    for line in _LINE.finditer(text):
        pieces = [
            boxes.word(text, first, last)
            for piece in _pieces(text, *line.span(), made)
            for first, last in (boxes.divided(text, *piece) if uneven else (piece,))
        ]
        if pieces:
            yield pieces


def _pieces(text: str, start: int, end: int, made: Collection[int]) -> Iterator[tuple[int, int]]:
    """Yield the pieces ``[first, last)`` of a line between spaces that pdfium made, without space at either end."""
    cuts = [place for place in range(start, end) if place in made] if made else []
    for first, last in pairwise([start - 1, *cuts, end]):
        piece = text[first + 1 : last]
        stripped = piece.strip()
        if stripped:
            begin = first + 1 + len(piece) - len(piece.lstrip())
            yield begin, begin + len(stripped)


class _Boxes:
    """The places of characters on a page."""

    def __init__(self, raw: Any, places: Sequence[int]) -> None:
        import pypdfium2.raw as pdfium

        self._raw, self._places = raw, places
        self._box = pdfium.FS_RECTF()
        self._pointer = ctypes.byref(self._box)
        self._get = pdfium.FPDFText_GetLooseCharBox

    def word(self, text: str, first: int, last: int) -> Word:
        """Return what stands at ``[first, last)`` with its place, from its first and its last character."""
        box = self._box
        self._get(self._raw, self._places[first], self._pointer)
        left, right, bottom, top = box.left, box.right, box.bottom, box.top
        if last - first > 1:
            self._get(self._raw, self._places[last - 1], self._pointer)
            left, right = min(left, box.left), max(right, box.right)
            bottom, top = min(bottom, box.bottom), max(top, box.top)
        return Word(text[first:last].translate(_SIGNS), left, bottom, right, top)

    def divided(self, text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a piece between gaps as wide as a space that pdfium overlooked.

        pdfium compares a gap with the letters beside it, and takes some of groff's and of old TeX for kerning. A gap is
        a space where it is wide beside the height of the letters, and beside the other gaps: letters may be set apart.
        """
        ends, gaps, heights = -1.0, [], []
        for place in range(first, last):
            if text[place] == " ":
                ends = -1.0
                continue
            self._get(self._raw, self._places[place], self._pointer)
            if ends >= 0:
                gaps.append((self._box.left - ends, place))
                heights.append(self._box.top - self._box.bottom)
            ends = self._box.right
        if gaps:
            usual = median(abs(gap) for gap, _ in gaps)
            for (gap, place), height in zip(gaps, heights, strict=True):
                if _SPACE * height < gap < 3 * height and gap > 4 * usual:
                    yield first, place
                    first = place
        yield first, last


def _characters(codes: Sequence[int]) -> tuple[str, list[int]]:
    """Return a text of UTF-16 or whole code points, and which of ``codes`` each character comes from."""
    characters: list[str] = []
    places: list[int] = []
    for place, code in enumerate(codes):
        if 0xDC00 <= code < 0xE000 and characters and "\ud800" <= characters[-1] < "\udc00":
            high = ord(characters[-1]) - 0xD800
            characters[-1] = chr(0x10000 + (high << 10) + code - 0xDC00)
        elif code:
            characters.append(chr(code) if code <= 0x10FFFF else "\ufffd")
            places.append(place)
    return "".join(characters), places


def _as_drawn(drawn: Sequence[Segment]) -> list[Line]:
    return [Line(" ".join(word.text for word in segment.words), segment.right - segment.left) for segment in drawn]


def _joined(ordered: Sequence[Segment]) -> Iterator[tuple[str, Segment]]:
    """Yield lines: segments that stand beside each other and are read one after the other are one."""
    text, first, last = "", None, None
    for segment in ordered:
        words = " ".join(word.text for word in segment.words)
        if first is not None and last is not None and (segment.same_line or goes_on(last, segment)):
            text += " " + words
        else:
            if first is not None:
                yield text, first
            text, first = words, segment
        last = segment
    if first is not None:
        yield text, first


def _spaced(lines: Iterator[tuple[str, Segment]]) -> list[Line]:
    """Mark the lines that begin paragraphs: by the space above them, by a jump to another place, or by their size."""
    listed = list(lines)
    steps = [before.bottom - after.bottom for (_, before), (_, after) in pairwise(listed)]
    usual = median([step for step in steps if step > 0] or [0.0])
    found = []
    for place, (text, segment) in enumerate(listed):
        step = steps[place - 1] if place else 0.0
        grown = place > 0 and abs(segment.height - listed[place - 1][1].height) > 0.15 * segment.height
        ended = place > 0 and ends_sentence(listed[place - 1][0])
        found.append(Line(text, segment.height, grown or step > _APART * usual or (step <= 0 and ended)))
    return found


def ends_sentence(text: str) -> bool:
    """Return whether a line may be the last of a paragraph by how it ends."""
    return text.rstrip("\"')]\u201d\u2019\u00bb").endswith((".", "!", "?", ":", "\u2026", "\u3002"))


def _filled_in(page: Any, forms: Any) -> Iterator[str]:
    """Yield the values of form fields as ``name: value``, and the notes that are written on the page."""
    import pypdfium2.raw as pdfium

    for number in range(max(0, pdfium.FPDFPage_GetAnnotCount(page.raw))):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, number)
        if not annotation:
            continue
        try:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind == _WIDGET and forms is not None:
                name = _string(pdfium.FPDFAnnot_GetFormFieldName, forms.raw, annotation)
                value = _string(pdfium.FPDFAnnot_GetFormFieldValue, forms.raw, annotation)
                if value.strip() and value != "Off":
                    yield f"{name}: {value}" if name.strip() else value
            elif kind in _WRITTEN_NOTES:
                note = _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents")
                if note.strip():
                    yield note
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _string(function: Any, *arguments: Any) -> str:
    """Return a string that pdfium writes into a buffer as UTF-16, after it has said how long it is."""
    size = function(*arguments, None, 0)
    if not 2 < size <= _LONGEST_VALUE:
        return ""
    buffer = ctypes.create_string_buffer(size)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", errors="replace").replace("\r\n", "\n").replace("\r", "\n")

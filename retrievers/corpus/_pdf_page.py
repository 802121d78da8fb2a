"""One page of a PDF by pdfium: its lines in reading order, the size of their letters, form values and notes."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from ._pdf_layout import Segment, Word, reading_order, segments

_WORD = re.compile(r"\S+")
_HYPHEN = "\x02"
"""What pdfium makes of a hyphen at the end of a line."""

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
    lines = _spaced(_joined(reading_order(drawn)))
    return lines + [Line(text, 0.0, apart=place == 0) for place, text in enumerate(_filled_in(page, forms))]


def _drawn(text_page: Any) -> Iterator[list[Word]]:
    """Yield the words of every line, as they are drawn, with their places."""
    import pypdfium2.raw as pdfium

    count = text_page.count_chars()
    if count <= 0:
        return
    raw = text_page.raw
    text = text_page.get_text_range(0, count)
    if len(text) == count:
        places: Sequence[int] = range(count)
    else:
        # A character beyond the first plane, or one that pdfium leaves out: each is asked for alone.
        codes = [pdfium.FPDFText_GetUnicode(raw, place) for place in range(count)]
        text, places = _characters(codes)
    box, box_of = pdfium.FS_RECTF(), pdfium.FPDFText_GetLooseCharBox
    pointer = ctypes.byref(box)
    start = 0
    for line in text.split("\n"):
        words = []
        for match in _WORD.finditer(line):
            first, last = places[start + match.start()], places[start + match.end() - 1]
            box_of(raw, first, pointer)
            left, right, bottom, top = box.left, box.right, box.bottom, box.top
            if last != first:
                box_of(raw, last, pointer)
                left, right = min(left, box.left), max(right, box.right)
                bottom, top = min(bottom, box.bottom), max(top, box.top)
            words.append(Word(match[0].replace(_HYPHEN, "-"), left, bottom, right, top))
        if words:
            yield words
        start += len(line) + 1


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


def _joined(ordered: Sequence[Segment]) -> Iterator[tuple[str, Segment]]:
    """Yield lines: segments that were drawn on one line and are read one after the other stand on one."""
    text, first = "", None
    for segment in ordered:
        words = " ".join(word.text for word in segment.words)
        if segment.same_line and first is not None:
            text += " " + words
            continue
        if first is not None:
            yield text, first
        text, first = words, segment
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

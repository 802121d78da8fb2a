"""PDF files, read by pdfium: the text of every page in reading order, form values, and the title."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Any

from ...errors import CorpusError
from .._forks import PerProcess
from ._pdf_lines import Hyphens, without_running_lines
from ._pdf_page import Line, ends_sentence, page_lines
from ._read_text import ReadText

_ONE_AT_A_TIME = PerProcess(Lock)
"""pdfium may be called by one thread only."""

_MOST_PAGES = 50_000
_PASSWORD = 4
"""FPDF_ERR_PASSWORD of fpdfview.h."""

_SAID = re.compile(r"PDFium: ([^)]*?)\.?\)")
_LONGEST_TITLE = 200
_NO_TITLE = re.compile(
    r"(?:untitled|unknown|title|document|dokument|microsoft word|powerpoint|presentation|slide)\W*\d*$|microsoft \w+ -"
    r"|\(?anonymous\)?$|.*\.(?:docx?|pptx?|xlsx?|dvi|tex|pdf|indd|qxd|rtf|odt|html?|ps|eps|txt)$|[\W\d_]*$",
    re.IGNORECASE,
)


def read_pdf(data: bytes, path: Path) -> ReadText:
    """Read a PDF; one that only its owner's password restricts is read, as viewers do.

    Raises:
        CorpusError: the file is damaged, needs a password, has too many pages, or is no PDF.
    """
    with _ONE_AT_A_TIME():
        return _read(data, path)


def _read(data: bytes, path: Path) -> ReadText:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as cause:
        if getattr(cause, "err_code", None) == _PASSWORD:
            raise CorpusError("needs a password: decrypt it, or leave it out", path) from cause
        found = _SAID.search(str(cause))
        what = found[1].lower() if found else str(cause)
        raise CorpusError(f"cannot be read as PDF ({what}): repair it, or leave it out", path) from cause
    try:
        if len(document) > _MOST_PAGES:
            raise CorpusError(f"has {len(document):,} pages, more than {_MOST_PAGES:,}: divide it", path)
        return _text_of(document)
    finally:
        document.close()


def _text_of(document: Any) -> ReadText:
    forms = None
    if document.get_formtype():
        document.init_forms()
        forms = document.formenv
    pages, unreadable = [], 0
    for number in range(len(document)):
        found = _page(document, number, forms)
        unreadable += found is None
        pages.append(found or [])
    empty = sum(not lines for lines in pages) - unreadable
    title = _title(document, pages[0] if pages else [])
    kept, running = without_running_lines(pages)
    hyphens = Hyphens(kept)
    texts = [hyphens.text(lines) for lines in kept]
    text, starts = _joined(texts)
    notes = (
        f"{empty:,} of {len(pages):,} pages have no text: pictures?" if empty else "",
        f"{unreadable:,} of {len(pages):,} pages are damaged and were not read" if unreadable else "",
        f"left out {running:,} headers, footers and page numbers that pages repeat" if running else "",
    )
    return ReadText(title, text, "plain", tuple(starts), notes=tuple(filter(None, notes)))


def _joined(pages: Sequence[str]) -> tuple[str, list[int]]:
    """Join pages, with the offset at which each begins; a sentence that goes on on the next page is not set apart."""
    parts: list[str] = []
    starts, position = [], 0
    for number, page in enumerate(pages):
        following = pages[number + 1] if number + 1 < len(pages) else ""
        goes_on = bool(page) and not ends_sentence(page) and following[:1].islower()
        starts.append(position)
        parts.append(page if number + 1 == len(pages) else page + ("\n" if goes_on else "\n\n"))
        position += len(parts[-1])
    return "".join(parts), starts


def _page(document: Any, number: int, forms: Any) -> list[Line] | None:
    """Return the lines of a page; None for one that is damaged, so that the others are read."""
    import pypdfium2

    try:
        page = document[number]
        try:
            return page_lines(page, forms)
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return None


def _title(document: Any, first_page: Sequence[Line]) -> str:
    """Return the title that the file names, else the lines of the largest letters at the top of its first page."""
    named = " ".join(str(document.get_metadata_value("Title")).replace("\0", "").split())
    if named and len(named) <= _LONGEST_TITLE and not _NO_TITLE.match(named):
        return named
    sizes = [line.size for line in first_page if line.size]
    if len(sizes) < 2:
        return ""
    largest = max(sizes)
    if largest < 1.15 * median(sizes):
        return ""
    found: list[str] = []
    for line in first_page:
        if line.size >= 0.95 * largest:
            found.append(line.text)
        elif found:
            break
    title = " ".join(found)
    return title if len(title) <= _LONGEST_TITLE and re.search(r"[^\W\d_]", title) else ""

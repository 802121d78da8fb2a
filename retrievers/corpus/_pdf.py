"""PDF files, read by pdfium: the text of every page, form values, and the title."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from ...errors import CorpusError
from ._read_text import ReadText

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_ONE_AT_A_TIME = Lock()
"""pdfium may be called by one thread only."""

_MOST_PAGES = 50_000
_PASSWORD = 4
"""FPDF_ERR_PASSWORD of fpdfview.h."""

PAGE_BREAK = "\n\n"


def read_pdf(data: bytes, path: Path) -> ReadText:
    """Read a PDF; one that only its owner's password restricts is read, as viewers do.

    Raises:
        CorpusError: the file is damaged, needs a password, or is no PDF.
    """
    with _ONE_AT_A_TIME:
        return _read(data, path)


def _read(data: bytes, path: Path) -> ReadText:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as cause:
        if getattr(cause, "err_code", None) == _PASSWORD:
            raise CorpusError("needs a password: decrypt it, or leave it out", path) from cause
        raise CorpusError(f"cannot be read as PDF ({cause}): repair it, or leave it out", path) from cause
    try:
        return _text_of(document)
    finally:
        document.close()


def _text_of(document: PdfDocument) -> ReadText:
    pages = [_page(document, number) for number in range(min(len(document), _MOST_PAGES))]
    starts, position = [], 0
    for page in pages:
        starts.append(position)
        position += len(page) + len(PAGE_BREAK)
    return ReadText("", PAGE_BREAK.join(pages), "plain", tuple(starts))


def _page(document: PdfDocument, number: int) -> str:
    page = document[number]
    return str(page.get_textpage().get_text_range())

"""PDF to plain text through pypdf, an optional dependency."""

from __future__ import annotations

from pathlib import Path

from ...errors import CorpusError, MissingExtraError


def pdf_pages(path: Path) -> list[str]:
    """Return the text of every page of a PDF, in order; a page that is a picture gives an empty string.

    Raises:
        MissingExtraError: pypdf is not installed.
        CorpusError: the file is damaged, encrypted or no PDF.
    """
    try:
        from pypdf import PdfReader
    except ImportError as cause:
        raise MissingExtraError("pypdf", "pdf", f"reading {path}") from cause
    try:
        reader = PdfReader(path)
        return [page.extract_text() for page in reader.pages]
    except OSError as cause:
        raise CorpusError(f"cannot be read ({cause.strerror}): check its permissions", path) from cause
    except Exception as cause:
        # A damaged PDF makes pypdf raise nearly anything, so the boundary is drawn around the whole reading.
        raise CorpusError(
            f"cannot be read as PDF ({type(cause).__name__}: {cause}): repair or decrypt it, or leave it out",
            path,
        ) from cause

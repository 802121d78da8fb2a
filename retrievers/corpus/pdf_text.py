"""PDF to plain text through pypdf, an optional dependency."""

from __future__ import annotations

from pathlib import Path

from ...errors import CorpusError, MissingExtraError
from .json_records import open_regular


def pdf_pages(path: Path, *, follow: bool = True) -> list[str]:
    """Return the text of every page of a PDF, in order; a page that is a picture gives an empty string.

    Args:
        path: the file.
        follow: whether the path may be a link itself.

    Raises:
        MissingExtraError: pypdf is not installed.
        CorpusError: the file is damaged, encrypted, no PDF or no regular file.
    """
    try:
        from pypdf import PdfReader
    except ImportError as cause:
        raise MissingExtraError("pypdf", "pdf", f"reading {path}") from cause
    try:
        with open_regular(path, CorpusError, follow=follow) as file:
            return [page.extract_text() for page in PdfReader(file).pages]
    except CorpusError:
        raise
    except OSError as cause:
        raise CorpusError(f"cannot be read ({cause.strerror}): check its permissions", path) from cause
    except Exception as cause:
        # A damaged PDF makes pypdf raise nearly anything, so the boundary is drawn around the whole reading.
        raise CorpusError(
            f"cannot be read as PDF ({type(cause).__name__}: {cause}): repair or decrypt it, or leave it out",
            path,
        ) from cause

"""Plain text and Markdown, whose text is that of the file."""

from __future__ import annotations

from pathlib import Path

from ..compiling._front_matter import front_matter_settings
from ..compiling._markdown import document_title
from ._encodings import decode_text
from ._read_text import ReadText


def read_plain(data: bytes, path: Path) -> ReadText:
    """Read a file of plain text.

    Raises:
        CorpusError: the bytes are no text in any encoding.
    """
    decoded = decode_text(data, path)
    notes = tuple(filter(None, (decoded.note,)))
    return ReadText("", decoded.text, "plain", first_line=1, notes=notes, encoding=decoded.encoding)


def read_markdown(data: bytes, path: Path) -> ReadText:
    """Read a file of Markdown; raises as :func:`read_plain`."""
    decoded = decode_text(data, path)
    title = document_title(decoded.text)
    settings, unread = {}, ""
    try:
        settings = front_matter_settings(decoded.text)
    except ValueError as error:
        unread = f"the front matter is text alone, no metadata: {error}"
    notes = tuple(filter(None, (decoded.note, unread)))
    encoding = decoded.encoding
    return ReadText(title, decoded.text, first_line=1, notes=notes, encoding=encoding, metadata=settings)

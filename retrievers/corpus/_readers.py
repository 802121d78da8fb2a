"""Which reader reads a file, by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ._html import read_html
from ._pdf import read_pdf
from ._plain import read_markdown, read_plain
from ._read_text import ReadText

Reader = Callable[[bytes, Path], ReadText]
"""Makes text of a file's bytes; its path is for errors and for its suffix. Raises CorpusError for a damaged file."""

READERS: Mapping[str, Reader] = {
    ".txt": read_plain,
    ".text": read_plain,
    ".log": read_plain,
    ".md": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".pdf": read_pdf,
}
"""By suffix in lower case."""

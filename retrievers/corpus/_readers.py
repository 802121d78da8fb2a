"""Which reader reads a file, by its suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ._csv_table import read_csv
from ._epub import read_epub
from ._html import HTML_SUFFIXES, read_html
from ._mail import read_mail
from ._notebook import read_notebook
from ._open_document import read_open_document
from ._pdf import read_pdf
from ._plain import read_markdown, read_plain
from ._read_text import ReadText
from ._rst import read_rst
from ._sheets import read_sheets
from ._slides import read_slides
from ._source_code import CODE_SUFFIXES, PLAIN_SUFFIXES, read_code
from ._word import read_word

Reader = Callable[[bytes, Path], ReadText]
"""Makes text of a file's bytes; its path is for errors and for its suffix. Raises CorpusError for a damaged file."""

_BY_READER: Mapping[Reader, tuple[str, ...]] = {
    read_plain: (".txt", ".text", ".log", *PLAIN_SUFFIXES),
    read_markdown: (".md", ".markdown", ".mdx", ".mkd", ".mdown", ".qmd", ".rmd"),
    read_html: HTML_SUFFIXES,
    read_rst: (".rst", ".rest"),
    read_pdf: (".pdf",),
    read_word: (".docx", ".docm", ".dotx"),
    read_slides: (".pptx", ".pptm", ".ppsx"),
    read_sheets: (".xlsx", ".xlsm"),
    read_open_document: (".odt", ".ods", ".odp"),
    read_csv: (".csv", ".tsv", ".tab"),
    read_notebook: (".ipynb",),
    read_mail: (".eml",),
    read_epub: (".epub",),
    read_code: CODE_SUFFIXES,
}

READERS: Mapping[str, Reader] = {suffix: reader for reader, suffixes in _BY_READER.items() for suffix in suffixes}
"""By suffix in lower case."""

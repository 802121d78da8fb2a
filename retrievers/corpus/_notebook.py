"""Jupyter notebooks: their prose as it is, code and its output in fences."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ...errors import CorpusError
from ..compiling._markdown import document_title
from ._encodings import decode_text
from ._html import html_to_text
from ._markdown_marks import as_fence
from ._read_text import ReadText

_COLOUR = re.compile("\x1b\\[[0-9;]*[A-Za-z]")


def read_notebook(data: bytes, path: Path) -> ReadText:
    """Read a notebook of nbformat 3 or 4.

    Source: https://nbformat.readthedocs.io/en/latest/format_description.html.

    Raises:
        CorpusError: it is no notebook.
    """
    decoded = decode_text(data, path)
    try:
        notebook = json.loads(decoded.text)
    except (ValueError, RecursionError) as cause:
        raise CorpusError(f"is no notebook ({cause}): save it again, or leave it out", path) from cause
    if not isinstance(notebook, dict):
        raise CorpusError("is no notebook: it is no JSON object", path)
    metadata = notebook.get("metadata")
    language = _language(metadata) if isinstance(metadata, dict) else ""
    blocks: list[str] = []
    for cell in _cells(notebook, path):
        blocks += _cell(cell, language)
    text = "\n\n".join(filter(str.strip, blocks))
    title = metadata.get("title") if isinstance(metadata, dict) else None
    return ReadText(title if isinstance(title, str) else document_title(text), text, encoding=decoded.encoding)


def _cells(notebook: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):
        sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or []]
    if not isinstance(cells, list):
        raise CorpusError("is no notebook: it has no cells", path)
    return [cell for cell in cells if isinstance(cell, dict)]


def _language(metadata: dict[str, Any]) -> str:
    for name, key in (("language_info", "name"), ("kernelspec", "language")):
        found = metadata.get(name)
        if isinstance(found, dict) and re.fullmatch(r"[\w+#.-]{1,20}", str(found.get(key) or "")):
            return str(found[key])
    return ""


def _cell(cell: dict[str, Any], language: str) -> list[str]:
    source = _text(cell.get("source", cell.get("input")))
    if cell.get("cell_type") != "code":
        level = cell.get("level")
        if cell.get("cell_type") == "heading" and isinstance(level, int):
            return ["#" * min(max(level, 1), 6) + " " + source]
        return [source.strip("\n")]
    outputs = cell.get("outputs")
    blocks = [as_fence(source.strip("\n"), language)] if source.strip() else []
    return blocks + [_output(one) for one in (outputs if isinstance(outputs, list) else []) if isinstance(one, dict)]


def _output(output: dict[str, Any]) -> str:
    """Return what a cell printed: plain text if it has some, else what its HTML says; pictures say nothing."""
    data = output.get("data")
    data = data if isinstance(data, dict) else {}
    plain = output.get("text") or data.get("text/plain") or output.get("traceback")
    if (html := _text(data.get("text/html"))) and "<table" in html:
        return html_to_text(html).text
    if markdown := _text(data.get("text/markdown")):
        return markdown
    text = _text(plain, "\n" if plain is output.get("traceback") else "")
    text = _COLOUR.sub("", text).strip("\n")
    if not text.strip():
        return html_to_text(html).text if html else ""
    return as_fence(text)


def _text(value: Any, between: str = "") -> str:
    """Return a text that may be stored as a list of its lines."""
    if isinstance(value, list):
        return between.join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""

"""Excel workbooks (.xlsx): each sheet is a heading and a table, dates and numbers as they are shown."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from ...errors import MissingExtraError
from ._archive import Archive, read_office_file
from ._csv_table import table_text
from ._markdown_marks import as_heading
from ._read_text import ReadText

_FORMULA = re.compile(rb"<f[ >/]")
_DECIMALS = re.compile(r"0(?:\.(0+))?")
_LITERAL = re.compile(r"\[\$([^\]-]*)[^\]]*\]|\"([^\"]*)\"|([$€£¥])")
_BRACKETS = re.compile(r"\[[^\]]*\]")


def read_sheets(data: bytes, path: Path) -> ReadText:
    """Read a workbook; a formula is what it came to when it was saved, and itself where it was never counted.

    Raises:
        CorpusError: it is damaged or encrypted.
        MissingExtraError: openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError as cause:
        raise MissingExtraError("openpyxl", "office", f"reading {path}") from cause
    archive = Archive(data, path)
    sheets = (name for name in archive.names if name.startswith("xl/worksheets/"))
    has_formulas = any(_FORMULA.search(archive.read(name)) for name in sheets)

    def read(file: BytesIO) -> ReadText:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        if not book.sheetnames:
            raise ValueError("it has no sheets")
        formulas = openpyxl.load_workbook(BytesIO(data), read_only=True) if has_formulas else None
        title = " ".join(str(book.properties.title or "").split())
        return ReadText(title, "\n\n".join(_sheets(book, formulas)))

    return read_office_file(data, path, read)


def _sheets(book: Any, formulas: Any) -> Iterator[str]:
    for sheet in book.worksheets:
        written = _rows(formulas[sheet.title]) if formulas is not None else None
        rows = []
        for cells in _rows(sheet):
            beside = next(written, ()) if written is not None else ()
            row = [_shown(cell) for cell in cells]
            for column, cell in enumerate(beside):
                if column < len(row) and not row[column] and cell.value is not None:
                    row[column] = _shown(cell)
            if any(row):
                rows.append(row)
        if rows:
            yield as_heading(sheet.title, 1)
            yield table_text(rows)


def _rows(sheet: Any) -> Iterator[Any]:
    # What a sheet says of its own size may be wrong, and millions of cells.
    sheet.reset_dimensions()
    return iter(sheet.iter_rows())


def _shown(cell: Any) -> str:
    """Return a value about as the sheet shows it; dates as year, month and day."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "seconds")
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        return str(value)
    if isinstance(value, (int, float)):
        return _number(value, str(getattr(cell, "number_format", None) or "General"))
    # An array formula is an object that has its text.
    return " ".join(str(getattr(value, "text", value)).split())


def _number(value: float, form: str) -> str:
    """Return a number with the decimals, thousands, per cent and currency that its format gives it."""
    part = form.split(";")[0]
    marks = "".join("".join(filter(None, found)) for found in _LITERAL.findall(part))
    bare = _BRACKETS.sub("", _LITERAL.sub("", part))
    digits = _DECIMALS.search(bare)
    if digits is None or "E" in bare or "?" in bare or "General" in bare:
        return _plain(value)
    decimals = len(digits[1] or "")
    percent = "%" in bare
    number = f"{value * 100 if percent else value:{',' if ',' in bare else ''}.{decimals}f}"
    zeros = re.match(r"[^0#]*(0+)", bare.replace("#", "").replace(",", ""))
    if zeros is not None and "," not in bare and len(zeros[1]) > 1 and value >= 0:
        whole, point, rest = number.partition(".")
        number = whole.zfill(len(zeros[1])) + point + rest
    number += "%" if percent else ""
    if not marks:
        return number
    before = part.find(marks[0]) < part.find(digits[0])
    return f"{marks}{number}" if before else f"{number}{marks if marks[0].isspace() else ' ' + marks}"


def _plain(value: float) -> str:
    if isinstance(value, int) or not value.is_integer() or abs(value) >= 1e15:
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return str(int(value))

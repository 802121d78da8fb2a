"""Tables of values separated by a character (CSV, TSV), as a table of Markdown."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

from ...errors import CorpusError
from ._encodings import decode_text
from ._markdown_marks import as_lines, as_table
from ._read_text import ReadText

_SEPARATORS = ",;\t|"
_SAMPLE = 1 << 16
_LONGEST_FIELD = 1 << 30


def read_csv(data: bytes, path: Path) -> ReadText:
    """Read a table of values; its first row names the columns.

    Raises:
        CorpusError: the bytes are no text in any encoding, or no table.
    """
    decoded = decode_text(data, path)
    text = decoded.text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    separator = "\t" if path.suffix.lower() in (".tsv", ".tab") else None
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        separator, text = first.strip()[4], rest
    rows = _rows(text, separator or separator_of(text), path)
    notes = tuple(filter(None, (decoded.note,)))
    return ReadText("", table_text(rows), notes=notes, encoding=decoded.encoding)


def separator_of(text: str) -> str:
    """Return the character that stands equally often in the first lines, and most often."""
    sample = text[:_SAMPLE]
    lines = [line for line in sample.split("\n")[:50] if line.strip()]
    if len(sample) < len(text) and len(lines) > 1:
        lines.pop()
    best, most = ",", (0.0, 0.0)
    for separator in _SEPARATORS:
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if row)
        if not counts:
            continue
        width, times = max(counts.items(), key=lambda one: (one[0] > 1, one[1], one[0]))
        score = (times / counts.total() if width > 1 else 0.0, float(width))
        if score > most:
            best, most = separator, score
    return best


def _rows(text: str, separator: str, path: Path) -> list[list[str]]:
    limit = csv.field_size_limit(_LONGEST_FIELD)
    try:
        return list(csv.reader(StringIO(text, newline="\n"), delimiter=separator))
    except csv.Error as cause:
        raise CorpusError(f"cannot be read as a table ({cause}): repair it, or name it .txt", path) from cause
    finally:
        csv.field_size_limit(limit)


def table_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as a table under their first; lines of one cell above it are text, and empty ones are dropped."""
    full = [list(row) for row in rows if any(cell.strip() for cell in row)]
    for row in full:
        while not row[-1].strip():
            row.pop()
    if max(map(len, full), default=0) < 2:
        return as_lines("\n".join(" ".join(row[0].split()) for row in full))
    top = next(number for number, row in enumerate(full) if len(row) > 1)
    above = [as_lines(" ".join(row[0].split())) for row in full[:top]]
    return "\n\n".join([*above, as_table(full[top:], header=True)])

"""Text of other formats written as Markdown: what happens to look like a mark is no mark."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A heading, a quote, HTML that reaches beyond its paragraph, lines under a heading or a table, rules, fences.
_LOOKS_LIKE_A_MARK = re.compile(
    r"#{1,6}(?:\s|$)|>|<(?:script|pre|style|textarea|!|\?)|=++\s*+$|(?=[^-]*-)[|:\s-]++$|(?:[-*_]\s*+){3,}+$"
    r"|`{3,}[^`]*$|~{3,}|\+\+\+\s*+$",
    re.IGNORECASE,
)
_CLOSING_MARK = re.compile(r"(^|\s)(#+\s*)$")
_EMPHASIS = re.compile(r"(?<!\w)_++\w|[^\W_]_++(?!\w)")
_TAG = re.compile(r"<(?=/?[a-z][\w-]*(?:\s[^<>]*)?/?>|[a-z][\w+.-]*:[^\s<>]*>|!--|\?)", re.IGNORECASE)
_TICKS = re.compile("`+")


def as_lines(text: str) -> str:
    """Return text of a paragraph, whose lines are stripped, such that no line is a heading, a rule or a fence.

    A line that begins like a mark gets a backslash before it, which Markdown does not show.
    """
    return "\n".join("\\" + line if _LOOKS_LIKE_A_MARK.match(line) else line for line in text.split("\n"))


def as_heading(text: str, level: int) -> str:
    """Return a heading whose words stay as they are: such as ``__init__`` stand as code, and ``<T>`` is no HTML."""
    words = []
    for word in _outside_code(text):
        if "`" not in word:
            word = f"`{word}`" if _EMPHASIS.search(word) else _TAG.sub(r"\\<", word)
        words.append(word)
    line = _CLOSING_MARK.sub(r"\1\\\2", " ".join(words))
    return f"{'#' * min(max(level, 1), 6)} {line}"


def _outside_code(text: str) -> list[str]:
    """Return the words of a line; code with spaces in it is one."""
    words: list[str] = []
    inside = False
    for word in text.split():
        if inside:
            words[-1] += " " + word
        else:
            words.append(word)
        inside ^= len(_TICKS.findall(word)) % 2 == 1
    return words


def as_code(text: str) -> str:
    """Return text as code within a line."""
    longest = max(map(len, _TICKS.findall(text)), default=0)
    ticks = "`" * (longest + 1 if longest else 1)
    space = " " if longest else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def as_fence(text: str, language: str = "") -> str:
    """Return lines of code in a fence that none of them closes."""
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def as_table(rows: Sequence[Sequence[str]], *, header: bool) -> str:
    """Return rows of cells as a table; without a ``header`` the cells over the columns are empty.

    Rows may be of different lengths; missing cells stay missing, as the format allows.
    """
    width = max(map(len, rows), default=0)
    first = list(rows[0]) if header else []
    first += [""] * (width - len(first))
    lines = [_row(first), "|" + "---|" * width]
    lines += map(_row, rows[1:] if header else rows)
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"

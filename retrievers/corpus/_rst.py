"""reStructuredText: its headings become those of Markdown, line for line; the rest stays as it is written."""

from __future__ import annotations

import re
from pathlib import Path

from ._encodings import decode_text
from ._markdown_marks import as_heading, as_lines
from ._read_text import ReadText

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1*\s*$")
_BLOCK = re.compile(r"(?:.*::|\.\.\s.*)\s*$")
_CODE_DIRECTIVE = re.compile(r"\.\.\s+(?:code|code-block|sourcecode|parsed-literal|highlight)::")
_ROLE = re.compile(r":[\w:.+-]+:(?=`)")


def read_rst(data: bytes, path: Path) -> ReadText:
    """Read a file of reStructuredText.

    Raises:
        CorpusError: the bytes are no text in any encoding.
    """
    decoded = decode_text(data, path)
    title, text = rst_to_markdown(decoded.text)
    notes = tuple(filter(None, (decoded.note,)))
    return ReadText(title, text, first_line=1, notes=notes, encoding=decoded.encoding)


def rst_to_markdown(text: str) -> tuple[str, str]:
    """Return the title and the text with as many lines: lines under and over a title are empty, blocks are indented.

    The level of a heading follows from the order in which the file first uses its marks, as docutils has it.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    result: list[str] = []
    styles: list[str] = []
    title = ""
    number = 0
    while number < len(lines):
        size = _indented_block(lines, number)
        if size:
            result.append(as_lines(lines[number]))
            result += _as_code(lines[number + 1 : number + size])
            number += size
            continue
        found = _heading(lines, number)
        if found is None:
            result.append(_line(lines[number]))
            number += 1
            continue
        style, words, size = found
        if style not in styles:
            styles.append(style)
        title = title or words
        result += (
            ["", as_heading(words, styles.index(style) + 1), ""]
            if size == 3
            else [
                as_heading(words, styles.index(style) + 1),
                "",
            ]
        )
        number += size
    return title, "\n".join(result)


def _as_code(lines: list[str]) -> list[str]:
    """Return lines as far in as Markdown has code."""
    least = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
    margin = " " * max(0, 4 - least)
    return [margin + line if line.strip() else "" for line in lines]


def _heading(lines: list[str], number: int) -> tuple[str, str, int] | None:
    """Return the marks, the words and the number of lines of a heading that begins on a line."""
    line = lines[number]
    rule = _RULE.match(line)
    if rule is not None:
        if number + 2 >= len(lines) or not lines[number + 1].strip():
            return None
        under = _RULE.match(lines[number + 2])
        words = lines[number + 1].strip()
        if under is None or under[1] != rule[1] or len(line.rstrip()) < max(2, min(4, len(words))):
            return None
        return 2 * rule[1], words, 3
    if not line.strip() or line[0].isspace() or number + 1 >= len(lines):
        return None
    under = _RULE.match(lines[number + 1])
    if under is None or len(lines[number + 1].rstrip()) < min(4, len(line.rstrip())):
        return None
    if number and lines[number - 1].strip() and not _RULE.match(lines[number - 1]):
        return None
    return under[1], line.strip(), 2


def _indented_block(lines: list[str], number: int) -> int:
    """Return how many lines a literal block or directive has with its indented content, 0 where none begins.

    Content without code (a note, a warning) is none: it is prose, and stays as it is.
    """
    line = lines[number]
    if not _BLOCK.match(line) or not (line.rstrip().endswith("::") or ":: " in line):
        return 0
    if line.startswith("..") and not _CODE_DIRECTIVE.match(line):
        return 0
    own = len(line) - len(line.lstrip())
    end = number + 1
    last = end
    while end < len(lines):
        current = lines[end]
        if current.strip():
            if len(current) - len(current.lstrip()) <= own:
                break
            last = end + 1
        end += 1
    return last - number if last > number + 1 else 0


def _line(line: str) -> str:
    stripped = line.lstrip()
    indent = line[: len(line) - len(stripped)]
    return indent + as_lines(_ROLE.sub("", stripped))

"""OpenDocument texts, tables and slides (.odt, .ods, .odp)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from ...errors import CorpusError
from ._archive import Archive, attribute, local_name
from ._csv_table import table_text
from ._markdown_marks import as_heading, as_lines
from ._read_text import ReadText

_MOST_REPEATED = 50
_DEEPEST_LIST = 8
_NOT_SAID = frozenset({"tracked-changes", "annotation", "annotation-end", "sequence-decls", "forms", "settings"})


def read_open_document(data: bytes, path: Path) -> ReadText:
    """Read a text, a table or slides; each slide is a page.

    Source: https://docs.oasis-open.org/office/OpenDocument/v1.3/.

    Raises:
        CorpusError: it is damaged or encrypted.
    """
    archive = Archive(data, path)
    content = archive.xml("content.xml")
    body = next((one for one in content.iter() if local_name(one) == "body"), None)
    if body is None:
        raise CorpusError("content.xml in it has no body: save it again, or leave it out", path)
    writer = _Writer()
    writer.write(body)
    title = ""
    if "meta.xml" in archive.names:
        title = next((one.text or "" for one in archive.xml("meta.xml").iter() if local_name(one) == "title"), "")
    text, starts = writer.joined()
    return ReadText(title or writer.title, text, page_starts=starts)


class _Writer:
    """Walks the elements of a document and gathers blocks of Markdown."""

    def __init__(self) -> None:
        self.title = ""
        self._blocks: list[str] = []
        self._pages: list[int] = []
        self._notes: list[str] = []

    def joined(self) -> tuple[str, tuple[int, ...]]:
        """Return the text, and where its pages begin."""
        starts, position, parts = [], 0, []
        for number, block in enumerate([*self._blocks, *self._notes]):
            starts += [position] * self._pages.count(number)
            parts.append(block)
            position += len(block) + 2
        return "\n\n".join(parts), tuple(starts)

    def write(self, element: Element, depth: int = 0, number: str = "") -> None:
        """Write what an element says; ``depth`` is that of the list it is in."""
        for child in element:
            name = local_name(child)
            if name in _NOT_SAID:
                continue
            if name == "h":
                level = attribute(child, "outline-level") or "1"
                text = self._text(child)
                self.title = self.title or text
                if text:
                    self._blocks.append(as_heading(text, int(level) if level.isdecimal() else 1))
            elif name == "p":
                self._paragraph(child, depth)
            elif name == "list":
                self.write(child, min(depth + 1, _DEEPEST_LIST))
            elif name == "table":
                if self._is_sheet(element):
                    self._blocks.append(as_heading(attribute(child, "name") or "Table", 1))
                if table := table_text(self._rows(child)):
                    self._blocks.append(table)
            elif name == "page":
                self._pages.append(len(self._blocks))
                self.write(child, depth)
            else:
                self.write(child, depth)

    def _is_sheet(self, parent: Element) -> bool:
        return local_name(parent) == "spreadsheet"

    def _paragraph(self, element: Element, depth: int) -> None:
        lines = [" ".join(line.split()) for line in self._text(element, "\n").split("\n")]
        text = as_lines("\n".join(filter(None, lines)))
        if not text:
            return
        if not depth:
            self._blocks.append(text)
            return
        item = "  " * (depth - 1) + "- " + text.replace("\n", "\n" + "  " * depth)
        if self._blocks and self._blocks[-1].lstrip(" ").startswith("- "):
            self._blocks[-1] += "\n" + item
        else:
            self._blocks.append(item.lstrip(" "))

    def _text(self, element: Element, line_break: str = " ") -> str:
        text = "".join(self._parts(element, line_break))
        return text if line_break == "\n" else " ".join(text.split())

    def _parts(self, element: Element, line_break: str) -> Iterator[str]:
        yield (element.text or "").replace("\n", " ")
        for child in element:
            name = local_name(child)
            if name == "s":
                yield " "
            elif name == "tab":
                yield "\t"
            elif name == "line-break":
                yield line_break
            elif name == "note":
                cited = next((self._text(one) for one in child if local_name(one) == "note-citation"), "")
                body = " ".join(self._text(one) for one in child if local_name(one) == "note-body")
                self._notes.append(f"[{cited}] {body}")
                yield f" [{cited}]"
            elif name not in _NOT_SAID:
                yield from self._parts(child, line_break)
                if name == "p":
                    yield line_break
            yield (child.tail or "").replace("\n", " ")

    def _rows(self, table: Element) -> Iterator[list[str]]:
        """Yield the rows of a table; a row or cell that stands for many like it is repeated, if it says something."""
        for element in table:
            name = local_name(element)
            if name == "table-row":
                row = self._row(element)
                times = _number(element, "number-rows-repeated") if any(row) else 1
                yield from [row] * min(times, _MOST_REPEATED)
            elif name.startswith("table-") and name not in ("table-column", "table-columns"):
                yield from self._rows(element)

    def _row(self, element: Element) -> list[str]:
        row: list[str] = []
        for cell in element:
            if local_name(cell) not in ("table-cell", "covered-table-cell"):
                continue
            text = self._text(cell)
            row += [text] * min(_number(cell, "number-columns-repeated"), _MOST_REPEATED if text else 1000)
        return row


def _number(element: Element, name: str) -> int:
    value = attribute(element, name) or "1"
    return int(value) if value.isdecimal() and len(value) < 9 else 1

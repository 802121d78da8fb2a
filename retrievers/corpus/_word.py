"""Word documents (.docx): headings by style, lists, tables, footnotes and text boxes; page headers are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MissingExtraError
from ._archive import attribute, local_name, read_office_file
from ._csv_table import table_text
from ._markdown_marks import as_heading, as_lines, as_table
from ._read_text import ReadText

if TYPE_CHECKING:
    from docx.document import Document

_DEEPEST_LIST = 8
_NOT_SAID = frozenset(
    {
        *("del", "moveFrom", "delText", "instrText", "fldData", "Fallback", "pPr", "rPr", "tblPr", "tblGrid", "trPr"),
        *("tcPr", "sectPr", "sdtPr", "sdtEndPr", "drawing", "pict", "bookmarkStart", "bookmarkEnd"),
    }
)
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def read_word(data: bytes, path: Path) -> ReadText:
    """Read a Word document.

    Raises:
        CorpusError: it is damaged or encrypted.
        MissingExtraError: python-docx is not installed.
    """
    try:
        import docx
    except ImportError as cause:
        raise MissingExtraError("python-docx", "office", f"reading {path}") from cause
    return read_office_file(data, path, lambda file: _text_of(docx.Document(file)))


def _text_of(document: Document) -> ReadText:
    writer = _Writer(document)
    writer.write(document.element.body)
    blocks = writer.blocks + writer.notes()
    comments = sum(local_name(one) == "comment" for one in _part(document, "comments"))
    left_out = (("comments in documents", comments),) if comments else ()
    title = " ".join((document.core_properties.title or "").split())
    return ReadText(title or writer.title, "\n\n".join(blocks), left_out=left_out)


def _part(document: Document, name: str) -> Iterator[Any]:
    """Yield the elements of another part of the document, such as its footnotes."""
    from docx.oxml import parse_xml

    for relation in document.part.rels.values():
        if relation.reltype.endswith(f"/{name}") and not relation.is_external:
            yield from parse_xml(relation.target_part.blob)


class _Writer:
    """Walks the elements of a document and gathers blocks of Markdown."""

    def __init__(self, document: Document) -> None:
        self.blocks: list[str] = []
        self.title = ""
        self._document = document
        self._levels = dict(_heading_levels(document))
        self._bullets = _bullets(document)
        self._counts: Counter[tuple[str, int]] = Counter()
        self._in_list = False

    def notes(self) -> list[str]:
        """Return the footnotes and endnotes, each with its number in brackets."""
        found = []
        for kind in ("footnotes", "endnotes"):
            for note in _part(self._document, kind):
                text = " ".join("".join(_said(note)).split())
                if text and attribute(note, "type") in (None, "normal"):
                    found.append(f"[{attribute(note, 'id')}] {text}")
        return found

    def write(self, element: Any) -> None:
        """Write what an element says."""
        for child in element:
            name = local_name(child)
            if name == "p":
                self._paragraph(child)
            elif name == "tbl":
                self._in_list = False
                if table := _table(child):
                    self.blocks.append(table)
            elif name not in _NOT_SAID:
                self.write(child)

    def _paragraph(self, element: Any) -> None:
        properties = _child(element, "pPr")
        lines = [" ".join(line.split()) for line in "".join(_said(element)).split("\n")]
        text = "\n".join(filter(None, lines))
        if text:
            level = self._level(properties)
            item = self._item_mark(properties) if level is None else None
            if level is not None:
                words = text.replace("\n", " ")
                self.title = self.title or words
                self.blocks.append(as_heading(words, max(level, 1)))
            elif item is not None:
                indent, mark = item
                line = indent + mark + as_lines(text).replace("\n", "\n" + indent + " " * len(mark))
                if self._in_list:
                    self.blocks[-1] += "\n" + line
                else:
                    self.blocks.append(line.lstrip(" "))
            else:
                self.blocks.append(as_lines(text))
            self._in_list = item is not None
        for box in element.iter():
            if local_name(box) == "txbxContent" and not _in_fallback(box):
                self._in_list = False
                self.write(box)

    def _level(self, properties: Any) -> int | None:
        """Return the level of a heading, 0 for the title, None for text."""
        outline = _value(properties, "outlineLvl")
        if outline is not None and outline.isdecimal() and int(outline) < 9:
            return int(outline) + 1
        return self._levels.get(_value(properties, "pStyle") or "")

    def _item_mark(self, properties: Any) -> tuple[str, str] | None:
        """Return how far in a list item stands, and its mark; None for what is no item."""
        numbering = _child(properties, "numPr") if properties is not None else None
        style = _value(properties, "pStyle") or ""
        if numbering is None:
            kind = next((kind for kind in ("ListBullet", "ListNumber") if style.startswith(kind)), None)
            if kind is None:
                return None
            number, depth = kind, int(style[len(kind) :] or "1") - 1 if style[len(kind) :].isdecimal() else 0
            bullet = kind == "ListBullet"
        else:
            number, depth = _value(numbering, "numId") or "0", int(_value(numbering, "ilvl") or "0")
            if number == "0":
                return None
            bullet = (number, depth) in self._bullets
        for deeper in range(depth + 1, depth + 10):
            self._counts.pop((number, deeper), None)
        self._counts[number, depth] += 1
        indent = "   " * min(depth, _DEEPEST_LIST)
        return indent, "- " if bullet else f"{self._counts[number, depth]}. "


def _heading_levels(document: Document) -> Iterator[tuple[str, int]]:
    """Yield the styles that are headings with their level; that of the title is 0."""
    for style in document.styles:
        name = (style.name or "").lower()
        outline = _value(_child(style.element, "pPr"), "outlineLvl")
        if name == "title":
            yield style.style_id, 0
        elif name.startswith("heading ") and name[8:].isdecimal():
            yield style.style_id, int(name[8:])
        elif outline is not None and outline.isdecimal() and int(outline) < 9:
            yield style.style_id, int(outline) + 1


def _bullets(document: Document) -> frozenset[tuple[str, int]]:
    """Return which levels of which numberings have bullets."""
    abstract: dict[str, set[int]] = {}
    found: set[tuple[str, int]] = set()
    for element in _part(document, "numbering"):
        if local_name(element) == "abstractNum":
            abstract[attribute(element, "abstractNumId") or ""] = {
                int(attribute(level, "ilvl") or "0")
                for level in element
                if local_name(level) == "lvl" and _value(level, "numFmt") in ("bullet", "none")
            }
        elif local_name(element) == "num":
            levels = abstract.get(_value(element, "abstractNumId") or "", set())
            found |= {(attribute(element, "numId") or "", level) for level in levels}
    return frozenset(found)


def _child(element: Any, name: str) -> Any:
    if element is None:
        return None
    return next((child for child in element if local_name(child) == name), None)


def _value(element: Any, name: str) -> str | None:
    child = _child(element, name)
    return None if child is None else attribute(child, "val")


def _in_fallback(element: Any) -> bool:
    return any(local_name(parent) in ("Fallback", "txbxContent") for parent in element.iterancestors())


def _said(element: Any) -> Iterator[str]:
    """Yield the text of a paragraph with what was inserted and without what was deleted."""
    for child in element:
        name = local_name(child)
        if name == "t":
            yield child.text or ""
        elif name in _CHARACTERS:
            yield _CHARACTERS[name]
        elif name in ("footnoteReference", "endnoteReference"):
            yield f" [{attribute(child, 'id')}]"
        elif name == "drawing":
            described = (attribute(one, "descr") for one in child.iter() if local_name(one) == "docPr")
            yield " ".join(filter(None, described))
        elif name not in _NOT_SAID and name != "txbxContent":
            yield from _said(child)
            if name == "p":
                yield "\n"


def _table(element: Any) -> str:
    """Return a table; its first row names the columns if the document says so."""
    rows: list[list[str]] = []
    for row in (one for one in element.iter() if local_name(one) == "tr" and _nearest(one, "tbl") is element):
        cells: list[str] = []
        for cell in (one for one in row.iter() if local_name(one) == "tc" and _nearest(one, "tr") is row):
            properties = _child(cell, "tcPr")
            merge = _child(properties, "vMerge")
            text = " ".join("".join(_said(cell)).split())
            if merge is not None and attribute(merge, "val") != "restart" and rows and len(rows[-1]) > len(cells):
                text = rows[-1][len(cells)]
            span = _value(properties, "gridSpan") or "1"
            cells += [text, *[""] * (min(int(span), 100) - 1 if span.isdecimal() else 0)]
        if any(cells):
            rows.append(cells)
    if len(rows) > 1 and max(map(len, rows)) > 1 and not _names_columns(element):
        return as_table(rows, header=False)
    return table_text(rows)


def _names_columns(element: Any) -> bool:
    look = _child(_child(element, "tblPr"), "tblLook")
    if any(local_name(one) == "tblHeader" for one in element.iter()):
        return True
    if look is None:
        return False
    first = attribute(look, "firstRow")
    return first in ("1", "true", "on") if first is not None else bool(int(attribute(look, "val") or "0", 16) & 0x20)


def _nearest(element: Any, name: str) -> Any:
    return next((parent for parent in element.iterancestors() if local_name(parent) == name), None)

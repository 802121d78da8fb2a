"""The text of an HTML page as blocks of Markdown: headings, paragraphs, list items, code and tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ._html_source import CODE, LINK
from ._html_tables import table_of_data
from ._html_tree import Node, Tree
from ._markdown_marks import as_code, as_fence, as_heading, as_lines

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir"),
        *("div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "html"),
        *("legend", "li", "main", "menu", "nav", "ol", "optgroup", "option", "p", "pre", "search", "section", "select"),
        *("summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    }
)
_SPACE = re.compile(r"[ \t\n\r\f\v\xa0\u2028\u2029\x1c-\x1f\x85]+")
_NUMBERS = re.compile(r"[\s\d]*")
_LINE_NUMBERS = re.compile(r"\b(?:linenos?|line-?numbers?|gutter|lineno)\b", re.IGNORECASE)
_LANGUAGE = re.compile(r"\b(?:language|lang|highlight|sourceCode)-([A-Za-z][\w+#.-]{0,20})")
_BREAK = "\0"
_DEEPEST_LIST = 8

Kind = Literal["heading", "text", "item", "term", "code", "table"]


@dataclass(frozen=True, slots=True)
class HtmlBlock:
    """A block of a page.

    Attributes:
        text: as Markdown.
        kind: what it is; a ``term`` is defined by the block after it.
        links: whether most of its characters belong to links.
        outside: whether it stands outside of the main part of a page that has one.
    """

    text: str
    kind: Kind
    links: bool = False
    outside: bool = False


def blocks_of(tree: Tree, without: frozenset[int]) -> list[HtmlBlock]:
    """Return the blocks of a page but for the nodes that are left out."""
    writer = _Writer(tree, without)
    writer.write()
    return writer.blocks


def joined(blocks: list[HtmlBlock]) -> tuple[str, list[int]]:
    """Return blocks as one text, and where each begins: apart by an empty line, but for the items of a list."""
    parts: list[str] = []
    starts: list[int] = []
    position = 0
    before: HtmlBlock | None = None
    for block in blocks:
        if before is not None:
            close = before.kind == "term" or (before.kind == block.kind == "item")
            parts.append("\n" if close else "\n\n")
            position += len(parts[-1])
        starts.append(position)
        parts.append(block.text)
        position += len(block.text)
        before = block
    return "".join(parts), starts


@dataclass(slots=True)
class _List:
    """A list that is open; ``number`` is that of the next item, None where they have none."""

    number: int | None
    mark: str = ""
    indent: int = 0


class _Writer:
    """Walks the nodes of a page once and gathers its blocks."""

    def __init__(self, tree: Tree, without: frozenset[int]) -> None:
        self.blocks: list[HtmlBlock] = []
        self._tree = tree
        self._without = without
        self._parts: list[str] = []
        self._chars = self._linked = 0
        self._link_end = 0
        self._kind: Kind = "text"
        self._level = 0
        self._lists: list[_List] = []
        self._pre = False
        self._language = ""
        self._ends: list[tuple[int, Callable[[], None]]] = []
        self._outside = bool(tree.mains)

    def write(self) -> None:
        nodes, place = self._tree.nodes, 0
        while place < len(nodes):
            while self._ends and self._ends[-1][0] <= place:
                self._ends.pop()[1]()
            node = nodes[place]
            if place in self._without:
                place = node.end
            elif not node.name:
                self._text(node.text, place)
                place += 1
            else:
                place = self._open(place, node)
        while self._ends:
            self._ends.pop()[1]()
        self._end_block()

    def _text(self, text: str, place: int) -> None:
        self._parts.append(text if self._pre else text.replace(_BREAK, ""))
        chars = len(text) - text.count(" ")
        self._chars += chars
        self._linked += chars if place < self._link_end else 0

    def _open(self, place: int, node: Node) -> int:
        """Begin what an element is, and return the place to go on at."""
        name = node.name
        if self._pre and name == "button":
            return node.end
        if self._outside and place in self._tree.mains:
            self._open_main(node)
        elif self._pre and (name in _BLOCKS or name in _HEADINGS):
            self._end_line()
            self._ends.append((node.end, self._end_line))
        elif name in ("img", "area", "math"):
            self._text(f" {node.text} " if name == "math" else node.text, place)
        elif name == "br":
            self._parts.append("\n" if self._pre else _BREAK)
        elif name == "wbr":
            pass
        elif name == CODE and not self._pre:
            self._inline_code(place, node)
        elif name == LINK:
            if "href" in node.attributes:
                self._link_end = max(self._link_end, node.end)
        elif name == "pre":
            self._open_pre(place, node)
        elif name in _HEADINGS:
            self._open_heading(node)
        elif name in ("ul", "ol", "menu", "dir"):
            self._open_list(node)
        elif name in ("li", "dt", "dd"):
            self._open_item(node)
        elif name == "table":
            return self._table(place, node)
        elif name in ("td", "th") and self._skips_cell(place, node):
            return node.end
        elif name in _BLOCKS or name == "textarea":
            self._end_block()
            self._ends.append((node.end, self._end_block))
        return place + 1

    def _inline_code(self, place: int, node: Node) -> None:
        """Write code within a line, if it has no block in it."""
        begin, block = len(self._parts), len(self.blocks)

        def close() -> None:
            text = _SPACE.sub(" ", "".join(self._parts[begin:]).replace(_BREAK, " "))
            if len(self.blocks) == block and text.strip():
                before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
                self._parts[begin:] = [before + as_code(text.strip()) + after]

        inside = (nested for at, nested in self._tree.inside(place) if at not in self._without)
        if not any(nested.name in _BLOCKS or nested.name in _HEADINGS or nested.name == CODE for nested in inside):
            self._ends.append((node.end, close))

    def _open_main(self, node: Node) -> None:
        self._end_block()
        self._outside = False

        def close() -> None:
            self._end_block()
            self._outside = True

        self._ends.append((node.end, close))

    def _open_pre(self, place: int, node: Node) -> None:
        self._end_block()
        self._pre = True
        inside = " ".join(nested.names for _, nested in list(self._tree.inside(place))[:1])
        found = _LANGUAGE.search(f"{node.names} {inside}")
        self._language = found[1] if found else ""

        def close() -> None:
            self._end_block()
            self._pre = False

        self._ends.append((node.end, close))

    def _open_heading(self, node: Node) -> None:
        self._end_block()
        outer = self._level

        def close() -> None:
            self._end_block()
            self._level = outer

        self._level = _HEADINGS[node.name]
        self._ends.append((node.end, close))

    def _open_list(self, node: Node) -> None:
        self._end_block()
        start = (node.attributes.get("start") or "1").strip()
        number = int(start) if start.isdecimal() and len(start) < 8 else 1
        self._lists.append(_List(number if node.name == "ol" else None))

        def close() -> None:
            self._end_block()
            self._lists.pop()

        self._ends.append((node.end, close))

    def _open_item(self, node: Node) -> None:
        self._end_block()
        if node.name == "dt":
            self._kind = "term"
        elif node.name == "li":
            current = self._lists[-1] if self._lists else None
            if current is not None and current.number is not None:
                value = (node.attributes.get("value") or "").strip()
                if value.isdecimal() and len(value) < 8:
                    current.number = int(value)
                current.mark = f"{current.number}. "
                current.number += 1
            elif current is not None:
                current.mark = "- "
            self._kind = "item"
        self._ends.append((node.end, self._end_block))

    def _table(self, place: int, node: Node) -> int:
        """Write a table of data and return the place after it, or go into one for layout."""
        self._end_block()
        data = table_of_data(self._tree, place, self._without)
        if data is None:
            self._ends.append((node.end, self._end_block))
            return place + 1
        caption, rows = data
        if caption:
            self._add(as_lines(caption), "text")
        tree = self._tree
        self._add(rows, "table", 2 * tree.linked(place) > tree.chars(place))
        return node.end

    def _skips_cell(self, place: int, node: Node) -> bool:
        """Take a cell of a table for layout for a block, and return whether it has nothing but numbers of lines."""
        if _LINE_NUMBERS.search(node.names) and _NUMBERS.fullmatch(self._tree.text(place)):
            return True
        self._end_block()
        self._ends.append((node.end, self._end_block))
        return False

    def _add(self, text: str, kind: Kind, links: bool = False) -> None:
        self.blocks.append(HtmlBlock(text, kind, links, self._outside))

    def _end_line(self) -> None:
        """Let what follows in a preformatted part begin on a line of its own."""
        if self._parts and not self._parts[-1].endswith("\n"):
            self._parts.append("\n")

    def _end_block(self) -> None:
        """Finish the block that is being gathered; an empty one leaves no trace."""
        if not self._parts:
            return
        raw = "".join(self._parts)
        links = 2 * self._linked > self._chars
        self._parts.clear()
        self._chars = self._linked = 0
        kind, self._kind = self._kind, "text"
        if self._pre:
            text = raw.strip("\n")
            if text.strip():
                self._add(as_fence(text, self._language), "code", links)
            elif kind != "text":
                self._kind = kind
            return
        lines = (_SPACE.sub(" ", line).strip() for line in raw.split(_BREAK))
        text = "\n".join(filter(None, lines))
        if not text:
            # The mark of an item stays for the first block in it.
            self._kind = kind
        elif self._level:
            self._add(as_heading(text.replace("\n", " "), self._level), "heading", links)
        elif kind == "item":
            self._add(self._item(as_lines(text)), "item", links)
        else:
            self._add(as_lines(text), kind, links)

    def _item(self, text: str) -> str:
        """Return the item of a list with its mark, as far in as the items above it say."""
        current = self._lists[-1] if self._lists else _List(None)
        mark = current.mark or "- "
        follows = bool(self.blocks) and self.blocks[-1].kind == "item"
        outer = self._lists[-2] if len(self._lists) > 1 else None
        inside = follows and outer is not None and outer.mark and len(self._lists) <= _DEEPEST_LIST
        current.indent = outer.indent + len(outer.mark) if inside and outer is not None else 0
        indent = " " * current.indent
        return indent + mark + text.replace("\n", "\n" + indent + " " * len(mark))

"""The tables of an HTML page: of data, which become tables of Markdown, or for layout, whose cells are text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ._html_tree import Node, Tree
from ._markdown_marks import as_table

_NO_DATA = frozenset({"table", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "main", "article", "nav", "section", "form"})
_APART = frozenset({"p", "div", "li", "br", "dd", "dt", "ul", "ol", "blockquote", "details", "summary", "hr", "option"})
_MOST_COLUMNS = 100
_LONGEST_CELL = 1500
_LONGEST_REPEATED = 80
"""Characters of a cell over several rows that is repeated in each, so that each says what it is about."""


@dataclass(slots=True)
class _Row:
    cells: list[str] = field(default_factory=list)
    heads: int = 0
    in_head: bool = False


def table_of_data(tree: Tree, place: int, without: frozenset[int]) -> tuple[str, str] | None:
    """Return the caption of a table, "" for none, and its rows as Markdown; None where it is for layout."""
    if tree.nodes[place].attributes.get("role") in ("presentation", "none"):
        return None
    if any(node.name in _NO_DATA for _, node in tree.inside(place)):
        return None
    caption, rows = _rows(tree, place, without)
    rows = [row for row in rows if any(row.cells)]
    width = max((len(row.cells) for row in rows), default=0)
    if len(rows) < 2 or not 2 <= width <= _MOST_COLUMNS:
        return None
    if max(len(cell) for row in rows for cell in row.cells) > _LONGEST_CELL:
        return None
    top = sum(1 for _ in _while_head(rows))
    merged = [" ".join(filter(None, column)) for column in _columns([row.cells for row in rows[:top]], width)]
    cells = [row.cells for row in rows[top:]]
    return caption, as_table([merged, *cells] if top else cells, header=top > 0)


def _while_head(rows: list[_Row]) -> Iterator[_Row]:
    """Yield the rows at the top that name the columns; the last row of a table is none of them."""
    for number, row in enumerate(rows[:-1]):
        if not (row.in_head or (number == 0 and row.heads == len(row.cells))):
            return
        yield row


def _columns(rows: list[list[str]], width: int) -> list[list[str]]:
    return [[row[column] for row in rows if column < len(row)] for column in range(width)]


def _rows(tree: Tree, place: int, without: frozenset[int]) -> tuple[str, list[_Row]]:
    caption, rows = "", []
    open_spans: dict[int, tuple[int, str]] = {}
    head_end = 0
    for at, node in _seen(tree, place, without):
        if node.name == "caption":
            caption = _cell_text(tree, at, without)
        elif node.name == "thead":
            head_end = node.end
        elif node.name == "tr":
            rows.append(_row(tree, at, without, open_spans))
            rows[-1].in_head = at < head_end
    return caption, rows


def _row(tree: Tree, place: int, without: frozenset[int], open_spans: dict[int, tuple[int, str]]) -> _Row:
    row = _Row()
    for at, node in _seen(tree, place, without):
        if node.name not in ("td", "th") or len(row.cells) > _MOST_COLUMNS:
            continue
        _fill(row, open_spans)
        text = _cell_text(tree, at, without)
        down = _number(node, "rowspan")
        if down > 1:
            open_spans[len(row.cells)] = down - 1, text if len(text) <= _LONGEST_REPEATED else ""
        row.cells += [text, *[""] * (min(_number(node, "colspan"), _MOST_COLUMNS) - 1)]
        row.heads += node.name == "th"
    if row.cells:
        _fill(row, open_spans)
    return row


def _fill(row: _Row, open_spans: dict[int, tuple[int, str]]) -> None:
    """Put the cells in place that reach down from the rows above."""
    while (column := len(row.cells)) in open_spans and column <= _MOST_COLUMNS:
        left, text = open_spans.pop(column)
        if left > 1:
            open_spans[column] = left - 1, text
        row.cells.append(text)


def _number(node: Node, name: str) -> int:
    if not node.attributes:
        return 1
    value = (node.attributes.get(name) or "").strip()
    return min(max(int(value), 1), 1000) if value.isdecimal() and len(value) < 6 else 1


def _cell_text(tree: Tree, place: int, without: frozenset[int]) -> str:
    parts: list[str] = []
    for _, node in _seen(tree, place, without):
        if node.name in _APART:
            parts.append(" ")
        parts.append(node.text)
    return " ".join("".join(parts).split())


def _seen(tree: Tree, place: int, without: frozenset[int]) -> Iterator[tuple[int, Node]]:
    """Yield the descendants of a node but for what is left out."""
    at = place + 1
    while at < tree.nodes[place].end:
        if at in without:
            at = tree.nodes[at].end
        else:
            yield at, tree.nodes[at]
            at += 1

"""The elements and texts of an HTML page, in order and flat, with how much text and how many links each has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING

from ._html_source import LINK

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_UNSEEN = frozenset(
    {
        *("script", "style", "template", "iframe", "audio", "video", "canvas", "head", "datalist", "annotation-xml"),
        *("link", "meta"),
    }
)
_MARK = re.compile(r"[\s¶#§🔗\u200b\ufeff⚓]*|\s*[↩⤴](?:\ufe0e)?\s*\d*\s*")
_NO_ATTRIBUTES: Mapping[str, str | None] = {}


class Node:
    """An element, or a text, whose ``name`` is "".

    Attributes:
        name: of the element, in lower case.
        text: of a text; of a picture or a formula, what stands for it.
        end: the place in the list after its last descendant.
        attributes: of an element.
    """

    __slots__ = ("attributes", "end", "name", "text")

    def __init__(self, name: str, text: str = "", attributes: Mapping[str, str | None] = _NO_ATTRIBUTES) -> None:
        self.name = name
        self.text = text
        self.end = 0
        self.attributes = attributes

    @property
    def names(self) -> str:
        """What the page calls the element: its class and id."""
        return f"{self.attributes.get('class') or ''} {self.attributes.get('id') or ''}"


class Tree:
    """A page.

    Attributes:
        title: of the page, "" for none.
        nodes: every element and text of the body, each before its descendants.
        mains: the places of its main part and articles.
    """

    def __init__(self, html: str, *, noscript: bool = False) -> None:
        from selectolax.lexbor import LexborHTMLParser

        parser = LexborHTMLParser(html)
        title = parser.css_first("title")
        self.title = "" if title is None else " ".join(title.text().split())
        self.nodes: list[Node] = []
        if parser.body is not None:
            self._take(parser.body, noscript)
        self.mains = frozenset(place for place, node in enumerate(self.nodes) if _is_main(node))
        lengths = [sum(map(len, node.text.split())) if node.text else 0 for node in self.nodes]
        linked, link_end = [0] * len(lengths), 0
        for place, node in enumerate(self.nodes):
            if node.name == LINK and "href" in node.attributes:
                link_end = max(link_end, node.end)
            if place < link_end:
                linked[place] = lengths[place]
        self._chars = [0, *accumulate(lengths)]
        self._linked = [0, *accumulate(linked)]

    def chars(self, place: int = 0) -> int:
        """Return how many characters of text a node has that are no space."""
        return self._chars[self.nodes[place].end] - self._chars[place] if self.nodes else 0

    def linked(self, place: int = 0) -> int:
        """Return how many of them belong to links."""
        return self._linked[self.nodes[place].end] - self._linked[place] if self.nodes else 0

    def prose(self, place: int = 0) -> int:
        """Return how many of them belong to no link."""
        return self.chars(place) - self.linked(place)

    def text(self, place: int) -> str:
        """Return the text of a node on one line."""
        return " ".join("".join(node.text for node in self.nodes[place : self.nodes[place].end]).split())

    def inside(self, place: int) -> Iterator[tuple[int, Node]]:
        """Yield the descendants of a node with their places."""
        for at in range(place + 1, self.nodes[place].end):
            yield at, self.nodes[at]

    def _take(self, body: LexborNode, noscript: bool) -> None:
        """Take over a subtree without recursion: its depth is the page's."""
        open_places: list[int] = []
        node: LexborNode | None = body
        while node is not None:
            taken = _node(node, noscript)
            if taken is not None:
                self.nodes.append(taken)
                child = node.child if taken.name and taken.name not in ("math", "img", "area") else None
                if child is not None:
                    open_places.append(len(self.nodes) - 1)
                    node = child
                    continue
                taken.end = len(self.nodes)
            while node is not None and node.next is None and open_places:
                self.nodes[open_places.pop()].end = len(self.nodes)
                node = node.parent
            node = node.next if node is not None and open_places else None


def _is_main(node: Node) -> bool:
    """Return whether an element is the main part of a page, or an article."""
    return node.name in ("main", "article") or (bool(node.attributes) and node.attributes.get("role") == "main")


def _node(node: LexborNode, noscript: bool) -> Node | None:
    """Return what is kept of a node; None for what no reader sees."""
    name = node.tag or "-"
    if name == "-text":
        return Node("", node.text_content or "")
    if name[0] in "-_!" or name in _UNSEEN or (name == "noscript" and not noscript):
        return None
    attributes = node.attributes
    if name in ("img", "area"):
        return Node(name, attributes.get("alt") or "")
    if name == "math":
        return Node(name, _formula(node))
    if name == LINK and "#" in (attributes.get("href") or "") and _is_mark(node):
        return None
    return Node(name, "", attributes or _NO_ATTRIBUTES)


def _is_mark(node: LexborNode) -> bool:
    """Return whether a link is the mark beside a heading or a footnote that leads to it, and no picture."""
    return _MARK.fullmatch(node.text()) is not None and node.css_first("img") is None


def _formula(node: LexborNode) -> str:
    """Return a formula as its author wrote it, else as its characters."""
    written = node.css_first("annotation")
    if written is not None and "tex" in (written.attributes.get("encoding") or ""):
        return written.text()
    return node.attributes.get("alttext") or node.text(separator=" ")

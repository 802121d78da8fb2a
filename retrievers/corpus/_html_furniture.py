"""Which parts of an HTML page are no part of what it says: navigation, headers and footers of the page, hidden parts.

What is in doubt is kept. Paragraphs in navigation stay, for it may never have been closed; and a page that would lose
most of what it says keeps more, in the end everything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ._html_source import LINK
from ._html_tree import Node, Tree

NAVIGATION = "parts of pages: navigation"
HIDDEN = "parts of pages: hidden"

_PROSE = frozenset({"p", "pre", "table", "blockquote", "dl"})
_CONTAINERS = frozenset(
    [
        "div",
        "ul",
        "ol",
        "table",
        "section",
        "aside",
        "p",
        "dl",
        "span",
        "tbody",
        "tr",
        "td",
        "th",
        "center",
        "form",
        "details",
    ]
)
_LOOSE = _CONTAINERS | {LINK}
_FEWEST_PROSE = 20
"""Characters that are no link, for a paragraph in navigation to be one."""

_LONGEST_FOOTER = 300
_HIDDEN_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_NAMED = re.compile(
    r"(?<![a-z])(?:nav-?bar|nav-?header|nav-?footer|bread-?crumbs?|pagination|pager|skip-?(?:link|nav|to-content)|"
    r"site-?nav\w*|nav-?links|prev-?next|edit-?(?:this-?)?page|edit-?link|rst-footer-buttons|sphinxsidebar\w*|"
    r"wy-nav-side|mobile-nav-\w+|cookie-?(?:banner|consent|notice)|nav-wrapper|nav-chapters)(?![a-z])",
    re.IGNORECASE,
)
_PERHAPS = re.compile(
    r"(?<![a-z])(?:nav|navigation|menu|main-?menu|sub-?menu|side-?bar|toc|table-of-contents|contents|related|footer|"
    r"header|topbar|masthead|social|share|nosearch)(?![a-z])",
    re.IGNORECASE,
)
_SKIP_LINK = re.compile(r"(?:skip|jump) to .{0,40}", re.IGNORECASE)
_LINK_ALONE = re.compile(
    r"(?:edit|improve|suggest (?:an )?edits?)\b.{0,20}\b(?:page|github|gitlab|source|edits?)"
    r"|(?:view |show )?(?:page )?source|back to top|permalink|↑",
    re.IGNORECASE,
)
_BUTTON = re.compile(
    r"(?:copy|copied|expand|collapse|show|hide|toggle|open|close)\b.{0,30}|menu|search|run|edit|[^\w\s]",
    re.IGNORECASE,
)


def left_out(tree: Tree) -> tuple[frozenset[int], Counter[str]]:
    """Return the places of the nodes that are left out with all that is in them, and how many of each kind there are.

    The less is left out, the more a page says besides; the first of four ways is taken that keeps a fifth of it.
    """
    if not tree.nodes:
        return frozenset(), Counter()
    hidden = {place for place, node in enumerate(tree.nodes) if node.attributes and _is_hidden(node)}
    seen = _Remaining(tree, hidden)
    if seen.chars == 0:
        return frozenset(), Counter()
    for strict in (True, False):
        furniture = set(_Furniture(tree, hidden, strict).places())
        kept = _Remaining(tree, furniture | hidden)
        enough = kept.chars >= min(200, seen.chars / 5) if strict else kept.chars > 0
        if enough and kept.prose >= seen.prose / 5:
            return frozenset(furniture | hidden), _counted(tree, furniture, hidden)
    return frozenset(hidden), _counted(tree, set(), hidden)


def _counted(tree: Tree, furniture: set[int], hidden: set[int]) -> Counter[str]:
    counts = Counter({HIDDEN: sum(tree.chars(place) > 0 for place in hidden)})
    counts[NAVIGATION] = sum(tree.chars(place) > 0 for place in furniture - hidden)
    return +counts


class _Remaining:
    """How much text is left: all of it, and what is no link."""

    def __init__(self, tree: Tree, without: set[int]) -> None:
        self.chars, self.prose = tree.chars(), tree.prose()
        end = 0
        for place in sorted(without):
            if place >= end:
                self.chars -= tree.chars(place)
                self.prose -= tree.prose(place)
                end = tree.nodes[place].end


def _is_hidden(node: Node) -> bool:
    attributes = node.attributes
    if "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found":
        return "tab" not in f"{attributes.get('role')} {attributes.get('class')}"
    if node.name == "dialog":
        return "open" not in attributes
    return _HIDDEN_STYLE.search(attributes.get("style") or "") is not None or (
        "katex-html" in (attributes.get("class") or "")
    )


class _Furniture:
    """Finds the furniture of a page; ``strict`` goes by the names that pages give their parts, too."""

    def __init__(self, tree: Tree, hidden: set[int], strict: bool) -> None:
        self._tree = tree
        self._hidden = hidden
        self._strict = strict
        self._has_main = bool(tree.mains)
        self._main_end = self._section_end = 0
        self._loose_end = 0

    def places(self) -> Iterator[int]:
        """Yield where furniture stands, in order; none stands in another."""
        place, nodes = 0, self._tree.nodes
        while place < len(nodes):
            node = nodes[place]
            if not node.name:
                place += 1
                continue
            if place in self._hidden:
                place = node.end
            elif self._is_furniture(place, node):
                if self._is_mixed(place):
                    self._loose_end = max(self._loose_end, node.end)
                    place += 1
                else:
                    yield place
                    place = node.end
            elif self._looks_like_furniture(place, node):
                yield place
                place = node.end
            else:
                self._enter(place, node)
                place += 1

    def _enter(self, place: int, node: Node) -> None:
        if place in self._tree.mains:
            self._main_end = max(self._main_end, node.end)
            self._loose_end = place
        if node.name in ("article", "section", "main"):
            self._section_end = max(self._section_end, node.end)

    def _is_furniture(self, place: int, node: Node) -> bool:
        role = node.attributes.get("role") or ""
        if node.name == "nav" or role in ("navigation", "search", "menu", "menubar", "toolbar"):
            return True
        if node.name in ("header", "footer") or role in ("banner", "contentinfo"):
            return place >= self._section_end
        return False

    def _looks_like_furniture(self, place: int, node: Node) -> bool:
        """Return whether a node is furniture by what it is called, or by having nothing but links."""
        if place < self._loose_end and node.name in _LOOSE and self._is_links(place, 0.5):
            return True
        if not self._strict:
            return False
        if node.name == "aside":
            return self._is_links(place, 0.3 if _PERHAPS.search(node.names) else 0.6)
        if node.name == LINK:
            to_this_page = (node.attributes.get("href") or "").startswith("#")
            return to_this_page and _SKIP_LINK.fullmatch(self._short_text(place)) is not None
        if node.name == "button":
            return _BUTTON.fullmatch(self._short_text(place)) is not None
        if node.name in _CONTAINERS:
            return self._is_named_furniture(place, node) or self._is_link_alone(place, node)
        return False

    def _is_named_furniture(self, place: int, node: Node) -> bool:
        tree = self._tree
        if tree.chars(place) == 0:
            return False
        if node.attributes:
            names = node.names
            if _NAMED.search(names) and tree.linked(place) > 0:
                return tree.prose(place) <= 400
            if _PERHAPS.search(names) and self._is_links(place, 0.5):
                return True
        outside = self._has_main and place >= self._main_end
        return outside and node.name in ("ul", "ol") and self._is_links(place, 0.8)

    def _is_link_alone(self, place: int, node: Node) -> bool:
        if node.name == "span" or self._tree.prose(place) > 0:
            return False
        return _LINK_ALONE.fullmatch(self._short_text(place)) is not None

    def _short_text(self, place: int) -> str:
        return self._tree.text(place) if 0 < self._tree.chars(place) <= 60 else ""

    def _is_links(self, place: int, share: float) -> bool:
        return self._tree.linked(place) > share * self._tree.chars(place)

    def _is_mixed(self, place: int) -> bool:
        """Return whether furniture has what a page says in it: the main part, paragraphs, or the title."""
        tree, node = self._tree, self._tree.nodes[place]
        footer = node.name == "footer" or node.attributes.get("role") == "contentinfo"
        prose = 0
        for at, inside in tree.inside(place):
            if at in self._hidden:
                continue
            if at in tree.mains or (inside.name == "h1" and node.name in ("header", "nav")):
                return tree.chars(at) > 0
            if inside.name in _PROSE and tree.prose(at) > max(_FEWEST_PROSE, tree.linked(at)):
                prose += tree.prose(at)
                if prose > (_LONGEST_FOOTER if footer else 0):
                    return True
        return False

"""HTML before it is parsed: what makes parsing slow or swallows text is taken out, in one pass over the tags.

The tree that HTML5 prescribes takes time quadratic in the depth of nesting, and formatting elements that are left open
are opened again in every paragraph. So tags of formatting are dropped, links and code get names of their own, and
beyond a depth that no page of a person has no element is opened. What is never closed (a comment, a title, the quote
of an attribute) would swallow the rest of the page: it ends at the next ``>``.

Source: https://html.spec.whatwg.org/multipage/parsing.html.
"""

from __future__ import annotations

import re

LINK = "x-link"
"""The name that ``a`` gets: an element without rules of its own."""

CODE = "x-code"
"""The name that ``code``, ``tt``, ``kbd`` and ``samp`` get."""

DEEPEST = 200
"""Elements in each other; tags that would open more are dropped, and their text stays."""

_LONG = 400
_RENAMED = {"a": LINK, "code": CODE, "tt": CODE, "kbd": CODE, "samp": CODE}
_FORMATTING = frozenset(["b", "big", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "u"])
_DROPPED = _FORMATTING | frozenset(["frameset", "frame", "noframes", "noembed", "plaintext", "listing", "svg"])
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
_ENDED_BY_OTHERS = frozenset(
    {
        *("p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot", "option", "optgroup", "rp", "rt"),
        *("html", "head", "body"),
    }
)
_INLINE = frozenset(
    {LINK, CODE, "span", "label", "abbr", "cite", "q", "sub", "sup", "var", "mark", "time", "ins", "del"}
)
_BARRIERS = frozenset(["applet", "caption", "table", "td", "th", "marquee", "object", "template", "button"])
_LEVEL_NAMES = {f"h{level}": "h1" for level in range(2, 7)}
"""Under which name an element is closed: a closing tag of any heading closes any."""

_RAW = frozenset(["script", "style", "title", "textarea", "xmp", "iframe"])

_SPECIAL = _RAW | _DROPPED | _RENAMED.keys()
_NOT_COUNTED = _VOID | _ENDED_BY_OTHERS
_NOT_CLOSED = _DROPPED | (_VOID - {"br"})

# A quote begins a value only after "="; where a value never ends, the third group is None.
_OPENING = re.compile(
    r"""<(?:(/?)([a-zA-Z][^\s/>]*+)(?:((?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])))*+)>)?|(!--|!\[CDATA\[|[!?/]))"""
)
_SWALLOWING = re.compile(r"""=\s*(?:"[^">]*>[^"]*"|'[^'>]*>[^']*')[^\s/>]""")
_WANTED = re.compile(
    r"""(?<![^\s"'])(class|id|role|alt|hidden|href|style|colspan|rowspan|start|value|open|alttext|encoding)"""
    r"""(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++)|(?![\w:-]))""",
    re.IGNORECASE,
)
_COMMENT_END = re.compile("--!?>")
_BREAKS_OUT = re.compile(
    r"<(?:p|div|h[1-6]|ul|ol|li|table|pre|main|article|section|body|nav|footer|header|blockquote|dl|foreignobject)\b",
    re.IGNORECASE,
)
_EMPTY = re.compile(r"""<([a-zA-Z][^\s<>/"']*+)((?:[^<>"']|"[^"<]*"|'[^'<]*')*+)(?<=/)>""")
_MARKUP = str.maketrans({"<": "&lt;", "&": "&amp;"})


def opened_and_closed(xhtml: str) -> str:
    """Return XHTML with ``<script/>`` as ``<script></script>``: HTML takes the first for an element that is open."""
    return _EMPTY.sub(_spelled_out, xhtml)


def _spelled_out(empty: re.Match[str]) -> str:
    name, attributes = empty.groups()
    return empty[0] if name.lower() in _VOID else f"<{name}{attributes[:-1]}></{name}>"


def bounded_html(html: str) -> tuple[str, list[str]]:
    """Return HTML with the same text that is parsed in linear time, and notes of what was left out of it."""
    source = _Source(html)
    source.read()
    return "".join(source.pieces), source.notes


class _Source:
    """Walks the tags of a page once."""

    def __init__(self, html: str) -> None:
        self.pieces: list[str] = []
        self.notes: list[str] = []
        self._html = html
        self._ends: dict[str, int] = {}
        self._open: list[str] = []
        self._not_opened: dict[str, int] = {}

    def read(self) -> None:
        """Walk the page."""
        html, pieces, position = self._html, self.pieces, 0
        search, special = _OPENING.search, _SPECIAL
        while (opening := search(html, position)) is not None:
            closing, name, attributes, declaration = opening.groups()
            pieces.append(html[position : opening.start()])
            position = opening.end()
            if declaration is not None:
                position = self._declaration(opening)
                continue
            name = name.lower()
            if attributes is None or (">" in attributes and _SWALLOWING.search(attributes)):
                attributes, position = "", self._unfinished(opening.end(2))
            if closing:
                self._close(name)
            elif name in special:
                position = self._special(name, attributes, position)
            else:
                self._begin(name, attributes)
        pieces.append(html[position:])

    def _declaration(self, opening: re.Match[str]) -> int:
        """Return where a comment or another declaration ends; the text of CDATA is kept."""
        html, begin = self._html, opening.end()
        if opening[4] == "![CDATA[":
            end = self._next("]]>", re.compile(re.escape("]]>")), begin)
            if end < 0:
                return begin
            self.pieces.append(html[begin:end].translate(_MARKUP))
            return end + 3
        if opening[4] == "!--":
            if html.startswith((">", "->"), begin):
                return html.index(">", begin) + 1
            end = self._next("-->", _COMMENT_END, begin)
            if end >= 0:
                return html.index(">", end) + 1
        elif opening[4] == "/" and not html.startswith(">", begin):
            return begin if html[begin : begin + 1].isspace() else self._after(">", begin)
        return self._after(">", begin)

    def _unfinished(self, position: int) -> int:
        """Return where a tag ends in which a quote is never closed, or the page ends."""
        end = self._after(">", position)
        whole = end < len(self._html) or self._html.endswith(">")
        self._note("an attribute's quote is never closed" if whole else "ends in the middle of a tag")
        return end

    def _special(self, name: str, attributes: str, position: int) -> int:
        """Take over the opening tag of an element that is not simply opened; return where what follows begins."""
        if name == "svg":
            return self._picture(position)
        if name in _RAW:
            return self._raw(name, position)
        if name in _RENAMED:
            if name == "a" and LINK in self._open:
                self._close("a")
            self._begin(_RENAMED[name], attributes)
        return position

    def _begin(self, name: str, attributes: str) -> None:
        if name not in _NOT_COUNTED and not attributes.endswith("/"):
            if len(self._open) >= DEEPEST:
                self._not_opened[name] = self._not_opened.get(name, 0) + 1
                return
            self._open.append(_LEVEL_NAMES.get(name, name))
        if len(attributes) > _LONG:
            wanted = _WANTED.finditer(attributes)
            attributes = "".join(f" {one[1]}={one[2] or chr(34) * 2}" for one in wanted)
        self.pieces.append(f"<{name}{attributes}>")

    def _close(self, name: str) -> None:
        if name in _NOT_CLOSED:
            return
        name = _RENAMED.get(name, name)
        if self._not_opened.get(name):
            self._not_opened[name] -= 1
            return
        key = _LEVEL_NAMES.get(name, name)
        if self._open and self._open[-1] == key:
            self._open.pop()
        elif key in self._open:
            self._close_above(key)
        self.pieces.append(f"</{name}>")

    def _close_above(self, key: str) -> None:
        """Close an element and those that are open in it, unless one of them stands in the way."""
        place = len(self._open) - 1 - self._open[::-1].index(key)
        between = self._open[place + 1 :]
        inline = key in _INLINE and _INLINE.issuperset(between)
        if inline or (key not in _INLINE and (key in _BARRIERS or _BARRIERS.isdisjoint(between))):
            del self._open[place:]

    def _raw(self, name: str, begin: int) -> int:
        """Take over an element whose text has no tags, and return where what follows begins."""
        html = self._html
        end = self._next(name, re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE), begin)
        if end < 0 and name in ("script", "style"):
            self._note(f"a {name} element is never closed: what follows it is left out")
            return len(html)
        if end < 0:
            end = html.find("<", begin) if name in ("title", "textarea") else begin
            after = end = len(html) if end < 0 else end
        else:
            after = self._after(">", end)
        text = html[begin:end].replace("<", "&lt;")
        if name in ("title", "textarea"):
            self.pieces.append(f"<{name}>{text}</{name}>")
        elif name == "xmp":
            self.pieces.append(f"<pre>{html[begin:end].translate(_MARKUP)}</pre>")
        return after

    def _picture(self, begin: int) -> int:
        """Return where a drawing ends; one that is never closed ends at once."""
        end = self._next("svg", re.compile(r"</svg(?=[\s/>])", re.IGNORECASE), begin)
        if end < 0 or _BREAKS_OUT.search(self._html, begin, end):
            return begin
        return self._after(">", end)

    def _next(self, key: str, pattern: re.Pattern[str], position: int) -> int:
        """Return where a pattern is found next, -1 for nowhere; no part of the page is searched twice."""
        known = self._ends.get(key)
        if known is None or 0 <= known < position:
            found = pattern.search(self._html, position)
            self._ends[key] = known = -1 if found is None else found.start()
        return known

    def _after(self, char: str, position: int) -> int:
        end = self._html.find(char, position)
        return len(self._html) if end < 0 else end + 1

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

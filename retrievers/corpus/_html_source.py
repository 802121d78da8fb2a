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
_RAW = frozenset(["script", "style", "title", "textarea", "xmp", "iframe"])

_OPENING = re.compile(r"<(?:(/?)([a-zA-Z][^\s/>]*+)|(!--|!\[CDATA\[|[!?/]))")
# A quote begins a value only after "="; a value that never ends makes the whole fail at once.
_ATTRIBUTES = re.compile(r"""((?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])))*+)>""")
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
_MARKUP = str.maketrans({"<": "&lt;", "&": "&amp;"})


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
        position = 0
        while (opening := _OPENING.search(self._html, position)) is not None:
            self.pieces.append(self._html[position : opening.start()])
            position = self._tag(opening) if opening[3] is None else self._declaration(opening)
        self.pieces.append(self._html[position:])

    def _declaration(self, opening: re.Match[str]) -> int:
        """Return where a comment or another declaration ends; the text of CDATA is kept."""
        html, begin = self._html, opening.end()
        if opening[3] == "![CDATA[":
            end = self._next("]]>", re.compile(re.escape("]]>")), begin)
            if end < 0:
                return begin
            self.pieces.append(html[begin:end].translate(_MARKUP))
            return end + 3
        if opening[3] == "!--":
            if html.startswith((">", "->"), begin):
                return html.index(">", begin) + 1
            end = self._next("-->", _COMMENT_END, begin)
            if end >= 0:
                return html.index(">", end) + 1
        elif opening[3] == "/" and not html.startswith(">", begin):
            return begin if html[begin : begin + 1].isspace() else self._after(">", begin)
        return self._after(">", begin)

    def _tag(self, opening: re.Match[str]) -> int:
        """Take over a tag and return where what follows begins."""
        name = opening[2].lower()
        found = _ATTRIBUTES.match(self._html, opening.end())
        if found is not None and ">" in found[1] and _SWALLOWING.search(found[1]):
            found = None
        if found is None:
            end = self._after(">", opening.end())
            attributes = ""
            if end < len(self._html) or self._html.endswith(">"):
                self._note("an attribute's quote is never closed")
            else:
                self._note("ends in the middle of a tag")
        else:
            attributes, end = found[1], found.end()
        if opening[1]:
            self._close(name)
            return end
        if name == "svg":
            return self._picture(end)
        if name in _RAW:
            return self._raw(name, end)
        self._begin(name, attributes)
        return end

    def _begin(self, name: str, attributes: str) -> None:
        if name in _DROPPED:
            return
        if name == "a" and LINK in self._open:
            self._close("a")
        name = _RENAMED.get(name, name)
        if name not in _VOID and name not in _ENDED_BY_OTHERS and not attributes.endswith("/"):
            if len(self._open) >= DEEPEST:
                self._not_opened[name] = self._not_opened.get(name, 0) + 1
                return
            self._open.append(_level_name(name))
        if len(attributes) > _LONG:
            wanted = _WANTED.finditer(attributes)
            attributes = "".join(f" {one[1]}={one[2] or chr(34) * 2}" for one in wanted)
        self.pieces.append(f"<{name}{attributes}>")

    def _close(self, name: str) -> None:
        if name in _DROPPED or name in _VOID - {"br"}:
            return
        name = _RENAMED.get(name, name)
        if self._not_opened.get(name):
            self._not_opened[name] -= 1
            return
        key = _level_name(name)
        if self._open and self._open[-1] == key:
            self._open.pop()
        elif key in self._open:
            place = len(self._open) - 1 - self._open[::-1].index(key)
            between = self._open[place + 1 :]
            if key in _INLINE:
                closes = _INLINE.issuperset(between)
            else:
                closes = key in _BARRIERS or _BARRIERS.isdisjoint(between)
            if closes:
                del self._open[place:]
        self.pieces.append(f"</{name}>")

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


def _level_name(name: str) -> str:
    """Return under which name an element is closed: a closing tag of any heading closes any."""
    return "h1" if len(name) == 2 and name[0] == "h" and name[1] in "23456" else name

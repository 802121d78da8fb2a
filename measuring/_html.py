"""HTML that no text can break out of: elements are built, and what is put into them is escaped."""

from __future__ import annotations

from html import escape

from ..retrievers._svg import printable


class Html(str):
    """Text that is HTML already; every other string is text that a page shows as it is."""

    __slots__ = ()


_VOID = {"meta", "col", "path", "rect", "circle", "line"}
"""Elements that hold nothing."""


def element(name: str, /, *children: str, **attributes: str | float | None) -> Html:
    """Return an element.

    Args:
        name: of the element, such as ``td``.
        children: HTML as it is, and text, which is escaped.
        attributes: ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``; None leaves one out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_shown(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: str) -> Html:
    """Return HTML one after the other; text is escaped."""
    return Html("".join(child if isinstance(child, Html) else escape(printable(child)) for child in children))


def _shown(value: str | float) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else printable(str(value))


def table(caption: str, heads: list[str], rows: list[list[str]]) -> Html:
    """Return a table that may be scrolled; the first cell of a row is its heading."""
    head = element("tr", *(element("th", name, scope="col") for name in heads))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in cells))
        for first, *cells in rows
    ]
    whole = element("table", element("caption", caption), element("thead", head), element("tbody", *body))
    return element("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def folded(summary: str, *children: str) -> Html:
    """Return what is shown when its summary is opened, and in print."""
    return element("details", element("summary", summary), *children)

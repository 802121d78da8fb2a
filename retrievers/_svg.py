"""The frame of every picture that the package draws, and text that neither XML nor a terminal can choke on."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    "\U00010000-\U000dffff\U000e0100-\U0010ffff]"
)
"""What XML cannot hold (https://www.w3.org/TR/xml/#charsets), or could steer a terminal or turn its text around:
controls, marks of direction, the byte order mark, and tags, which no terminal shows."""

_BREAK = re.compile("[\t\n\r]")


def printable(text: str) -> str:
    """Return ``text`` in one line, with U+FFFD for every character that could steer a terminal or break XML."""
    return _UNPRINTABLE.sub("\ufffd", _BREAK.sub(" ", text))


def printable_lines(text: str) -> str:
    """Return ``text`` of several lines, each as :func:`printable` returns it."""
    return "\n".join(printable(line) for line in text.split("\n"))


def printable_json(value: object, ascii_only: bool = False) -> str:
    """Return ``value`` as indented JSON, with an escape for every character that could steer a terminal."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def svg_picture(
    width: float, height: float, parts: Sequence[str], font_size: int = 12, background: str = "#fff"
) -> str:
    """Return a whole SVG picture.

    Args:
        width, height: in pixels.
        parts: SVG elements, drawn in this order.
        font_size: in pixels.
        background: a colour.
    """
    w, h = f"{width:.0f}", f"{height:.0f}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}"'
            f' font-family="sans-serif" font-size="{font_size}">',
            f'<rect width="{w}" height="{h}" fill="{background}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def svg_text(x: float, y: float, text: str, style: str = "") -> str:
    """Return a line of text that begins, or is anchored, at a place; ``style`` is further attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def svg_bar(x: float, y: float, width: float, height: float, colour: str, style: str = "") -> str:
    """Return a filled rectangle with its upper left corner at a place."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}" {style}/>'

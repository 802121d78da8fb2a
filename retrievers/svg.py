"""The frame of every picture that the package draws, and text that neither XML nor a terminal can choke on."""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold (https://www.w3.org/TR/xml/#charsets), or could steer a terminal or turn its text around."""


def printable(text: str) -> str:
    """Return ``text`` with U+FFFD for every character that could steer a terminal, or break a line or XML."""
    return _UNPRINTABLE.sub("\ufffd", text)


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

"""Draws the path of a search: as lines of text, as a picture, and in short."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from html import escape

from ..retrievers._svg import printable, svg_picture
from .search_result import SearchResult, Step

_INDEX = re.compile("ask the ([\\w-]+) index")
_SIGNS = {"expand": "?", "hop": "→", "take": "✓", "stop": "■"}
_COLOURS = {"expand": "#4c78a8", "hop": "#b279a2", "take": "#54a24b", "stop": "#79706e"}
_SHOWN = 3
_NARROWEST = 30

_WIDTH = 860
_LINE = 18
_BOX_GAP = 16


def draw_path(result: SearchResult, width: int = 100) -> str:
    """Return the path as lines of text: each step, why, and what it brought.

    Args:
        result: of a search.
        width: characters to a line at most; below 30 counts as 30.
    """
    width = max(width, _NARROWEST)
    lines = _wrap(result.question, width)
    for number, step in enumerate(result.path):
        last = number == len(result.path) - 1
        lines += _branch(f"{_SIGNS[step.action]} {step.detail}", "└─ " if last else "├─ ", last, width)
        stem = "   " if last else "│  "
        certain = "" if step.action == "expand" and step.probability == 1 else f" ({step.probability:.2f})"
        lines += _branch(f"because {step.reason}{certain}", f"{stem}  ", last, width)
        if _brought(step):
            lines += _branch(_brought(step), f"{stem}  ", last, width)
    return "\n".join(lines)


def draw_svg(result: SearchResult) -> str:
    """Return the path as an SVG picture: a box for each step, from top to bottom."""
    title = _wrap(result.question, 90)
    parts = [
        f'<text x="20" y="{30 + k * _LINE}" font-weight="bold">{escape(line)}</text>' for k, line in enumerate(title)
    ]
    top = 44 + (len(title) - 1) * _LINE
    for number, step in enumerate(result.path):
        lines = [step.detail, f"because {step.reason}", *([_brought(step)] if _brought(step) else [])]
        wrapped = [part for line in lines for part in _wrap(line, 105)]
        height = 14 + len(wrapped) * _LINE
        if number:
            parts.append(
                f'<path d="M60 {top - _BOX_GAP} v{_BOX_GAP - 3}" stroke="#888" marker-end="url(#arrow)" fill="none"/>'
            )
        parts.append(
            f'<rect x="20" y="{top}" width="{_WIDTH - 40}" height="{height}" rx="6" fill="#fff"'
            f' stroke="{_COLOURS[step.action]}" stroke-width="2"/>'
        )
        for k, line in enumerate(wrapped):
            style = f'fill="{_COLOURS[step.action]}" font-weight="bold"' if k == 0 else 'fill="#333"'
            parts.append(f'<text x="34" y="{top + 20 + k * _LINE}" {style}>{escape(line)}</text>')
        top += height + _BOX_GAP
    arrow = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#888"/></marker></defs>'
    )
    return svg_picture(_WIDTH, top, [arrow, *parts], 13, "#fafafa")


def _branch(text: str, start: str, last: bool, width: int) -> list[str]:
    stem = start if start.strip("│ ") == "" else ("   " if last else "│  ")
    return _wrap(text, width, start, f"{stem}  ")


def _wrap(text: str, width: int, start: str = "", following: str = "") -> list[str]:
    return textwrap.wrap(printable(text), width, initial_indent=start, subsequent_indent=following)


def _brought(step: Step) -> str:
    """Name the passages that a step brought into view; what TAKE took is in its own words already."""
    if step.action in {"take", "stop"}:
        return ""
    if not step.titles:
        return "brought nothing new"
    return "brought " + _listed(step.titles)


def summarise_path(result: SearchResult) -> list[str]:
    """Return what a search asked, what it took and why it stopped, a line each; titles as they are."""
    lines = []
    asks = [step.detail for step in result.path if step.action == "expand"]
    asked = Counter(found[1] for detail in asks if (found := _INDEX.match(detail)))
    also = "".join(f", then {detail}" for detail in asks if not _INDEX.match(detail))
    hops = sum(step.action == "hop" for step in result.path)
    if asked:
        often = (name if count == 1 else f"{name} ×{count}" for name, count in asked.items())
        followed = f"; followed links {_times(hops)}" if hops else ""
        lines.append(f"asked {', '.join(often)}{also}{followed}")
    taken = [title for step in result.path if step.action == "take" for title in step.titles]
    if taken:
        lines.append(f"took {_listed(taken)}")
    last = result.path[-1] if result.path else None
    if last is not None and last.action == "stop":
        lines.append(f"stopped: {last.reason}")
    elif taken or hops:
        lines.append(f"stopped: all {len(result.path)} steps that a search has were used")
    return lines


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _listed(titles: Sequence[str]) -> str:
    more = len(titles) - _SHOWN
    return ", ".join(titles[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

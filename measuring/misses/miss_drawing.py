"""Draws what was missed, and at which stage, as horizontal bars, in SVG."""

from __future__ import annotations

from html import escape
from pathlib import Path

from ...retrievers.atomic_file import write_atomically
from ...retrievers.svg import svg_picture
from .misses import MissReport

_LEFT, _TOP = 200, 76
_SPAN = 420
"""Width of a bar that stands for all misses."""
_WIDTH = _LEFT + _SPAN + 120
_STAGE, _CAUSE, _GAP = 24, 18, 8
"""Heights of the bar of a stage and of a cause, and what is left free between stages."""
_COLOURS = {
    "chunking": "#79706e",
    "routing": "#b279a2",
    "retrieval": "#4c78a8",
    "policy": "#54a24b",
    "reranking": "#e0a030",
    "reading": "#d1605e",
}


def write_misses(path: Path, report: MissReport) -> None:
    """Write the figure of a report."""
    write_atomically(path, draw_misses(report).encode())


def draw_misses(report: MissReport) -> str:
    """Return the figure: for each stage a bar as long as its share of all misses, and below it one for each cause."""
    total = len(report.misses)
    parts: list[str] = []
    top = float(_TOP)
    for stage, causes in report.counts().items():
        count = sum(causes.values())
        parts += _bar(top, _STAGE - 4, stage, count, total, _COLOURS[stage], 'font-weight="bold"')
        top += _STAGE
        for cause, number in causes.items():
            parts += _bar(top, _CAUSE - 6, cause, number, total, _COLOURS[stage], 'font-size="11" fill="#555"', 0.5)
            top += _CAUSE
        top += _GAP
    height = top + 16
    passages = sum(bool(miss.passage) for miss in report.misses)
    about = (
        f"{report.questions} questions: {passages} of {report.supporting} supporting passages missed,"
        f" {total - passages} of {report.judged_answers} answers wrong on complete evidence"
    )
    head = [
        f'<text x="20" y="26" font-size="14" font-weight="bold">What was missed: {escape(_title(report))}</text>',
        f'<text x="20" y="48" fill="#555">{escape(about)}</text>',
        f'<path d="M{_LEFT} {_TOP - 10} V{height - 12:.0f}" stroke="#888"/>',
    ]
    return svg_picture(_WIDTH, height, [*head, *parts])


def _bar(
    top: float, height: int, name: str, count: int, total: int, colour: str, text: str, opacity: float = 1.0
) -> list[str]:
    """Return a bar with its name on the left, and its count and share on the right."""
    length = _SPAN * count / total if total else 0.0
    share = 100 * count / total if total else 0.0
    middle = top + height / 2 + 4
    return [
        f'<text x="{_LEFT - 10}" y="{middle:.1f}" text-anchor="end" {text}>{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{top:.1f}" width="{length:.1f}" height="{height}" fill="{colour}"'
        f' fill-opacity="{opacity}"/>',
        f'<text x="{_LEFT + length + 8:.1f}" y="{middle:.1f}" {text}>{count} ({share:.1f} %)</text>',
    ]


def _title(report: MissReport, width: int = 60) -> str:
    return report.system if len(report.system) <= width else f"{report.system[: width - 1]}…"

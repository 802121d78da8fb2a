"""Watches a training for collapse: measures, logs, draws, and stops it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ...retrievers.atomic_file import write_atomically
from ...retrievers.differentiable.collapse import CollapseGuard, CollapseLimits, CollapseMeasures
from ...retrievers.svg import svg_picture

LOG = "collapse.jsonl"
PICTURE = "collapse.svg"
_WIDTH, _HEIGHT, _GAP = 220, 120, 60
_WORDS = {
    "alignment": "alignment (squared distance to evidence)",
    "uniformity": "uniformity (0 is collapse)",
    "effective_rank": "effective rank (1 is collapse)",
    "same_top_share": "share with the same top passage",
}


class CollapseWatch:
    """Keeps the measures of a run in ``collapse.jsonl``, one line a check, and draws them in ``collapse.svg``.

    Args:
        folder: of the run.
        rounds: how many rounds the run already holds; what was measured after them will come again.
        limits: the defaults when None.
    """

    def __init__(self, folder: Path, rounds: int = 0, limits: CollapseLimits | None = None) -> None:
        self._folder = folder
        self._limits = limits
        self._measured: list[CollapseMeasures] = []
        path = folder / LOG
        if path.exists() and rounds:
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            self._measured = [
                CollapseMeasures(**{name: line[name] for name in _WORDS}) for line in lines if line["round"] < rounds
            ]

    @property
    def started(self) -> bool:
        """Whether the state before training was measured."""
        return bool(self._measured)

    def see(self, measures: CollapseMeasures) -> dict[str, float]:
        """Note what was measured, first before training and then after every round; returns it by name.

        Raises:
            CollapseError: when training must stop; it is noted and drawn first.
        """
        self._measured.append(measures)
        guard = CollapseGuard(self._measured[0], self._limits)
        lines = [json.dumps({"round": k - 1, **m.to_json()}) + "\n" for k, m in enumerate(self._measured)]
        write_atomically(self._folder / LOG, "".join(lines).encode())
        write_atomically(self._folder / PICTURE, draw_collapse(self._measured, guard.limits).encode())
        guard.check(measures)
        return measures.to_json()


def draw_collapse(measured: Sequence[CollapseMeasures], limits: dict[str, float]) -> str:
    """Return an SVG: a curve of every measure over the checks, from before training on, and its limit, dashed."""
    width, height = 2 * (_WIDTH + _GAP) + 20, 2 * (_HEIGHT + _GAP) + 20
    parts: list[str] = []
    for number, (name, words) in enumerate(_WORDS.items()):
        left, top = 50 + number % 2 * (_WIDTH + _GAP), 40 + number // 2 * (_HEIGHT + _GAP)
        values = [m.to_json()[name] for m in measured]
        parts += _panel(left, top, words, values, limits.get(name))
    return svg_picture(width, height, parts, 11)


def _panel(left: int, top: int, words: str, values: Sequence[float], limit: float | None) -> list[str]:
    finite = [value for value in values if abs(value) < float("inf")]
    shown = [*finite, *([] if limit is None else [limit])] or [0.0]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return top + _HEIGHT * (1 - (value - low) / span)

    def x(number: int) -> float:
        return left + _WIDTH * number / max(len(values) - 1, 1)

    places = [f"{x(k):.1f} {y(value):.1f}" for k, value in enumerate(values) if abs(value) < float("inf")]
    parts = [
        f'<text x="{left}" y="{top - 12}" font-weight="bold">{escape(words)}</text>',
        f'<path d="M{left} {top} V{top + _HEIGHT} H{left + _WIDTH}" stroke="#888" fill="none"/>',
        *(
            f'<text x="{left - 4}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
            for value in sorted({low, high})
        ),
    ]
    if limit is not None:
        path = f"M{left} {y(limit):.1f} H{left + _WIDTH}"
        parts.append(f'<path d="{path}" stroke="#b03030" stroke-dasharray="5 4"/>')
    if places:
        parts.append(f'<path d="M{" L".join(places)}" stroke="#14568c" stroke-width="2" fill="none"/>')
        parts += [f'<circle cx="{p.split()[0]}" cy="{p.split()[1]}" r="3" fill="#14568c"/>' for p in places]
    return parts

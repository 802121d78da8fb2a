"""Draws how far a stated confidence can be trusted: mean confidence against share complete, as SVG."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyError
from ..retrievers.atomic_file import write_atomically
from ..retrievers.calibration import ReliabilityBin, brier_score, calibration_error, reliability
from ..retrievers.svg import svg_picture

_SIDE = 320
_LEFT, _TOP = 70, 60
_COUNTS = 60
"""Height of the bars that say how many searches a bin holds."""
_WIDTH, _HEIGHT = _LEFT + _SIDE + 30, _TOP + _SIDE + 60 + _COUNTS + 30
_GRID = "#ddd"


def write_reliability(path: Path, title: str, confidences: NDArray[np.float64], complete: NDArray[np.bool_]) -> None:
    """Write the reliability diagram of a system's searches.

    Args:
        path: of the SVG file.
        title: which system.
        confidences: stated, [n].
        complete: whether all evidence was taken, [n].

    Raises:
        PolicyError: when the system states no confidence.
    """
    if not len(confidences):
        raise PolicyError(
            f"the {title} does not say how sure it is, so there is no reliability to draw: train a policy to the end"
        )
    write_atomically(path, draw_reliability(title, confidences, complete).encode())


def draw_reliability(title: str, confidences: NDArray[np.float64], complete: NDArray[np.bool_]) -> str:
    """Return the diagram: in each bin a bar as high as the share that was complete, a dot at mean confidence, and
    below how many searches the bin holds. On the diagonal, confidence is what it says."""
    bins = reliability(confidences, complete)
    error, brier = calibration_error(confidences, complete), brier_score(confidences, complete)
    parts = [
        f'<text x="{_LEFT}" y="24" font-size="14" font-weight="bold">{escape(_shortened(title))}</text>',
        f'<text x="{_LEFT}" y="44" fill="#555">{len(confidences)} searches, calibration error {error:.3f},'
        f" Brier score {brier:.3f}</text>",
        *_axes(),
        *(part for one in bins for part in _bar(one)),
        f'<path d="M{_LEFT} {_y(0)} L{_x(1)} {_y(1)}" stroke="#888" stroke-dasharray="5 4" fill="none"/>',
        *_histogram(bins),
    ]
    return svg_picture(_WIDTH, _HEIGHT, parts)


def _axes() -> list[str]:
    parts = []
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts += [
            f'<path d="M{_LEFT} {_y(tick):.1f} H{_x(1):.1f}" stroke="{_GRID}"/>',
            f'<text x="{_LEFT - 8}" y="{_y(tick) + 4:.1f}" text-anchor="end">{tick:.1f}</text>',
            f'<text x="{_x(tick):.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{tick:.1f}</text>',
        ]
    middle, down = _LEFT + _SIDE / 2, _TOP + _SIDE / 2
    turned = f'text-anchor="middle" transform="rotate(-90 22 {down})"'
    return [
        *parts,
        f'<text x="{middle}" y="{_y(0) + 38:.1f}" text-anchor="middle">stated confidence that all is found</text>',
        f'<text x="22" y="{down}" {turned}>share where all was found</text>',
    ]


def _bar(one: ReliabilityBin) -> list[str]:
    return [
        _rectangle(one, _y(0), one.right * _SIDE, "#9ec5e8"),
        f'<circle cx="{_x(one.confidence):.1f}" cy="{_y(one.right):.1f}" r="4" fill="#14568c"/>',
    ]


def _histogram(bins: list[ReliabilityBin]) -> list[str]:
    """Return the bars that say how many searches each bin holds, with the numbers."""
    bottom = _HEIGHT - 20
    most = max(one.count for one in bins)
    parts = [f'<path d="M{_LEFT} {bottom} H{_x(1):.1f}" stroke="#888"/>']
    for one in bins:
        height = _COUNTS * 0.7 * one.count / most
        place = f'x="{_x((one.low + one.high) / 2):.1f}" y="{bottom - height - 3:.1f}"'
        parts += [
            _rectangle(one, bottom, height, "#bbb"),
            f'<text {place} text-anchor="middle" font-size="10">{one.count}</text>',
        ]
    return parts


def _rectangle(one: ReliabilityBin, bottom: float, height: float, colour: str) -> str:
    left, right = _x(one.low) + 2, _x(one.high) - 2
    size = f'width="{right - left:.1f}" height="{height:.1f}"'
    return f'<rect x="{left:.1f}" y="{bottom - height:.1f}" {size} fill="{colour}"/>'


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE


def _shortened(text: str, width: int = 44) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"

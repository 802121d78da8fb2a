"""Line charts as inline SVG: a title and a description for screen readers, colours that follow the page, and dashes
and marks, so that lines can be told apart without colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from ._html import Html, element

_WIDTH, _HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 46
_COLOURS = 8
_DASHES = (None, "7 4", "2 3", "9 3 2 3")
_TICKS = 5
_THIN = 1e-9
"""An axis from end to end is more than this, as a share of its numbers."""

_MARKED = 40
"""Points of a line that are marked at most; the marks of more would be one blot."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart.

    Attributes:
        name: for the reader.
        number: decides colour, dashes and marks.
        points: (x, y), x ascending.
        kept: x of the point that is ringed, None for none.
    """

    name: str
    number: int
    points: tuple[tuple[float, float], ...]
    kept: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows.

    Attributes:
        title: what it is about.
        x, y: what the axes say.
        lines: at least one with a point.
        diagonal: draw where y is x, over the unit square.
        border: x of a dashed upright line, with what begins there.
    """

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    diagonal: bool = False
    border: tuple[float, str] | None = None


def draw_chart(chart: Chart) -> Html:
    """Return the picture."""
    points = [point for line in chart.lines for point in line.points]
    left, right = _ends([x for x, _ in points], chart.diagonal)
    across = [tick for tick in _ticks(left, right) if left <= tick <= right + 1e-9]
    up = _ticks(*_ends([y for _, y in points], chart.diagonal))
    described = "; ".join(_described(line) for line in chart.lines)
    plane = _Plane(left, right, up[0], up[-1])
    return element(
        "svg",
        element("title", chart.title),
        element("desc", f"{chart.y} against {chart.x}. {described}."),
        *_grid(chart, plane, across, up),
        *(part for line in chart.lines for part in _line(line, plane)),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_label=f"{chart.title}: {chart.y} against {chart.x}",
    )


def swatch(number: int) -> Html:
    """Return a short piece of a line with its mark, for a legend."""
    line = Line("", number, ((0.0, 0.0), (1.0, 0.0)))
    stroke = element("path", d="M1 7 H35", class_=f"line c{number % _COLOURS}", stroke_dasharray=_dashes(line))
    return element("svg", stroke, _mark(number, 18, 7), viewBox="0 0 36 14", class_="swatch", aria_hidden="true")


def _described(line: Line) -> str:
    if not line.points:
        return f"{line.name}: nothing"
    (x, y), (last, end) = line.points[0], line.points[-1]
    top = max(value for _, value in line.points)
    return f"{line.name}: from {shown(y)} at {shown(x)} to {shown(end)} at {shown(last)}, highest {shown(top)}"


def shown(value: float) -> str:
    """Return a number with the digits that a reader wants."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where numbers lie in the picture."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return _LEFT + (value - self.left) / (self.right - self.left) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)


def _ends(values: Sequence[float], unit: bool) -> tuple[float, float]:
    """Return what an axis has to hold, never nothing; the unit square where it is asked for."""
    low, high = (0.0, 1.0) if unit or not values else (min(values), max(values))
    return (low, high) if high - low > _THIN * max(1.0, abs(high)) else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers that begin below or at the low end and end at or above the high one, evenly apart."""
    rough = (high - low) / _TICKS
    power = 10 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [step * number for number in range(first, last + 1)]


def _grid(chart: Chart, plane: _Plane, across: Sequence[float], up: Sequence[float]) -> list[Html]:
    bottom, right = plane.y(plane.low), plane.x(plane.right)
    parts = []
    for value in up:
        parts.append(element("path", d=f"M{_LEFT} {plane.y(value):.1f} H{right:.1f}", class_="grid"))
        parts.append(element("text", _tick(value, up), x=_LEFT - 7, y=plane.y(value) + 4, class_="end"))
    for value in across:
        parts.append(element("text", _tick(value, across), x=plane.x(value), y=bottom + 17, class_="middle"))
    parts.append(element("path", d=f"M{_LEFT} {bottom:.1f} H{right:.1f}", class_="axis"))
    parts.append(element("text", chart.x, x=(_LEFT + right) / 2, y=_HEIGHT - 8, class_="middle"))
    if chart.diagonal:
        parts.append(element("path", d=f"M{_LEFT} {bottom:.1f} L{right:.1f} {_TOP}", class_="guide"))
    if chart.border is not None and plane.left < chart.border[0] < plane.right:
        place = plane.x(chart.border[0])
        parts.append(element("path", d=f"M{place:.1f} {_TOP} V{bottom:.1f}", class_="guide"))
        parts.append(element("text", chart.border[1], x=place + 5, y=bottom - 6))
    return parts


def _tick(value: float, ticks: Sequence[float]) -> str:
    step = ticks[1] - ticks[0]
    return f"{value:,.{max(0, -floor(log10(step) + 1e-9))}f}"


def _line(line: Line, plane: _Plane) -> list[Html]:
    places = [(plane.x(x), plane.y(y)) for x, y in line.points]
    drawn = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (x, y) in enumerate(places))
    parts = [element("path", d=drawn or None, class_=_class(line), stroke_dasharray=_dashes(line))]
    if len(places) <= _MARKED:
        for (x, y), (across, up) in zip(places, line.points, strict=True):
            label = element("title", f"{line.name}: {shown(up)} at {shown(across)}")
            parts.append(element("g", label, _mark(line.number, x, y)))
    for (x, y), (across, _) in zip(places, line.points, strict=True):
        if across == line.kept:
            parts.append(element("circle", cx=x, cy=y, r=8, class_=f"ring s{line.number % _COLOURS}"))
    return parts


def _class(line: Line) -> str:
    return f"line c{line.number % _COLOURS}"


def _dashes(line: Line) -> str | None:
    return _DASHES[line.number // _COLOURS % len(_DASHES)]


def _mark(number: int, x: float, y: float) -> Html:
    """Return a mark: one of four shapes, so that eight colours in four shapes are told apart in grey too."""
    style = f"mark f{number % _COLOURS}"
    shape = number % 4
    if shape == 0:
        return element("circle", cx=x, cy=y, r=3.2, class_=style)
    outline = (
        f"M{x - 3:.1f} {y - 3:.1f} h6 v6 h-6 z",
        f"M{x:.1f} {y - 4:.1f} l4 7 h-8 z",
        f"M{x:.1f} {y - 4.5:.1f} l4.5 4.5 l-4.5 4.5 l-4.5 -4.5 z",
    )[shape - 1]
    return element("path", d=outline, class_=style)

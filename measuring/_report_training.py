"""The parts of a report about how runs were trained: settings and figures side by side, and the curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ._ablation import NONE, columns, differing, figures, seeds
from ._charts import Chart, Line, draw_chart, shown, swatch
from ._html import Html, element, folded, table
from ._runs import Run, Training

_MAIN = ("return", "recall", "calls", "loss")
"""What the names of curves hold that are shown at once; the others are folded."""

_SAME = 1e-9


def side_by_side(runs: Sequence[Run]) -> Html:
    """Return the table of runs: what they differ in, then their figures."""
    groups = columns(runs)
    heads = ["", *(group.name for group in groups)]
    chosen = [[name, *values] for name, values in differing(groups).items()]
    trained = [seeds(group) for group in groups]
    if set(trained) != {NONE}:
        chosen.append(["seed", *trained])
    reached = [[name, *values] for name, values in figures(groups).items()]
    parts = []
    if chosen:
        parts.append(table("What the runs differ in", heads, chosen))
    parts.append(table("Figures; of several seeds the mean ± standard deviation", heads, reached))
    return element("div", *parts)


def legend(names: Mapping[int, str]) -> Html:
    """Return what each line stands for: number -> name."""
    entries = (element("li", swatch(number), element("span", name)) for number, name in names.items())
    return element("ul", *entries, class_="legend", aria_label="lines")


def trained_lines(runs: Sequence[Run]) -> dict[int, tuple[str, Training]]:
    """Return the trainings that have a log, each once, by the number of their line, with their names."""
    found: dict[int, tuple[str, Training]] = {}
    for number, run in enumerate(runs):
        seen = [training.path.resolve() for _, training in found.values()]
        if run.training is not None and run.training.rounds and run.training.path.resolve() not in seen:
            found[number] = (run.name, run.training)
    return found


def curves(runs: Sequence[Run]) -> list[Html]:
    """Return the curves of all trainings: one chart for each figure of the logs, one line for each run."""
    trained = trained_lines(runs)
    names = dict.fromkeys(name for _, one in trained.values() for row in one.rounds for name in row if name != "round")
    main = [name for name in names if any(part in name for part in _MAIN)]
    main.sort(key=lambda name: next(place for place, part in enumerate(_MAIN) if part in name))
    more = [name for name in names if name not in main]
    parts = [
        legend({number: name for number, (name, _) in trained.items()}),
        element("p", "A ring marks the round whose policy was kept.", class_="quiet"),
        element("div", *(_curve(name, trained) for name in main), class_="charts"),
    ]
    if more:
        charts = element("div", *(_curve(name, trained) for name in more), class_="charts")
        parts.append(folded(f"{len(more)} more curves", charts))
    return parts


def _curve(name: str, trained: Mapping[int, tuple[str, Training]]) -> Html:
    lines = []
    for number, (run, training) in trained.items():
        points = tuple((row["round"], row[name]) for row in training.rounds if name in row)
        if points:
            lines.append(Line(run, number, points, _kept(training)))
    title = name.replace("_", " ")
    borders = {_border(training) for _, training in trained.values()}
    border = next(iter(borders)) if len(borders) == 1 else None
    chart = draw_chart(Chart(title, "round", title, tuple(lines), border=border))
    return element("figure", element("figcaption", title), chart, _numbers(title, name, trained))


def _kept(training: Training) -> float | None:
    """Return the round whose policy was kept; None where it is the policy that training set out from."""
    kept, score = training.metrics.get("kept_round"), training.metrics.get("score")
    for row in training.rounds:
        if row["round"] == kept and (score is None or abs(row.get("validation_score", score) - score) < _SAME):
            return kept
    return None


def _border(training: Training) -> tuple[float, str] | None:
    """Return the round at which a second phase begins, and its name."""
    for row, before, phase in zip(training.rounds[1:], training.phases, training.phases[1:], strict=False):
        if phase != before:
            return row["round"], phase
    return None


def _numbers(title: str, name: str, trained: Mapping[int, tuple[str, Training]]) -> Html:
    """Return the numbers of a chart as a table."""
    rounds = sorted({row["round"] for _, training in trained.values() for row in training.rounds if name in row})
    by_run = [{row["round"]: row[name] for row in one.rounds if name in row} for _, one in trained.values()]
    rows = [[shown(number), *(shown(one[number]) if number in one else NONE for one in by_run)] for number in rounds]
    return folded("Numbers", table(title, ["round", *(run for run, _ in trained.values())], rows))

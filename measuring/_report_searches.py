"""The parts of a report about how runs search: how sure they are, what it costs, what they miss, and by what paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..retrievers._calibration import reliability
from ._ablation import NONE, figure
from ._charts import Chart, Line, draw_chart, shown
from ._html import Html, element, folded, joined, table
from ._report_training import legend
from ._result_file import QuestionResult, Results
from ._runs import Run

Measured = dict[int, tuple[str, Results]]
"""Runs that have results, by the number of their line, with their names."""

_STEPS = 60
"""Points of a line of the costs."""

_MISSES, _PATHS = 40, 3
"""Misses and paths of a run that are told at most."""

_BY_TYPE = ("recall@5", "all_recall@5", "ndcg@10", "mrr", "calls", "latency_ms")


def measured(runs: Sequence[Run], wanted: Callable[[QuestionResult], bool]) -> Measured:
    """Return the runs of which every question has what is wanted."""
    return {
        number: (run.name, run.results)
        for number, run in enumerate(runs)
        if run.results is not None and run.results.per_question and all(map(wanted, run.results.per_question))
    }


def how_sure(runs: Measured) -> list[Html]:
    """Return the reliability diagram of all runs: stated confidence against how often all evidence was found."""
    lines, rows = [], []
    for number, (name, results) in runs.items():
        stated = np.array([one.figures["confidence"] for one in results.per_question])
        right = np.array([one.figures["complete"] for one in results.per_question])
        bins = reliability(stated, right)
        lines.append(Line(name, number, tuple((one.confidence, one.right) for one in bins)))
        rows += [
            [name, f"{one.low:.1f} to {one.high:.1f}", str(one.count), f"{one.confidence:.3f}", f"{one.right:.3f}"]
            for one in bins
        ]
    title = "Share where all was found, by stated confidence"
    chart = draw_chart(Chart(title, "stated confidence that all is found", "share where all was", tuple(lines), True))
    heads = ["run", "stated", "questions", "mean confidence", "share where all was found"]
    about = "On the dashed line a search is as often right as it says. Below it, it is too sure of itself."
    return [
        legend({number: name for number, (name, _) in runs.items()}),
        element("p", about),
        element("figure", element("figcaption", title), chart, folded("Numbers", table(title, heads, rows))),
    ]


def what_it_costs(runs: Measured) -> list[Html]:
    """Return recall within a budget: what would be found if every search that costs more had been stopped."""
    charts = [_budget(runs, "calls", "calls"), _budget(runs, "latency_ms", "milliseconds")]
    about = (
        "How much is found within a budget: the recall if every search that takes more were stopped and counted as"
        " nothing found. A line that rises early and high is best."
    )
    lines = legend({number: name for number, (name, _) in runs.items()})
    return [lines, element("p", about), element("div", *charts, class_="charts")]


def _budget(runs: Measured, cost: str, unit: str) -> Html:
    lines, rows = [], []
    for number, (name, results) in runs.items():
        costs = np.array([one.figures[cost] for one in results.per_question])
        found = np.array([one.figures["recall@5"] for one in results.per_question])
        budgets = np.unique(np.quantile(costs, np.linspace(0, 1, _STEPS), method="higher"))
        within = [float(found[costs <= budget].sum() / len(found)) for budget in budgets]
        lines.append(Line(name, number, ((0.0, 0.0), *zip(budgets.tolist(), within, strict=True))))
        middle = [shown(float(value)) for value in np.percentile(costs, [50, 95])]
        rows.append([name, shown(float(costs.mean())), *middle, f"{found.mean():.3f}"])
    title = f"recall@5 within so many {unit}"
    chart = draw_chart(Chart(title, f"{unit} of a question", "recall@5", tuple(lines)))
    heads = ["run", f"{unit}, mean", "median", "95th percentile", "recall@5"]
    return element("figure", element("figcaption", title), chart, folded("Numbers", table(title, heads, rows)))


def by_type(runs: Measured) -> Html:
    """Return the figures of each type of questions, run by run."""
    rows = []
    for name, results in runs.values():
        for kind in sorted({one.type for one in results.per_question if one.type is not None}):
            mine = [one.figures for one in results.per_question if one.type == kind]
            means = [_mean([one[metric] for one in mine if metric in one], metric) for metric in _BY_TYPE]
            rows.append([name, kind, str(len(mine)), *means])
    return table("Means of each type of questions", ["run", "type", "questions", *_BY_TYPE], rows)


def _mean(values: Sequence[float], metric: str) -> str:
    return figure(metric, float(np.mean(values))) if values else NONE


def misses(name: str, results: Results) -> list[Html]:
    """Return the questions whose evidence was not all found, the surest of themselves among the worst first."""
    missed = [one for one in results.per_question if one.missed]
    missed.sort(key=lambda one: (one.figures.get("recall@5", 0.0), -one.figures.get("confidence", 0.0)))
    about = f"{len(missed)} of {len(results.per_question)} questions miss some of their evidence among the first five."
    if len(missed) > _MISSES:
        about += f" The {_MISSES} worst are shown; the file has them all."
    parts = [element("h3", name), element("p", about)]
    if missed:
        heads = ["question", "type", "recall@5", "confidence", "not found", "found instead"]
        parts.append(table(f"Misses of {name}", heads, [_miss(one) for one in missed[:_MISSES]]))
    return parts


def _miss(one: QuestionResult) -> list[str]:
    figures = [f"{one.figures[name]:.2f}" if name in one.figures else NONE for name in ("recall@5", "confidence")]
    lost = element("ul", *(element("li", _called(named.title, named.id)) for named in one.missed))
    instead = element(
        "ol",
        *(
            element("li", _called(found.title, found.id), element("span", " ✓ supports", class_="yes"))
            if found.supports
            else element("li", _called(found.title, found.id))
            for found in one.found
        ),
    )
    return [one.question, one.type or NONE, *figures, lost, instead if one.found else "nothing"]


def _called(title: str, identifier: str) -> str:
    return title if title == identifier else f"{title} ({identifier})"


def paths(name: str, results: Results) -> list[Html]:
    """Return a few searches step by step: the longest that found all, the surest that did not, and the shortest."""
    told = [one for one in results.per_question if one.path]
    found = sorted((one for one in told if not one.missed), key=lambda one: -len(one.path))
    lost = sorted((one for one in told if one.missed), key=lambda one: -one.figures.get("confidence", 0.0))
    chosen = {one.id: one for one in (*found[:1], *lost[:1], *found[-1:])}
    return [element("h3", name), *(_path(one) for one in list(chosen.values())[:_PATHS])]


def _path(one: QuestionResult) -> Html:
    steps = []
    for step in one.path:
        named = step.titles if step.action in ("expand", "hop") else ()
        brought = f" It brought {', '.join(named)}{' and more' if len(named) > 2 else ''}." if named else ""
        why = f" because {step.reason}" if step.reason else ""
        certain = "" if step.probability == 1 else f" (probability {step.probability:.2f})"
        steps.append(element("li", element("strong", step.detail), f"{why}{certain}.{brought}"))
    lost = ", ".join(_called(named.title, named.id) for named in one.missed)
    ending = element("p", f"✗ Not found: {lost}", class_="no") if lost else element("p", "✓ All found", class_="yes")
    costs = [f"{one.figures['calls']:.0f} calls"] if "calls" in one.figures else []
    costs += [f"{one.figures['latency_ms']:.0f} ms"] if "latency_ms" in one.figures else []
    costs += [f"confidence {one.figures['confidence']:.2f}"] if "confidence" in one.figures else []
    heading = element(
        "p", element("strong", one.question), joined(" ", element("span", ", ".join(costs), class_="quiet"))
    )
    return element("article", heading, element("ol", *steps), ending, class_="path", aria_label=one.question)

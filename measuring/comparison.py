"""Compares two systems on the same questions: how far apart they are, and how likely that is to be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import QuestionsError
from ._judged_runs import JudgedRun, counted, read_judged_runs
from ._resampling import Array, bootstrap_interval, holm, randomisation_test

_USUAL = ("hits@1", "hits@10", "ndcg@10", "recall@5", "all_recall@5", "mrr")
"""Metrics that are compared unless others are asked for, where the files have them."""

_LOW_IS_GOOD = ("failure_rate", "calls", "actions", "latency_ms", "mean_rank")
"""How the names of metrics begin of which less is better."""

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two systems are apart by one metric.

    Attributes:
        metric: its name.
        type: of the questions, None for all.
        questions: how many.
        first, second: the mean of either system.
        difference: second less first.
        low, high: between these lies the difference with a confidence of 95 %.
        p: of the randomisation test, two-sided: how often chance alone puts two systems as far apart.
        exact: whether every way that chance could have it was counted.
        p_corrected: by Holm, for all metrics that are compared; that of a type for all types too.
        better, equal, worse: on how many questions the second system is better than the first, as good, or worse.
    """

    metric: str
    type: str | None
    questions: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    exact: bool
    p_corrected: float
    better: int
    equal: int
    worse: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same questions.

    Attributes:
        first, second: what they are called.
        questions: how many.
        resamples, seed: of test and intervals.
        overall: a difference for each metric.
        by_type: the same for the questions of each type, metric by metric; empty where there are no types.
    """

    first: str
    second: str
    questions: int
    resamples: int
    seed: int
    overall: tuple[Difference, ...]
    by_type: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain lists, dictionaries, strings and numbers."""
        value = asdict(self)
        return value | {name: list(value[name]) for name in ("overall", "by_type")}


def compare(
    first: Path | str,
    second: Path | str,
    *,
    metrics: Sequence[str] = (),
    questions: Path | str | None = None,
    split: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare the results of two systems, question by question.

    Args:
        first, second: files that ``evaluate`` wrote: its JSON, or a TREC run file.
        metrics: as each question has them, such as ``ndcg@10`` or ``calls``; by default the usual ones.
        questions, split: the labels, where one of them is a run file.
        resamples: of test and intervals.
        seed: of everything random: the same files give the same figures.

    Raises:
        QuestionsError: when a file cannot be read, they are over different questions, or one lacks a metric.
    """
    if resamples < 1:
        raise QuestionsError(f"{resamples} resamples say nothing: give 1 or more")
    paths = [Path(first), Path(second)]
    one, other = read_judged_runs(paths, None if questions is None else Path(questions), split)
    _check_questions(one, other)
    chosen = list(dict.fromkeys(metrics)) or [name for name in _USUAL if name in _shared(one, other)]
    _check_metrics(one, other, chosen)
    names = sorted(one.figures)  # whatever order the files have, and whichever comes first
    values = [np.array([[run.figures[name][metric] for metric in chosen] for name in names]) for run in (one, other)]
    types = {name: one.types.get(name, other.types.get(name)) for name in names}
    by_type: list[Difference] = []
    for kind in sorted({kind for kind in types.values() if kind is not None}):
        rows = [row for row, name in enumerate(names) if types[name] == kind]
        by_type += _differences(values[0][rows], values[1][rows], chosen, kind, resamples, seed)
    overall = _differences(values[0], values[1], chosen, None, resamples, seed)
    by_type.sort(key=lambda one: (chosen.index(one.metric), one.type))
    return Comparison(one.system, other.system, len(names), resamples, seed, _corrected(overall), _corrected(by_type))


def _shared(one: JudgedRun, other: JudgedRun) -> list[str]:
    """Return the metrics that every question of both has, in their order."""
    everything = [figures.keys() for run in (one, other) for figures in run.figures.values()]
    return [name for name in everything[0] if all(name in there for there in everything)]


def _check_questions(one: JudgedRun, other: JudgedRun) -> None:
    lacking = [name for name in one.figures if name not in other.figures]
    strange = [name for name in other.figures if name not in one.figures]
    if lacking or strange:
        raise QuestionsError(
            f"lacks {counted(lacking)} of the {len(one.figures)} of {one.path}, and has {counted(strange)} that are not"
            " there: compare results over the same questions and split",
            other.path,
        )


def _check_metrics(one: JudgedRun, other: JudgedRun, metrics: Sequence[str]) -> None:
    there = ", ".join(_shared(one, other))
    for run in (one, other):
        for metric in metrics:
            lacking = [name for name, figures in run.figures.items() if metric not in figures]
            if lacking:
                raise QuestionsError(
                    f"has no {metric!r} of {counted(lacking)}: every question of both files has {there or 'none'}",
                    run.path,
                )


def _differences(
    first: Array, second: Array, metrics: Sequence[str], kind: str | None, resamples: int, seed: int
) -> list[Difference]:
    """Compare the results [n, m] of n questions by m metrics; p-values are not corrected yet."""
    apart = second - first
    generator = np.random.default_rng(seed)
    p, exact = randomisation_test(apart, resamples, generator)
    low, high = bootstrap_interval(apart, resamples, generator)
    found = []
    for k, metric in enumerate(metrics):
        sign = -1 if metric.startswith(_LOW_IS_GOOD) else 1
        better, worse = (int((apart[:, k] * sign * side > 0).sum()) for side in (1, -1))
        found.append(
            Difference(
                metric,
                kind,
                len(apart),
                first=float(first[:, k].mean()),
                second=float(second[:, k].mean()),
                difference=float(apart[:, k].mean()),
                low=float(low[k]),
                high=float(high[k]),
                p=float(p[k]),
                exact=exact[k],
                p_corrected=float(p[k]),
                better=better,
                equal=len(apart) - better - worse,
                worse=worse,
            )
        )
    return found


def _corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    corrected = holm(np.array([one.p for one in differences]))
    return tuple(replace(one, p_corrected=float(p)) for one, p in zip(differences, corrected, strict=True))

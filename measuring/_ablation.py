"""Runs side by side: what they differ in, and their figures; runs that differ in the seed alone are one column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ._charts import shown
from ._runs import MEASURED, Run

NONE = "–"

_SHARES = ("@", "mrr", "answer_", "confidence", "complete", "unanswered", "calibration", "brier", "return", "score")
"""What names of figures hold that lie between 0 and 1; they are shown to three places."""


@dataclass(frozen=True, slots=True)
class Column:
    """Runs of one thing, of several seeds or one."""

    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """What it is called."""
        names = ", ".join(run.name for run in self.runs)
        return names if len(self.runs) == 1 else f"{len(self.runs)} seeds: {names}"

    def figure(self, name: str) -> str:
        """Return a figure in words: of several seeds the mean and the standard deviation."""
        values = [run.figures()[name] for run in self.runs if name in run.figures()]
        if not values:
            return NONE
        mean = figure(name, float(np.mean(values)))
        if len(values) == 1:
            return mean if len(self.runs) == 1 else f"{mean} (one seed)"
        return f"{mean} ± {figure(name, float(np.std(values, ddof=1)))}"


def figure(name: str, value: float) -> str:
    """Return a figure with the digits that it has."""
    return f"{value:.3f}" if any(part in name for part in _SHARES) else shown(value)


def columns(runs: Sequence[Run]) -> list[Column]:
    """Return runs in columns, those of several seeds of one thing together."""
    alike: dict[tuple[object, ...], list[Run]] = {}
    for number, run in enumerate(runs):
        seed = None if run.training is None else run.training.seed
        # without a seed nothing says that two are of one thing
        key = (number,) if seed is None else (run.results is None, *sorted(run.settings().items()))
        group = alike.setdefault(key, [])
        if any(other.training is not None and other.training.seed == seed for other in group):
            alike[(number,)] = [run]
        else:
            group.append(run)
    return [Column(tuple(group)) for group in alike.values()]


def differing(groups: Sequence[Column]) -> dict[str, list[str]]:
    """Return the settings that are not the same everywhere: name -> value of each column.

    What is not trained has no settings of a training, which is no difference in each of them.
    """
    known = [group.runs[0].settings() for group in groups]
    told = {}
    for name in dict.fromkeys(name for settings in known for name in settings):
        alike = [settings for settings in known if any(_kind(other) == _kind(name) for other in settings)]
        if len({settings.get(name) for settings in alike}) > 1:
            told[name] = [settings.get(name, NONE) for settings in known]
    return told


def _kind(name: str) -> bool:
    return name.startswith(MEASURED)


def seeds(group: Column) -> str:
    """Return the seeds of a column."""
    known = [run.training.seed for run in group.runs if run.training is not None and run.training.seed is not None]
    return ", ".join(dict.fromkeys(known)) or NONE


def figures(groups: Sequence[Column]) -> dict[str, list[str]]:
    """Return every figure that any column has: name -> of each column."""
    known: list[Mapping[str, float]] = [run.figures() for group in groups for run in group.runs]
    names = dict.fromkeys(name for one in known for name in one)
    return {name: [group.figure(name) for group in groups] for name in names}

"""What a report is made of: the folders of training runs, and the JSON of evaluations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import PolicyError
from ._result_file import Results, read_results

_RUN, _LOG, _METRICS = "run.json", "log.jsonl", "metrics.json"

_MOST = 1e300
"""Beyond this no number is a figure, nor are infinity and what is no number."""

MEASURED = "measured: "
"""Stands before the settings of an evaluation; the others are those of a training."""

Round = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Training:
    """What ``train`` or a tuner left in a folder.

    Attributes:
        path: of the folder.
        settings: name -> value, in words; the seed is not among them.
        seed: None where none is told.
        rounds: of the log, in order: name -> figure, with ``round``; empty without a log.
        phases: what each of the rounds is called.
        metrics: of what was kept, on validation; empty while training has not come to its end.
    """

    path: Path
    settings: Mapping[str, str]
    seed: str | None
    rounds: tuple[Round, ...]
    phases: tuple[str, ...]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a report.

    Attributes:
        name: what tells it from the others.
        training: None where only results are known.
        results: of an evaluation; None where only the training is known.
    """

    name: str
    training: Training | None
    results: Results | None

    def settings(self) -> dict[str, str]:
        """Return what was chosen: how it was trained, and what it was measured on; without the seed."""
        trained = {} if self.training is None else dict(self.training.settings)
        if self.results is None:
            return trained
        chosen = dict(self.results.settings)
        if self.training is not None:  # whose settings say more than its folder's name
            chosen.pop("policy", None)
        elif "policy" not in chosen:
            chosen.setdefault("system", self.results.system)
        return trained | {f"{MEASURED}{name}": value for name, value in chosen.items()}

    def figures(self) -> dict[str, float]:
        """Return the figures over all questions, and before them those of the training's own validation."""
        trained = {} if self.training is None else self.training.metrics
        measured = {} if self.results is None else self.results.figures
        own = {f"validation: {name}": value for name, value in trained.items() if name != "kept_round"}
        return own | {name: value for name, value in measured.items() if "[" not in name}


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read folders of trainings and files of evaluations; an evaluation of a training's policy is joined with it.

    Raises:
        PolicyError: when a folder is none that ``train`` or a tuner wrote, or is damaged.
        QuestionsError: when a file is none that ``evaluate --json`` wrote.
    """
    trainings: dict[Path, Training] = {}
    results = []
    for path in dict.fromkeys(paths):
        if path.is_dir():
            trainings[path.resolve()] = read_training(path)
        else:
            results.append(read_results(path))
    evaluated = [(one.path, _trained(one, trainings), one) for one in results]
    measured = {training.path for _, training, _ in evaluated if training is not None}
    alone = [(training.path, training, None) for training in trainings.values() if training.path not in measured]
    found = [*alone, *evaluated]
    names = _names([path for path, _, _ in found])
    return [Run(name, training, one) for name, (_, training, one) in zip(names, found, strict=True)]


def _trained(results: Results, trainings: dict[Path, Training]) -> Training | None:
    """Return the training of the policy that was measured: among those given, or where its folder is still there."""
    policy = results.settings.get("policy")
    if policy is None:
        return None
    folder = Path(policy)
    if folder.resolve() in trainings:
        return trainings[folder.resolve()]
    return read_training(folder) if (folder / _RUN).is_file() else None


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the shortest ends of paths that tell them apart."""
    parts = [path.resolve().parts for path in paths]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(set(parts)):
        depth += 1
    return ["/".join(part[-depth:]).replace("//", "/") for part in parts]


def read_training(folder: Path) -> Training:
    """Read the folder of a training, which may still be going on.

    Raises:
        PolicyError: when it is none, or is damaged.
    """
    if not any((folder / name).is_file() for name in (_RUN, _LOG, _METRICS)):
        raise PolicyError(
            f"{folder} is no folder of a run, it has no {_RUN}, {_LOG} or {_METRICS}: give one that `trailhound train`"
            " wrote, or a file of `trailhound evaluate --json`"
        )
    described = _object(folder / _RUN)
    settings = _flat(described)
    seed = settings.pop("seed", None)
    rounds, phases = _rounds(folder / _LOG)
    metrics = {name: float(value) for name, value in _object(folder / _METRICS).items() if _number(value)}
    return Training(folder, settings, seed, rounds, phases, metrics)


def _object(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file; empty where there is none."""
    if not path.is_file():
        return {}
    value = _json(path.read_bytes(), path)
    if not isinstance(value, dict):
        raise PolicyError(f"{path} is damaged (no JSON object): leave this run out, or train it again")
    return value


def _json(text: bytes, place: Path | str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{place} is damaged ({error}): leave this run out, or train it again") from error


def _flat(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings in words; those of the recipe by their own names."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if name == "recipe" and isinstance(value, dict):
            flat |= _flat(value)
        else:
            flat[name] = _worded(value)
    return flat


def _worded(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_worded(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_worded, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def _rounds(path: Path) -> tuple[tuple[Round, ...], tuple[str, ...]]:
    """Return the figures of every round and their phases; a last line that is being written is left out."""
    if not path.is_file():
        return (), ()
    *lines, _ = path.read_bytes().split(b"\n")
    rounds, phases = [], []
    for number, line in enumerate(lines, start=1):
        value = _json(line, f"{path}:{number}")
        if not isinstance(value, dict) or not _number(value.get("round")):
            raise PolicyError(f"{path}:{number} is damaged (no round): leave this run out, or train it again")
        rounds.append({name: float(figure) for name, figure in value.items() if _number(figure)})
        phases.append(str(value.get("phase", "")))
    return tuple(rounds), tuple(phases)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST < value < _MOST

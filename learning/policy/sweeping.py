"""Sweeps: many trainings with other settings, on a Ray cluster; the worse ones end early, the best one is kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...agent._policy_file import load_policy
from ...errors import PolicyError, RecipeError, WorkerError
from ...retrievers._atomic_file import storing, write_json
from ...retrievers.protocols import Progress
from ...retrievers.vectors._minilm import load_adapter
from .._run_folder import claim
from ..training_questions import TrainingSource
from ._tried import check_comparable, trials_of, values_of
from .recipe import Recipe, check, load_recipe, recipe_of
from .training import train


@dataclass(frozen=True, slots=True)
class SweepTrial:
    """One training of a sweep.

    Attributes:
        number: from 1 on; its run is in the folder ``trials/NUMBER`` of the sweep.
        settings: what was tried.
        outcome: ``trained`` to its end, ``stopped`` early, or ``failed``.
        score: on validation, of the policy that it kept; None where it failed.
        rounds: rounds of training that it had.
        error: why it failed, else None.
    """

    number: int
    settings: Mapping[str, Any]
    outcome: str
    score: float | None
    rounds: int
    error: str | None


@dataclass(frozen=True, slots=True)
class SweepReport:
    """A finished sweep.

    Attributes:
        policy: folder of the best policy, which is that of the sweep.
        best: the trial that it is from: the highest score of those that were trained to their end, the first of equals.
        trials: all of them, in their order; the first has the settings of the recipe as it stands.
    """

    policy: Path
    best: SweepTrial
    trials: tuple[SweepTrial, ...]


def sweep(
    sources: Sequence[TrainingSource],
    out: Path | str,
    tried: Mapping[str, str],
    *,
    trials: int = 8,
    stop_early: bool = True,
    cluster: str = "local",
    validation: Sequence[TrainingSource] = (),
    start: Path | None = None,
    hop_encoder: Path | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    supervision: str = "passages",
    reader: str | None = None,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> SweepReport:
    """Train with several settings of a recipe on a Ray cluster, and keep the policy with the best validation score.

    A trial is what :func:`train` does with its settings and the same seed, on one CPU; the best one's run is copied to
    ``out``. A sweep that was interrupted goes on when it is called again, and one that is finished is read.

    Args:
        sources: what to learn from, see :func:`train`; all machines must see indexes and questions at these paths.
        out: folder of the sweep, which all machines must see.
        tried: settings, each with a range as ``1e-4..1e-2``, or values as ``32,64``. A range is drawn from evenly, or
            by its logarithm where its end is ten times its beginning.
        trials: how many there are at most, with that of the recipe as it stands.
        stop_early: whether trials that fall behind end before their last round.
        cluster: address of the cluster, ``auto`` for the one that runs, or ``local`` for one of this machine; nothing
            where this process is connected to one already.
        validation, start, hop_encoder, recipe, supervision, reader: of every trial, see :func:`train`.
        seed: of the settings that are drawn, and of every training.
        warn, progress: called with each warning, and with (stage, trials that ended, all trials).

    Raises:
        RecipeError: when a setting is unknown, cannot be tried, or no trial has a round.
        PolicyError: when ``out`` holds another sweep, or another run.
        MissingExtraError: when Ray Tune is not installed.
        WorkerError: when all trials failed.
        TrailhoundError: what a training raises; the same call goes on.
    """
    begun = None if start is None else load_policy(Path(start))
    base = recipe or load_recipe(start=begun)
    settings = trials_of(values_of(tried, base), base, trials, seed)
    check_comparable(list(tried), supervision, bool(validation), begun is not None)
    arguments: dict[str, Any] = {"validation": validation, "start": start, "hop_encoder": hop_encoder, "seed": seed}
    arguments |= {"supervision": supervision, "reader": reader}
    work = _Trials(Path(out).absolute(), sources, base, settings, arguments)
    most_rounds = max(_rounds(work.recipe(number), seed, begun is not None) for number in range(len(settings)))
    folder = _Folder(work.folder)
    described = {"tried": dict(tried), "seed": seed, "stop_early": stop_early}
    folder.claim({**described, **work.describe()})
    if not folder.finished:
        told = (warn or (lambda message: None), progress or (lambda stage, done, total: None))
        if len(settings) < trials:
            told[0](f"only {len(settings)} trials differ, not {trials}")
        folder.finish(described, _run(work, most_rounds, stop_early, cluster, *told))
    return folder.report()


def _rounds(recipe: Recipe, seed: int, goes_on: bool) -> int:
    """Return how many rounds a recipe has at most.

    Raises:
        RecipeError: when it has none.
    """
    check(recipe, seed, goes_on)
    rounds = recipe.imitation_epochs + recipe.ppo_iterations
    if not rounds:
        raise RecipeError(
            "a sweep compares trials after each round, and one of them has no rounds: set ppo_iterations above 0, or"
            " begin anew instead of going on from a policy"
        )
    return rounds


@dataclass(frozen=True, slots=True)
class _Trials:
    """The trials of a sweep, as they travel to the machines that they run on.

    Attributes:
        folder: of the sweep.
        sources: what is learned from.
        base: the recipe.
        settings: of it that each trial has instead.
        arguments: others of :func:`.training.train`.
    """

    folder: Path
    sources: Sequence[TrainingSource]
    base: Recipe
    settings: Sequence[Mapping[str, Any]]
    arguments: Mapping[str, Any]

    def describe(self) -> dict[str, Any]:
        """Return everything that decides what the trials lead to."""
        start, hop_encoder = self.arguments["start"], self.arguments["hop_encoder"]
        return {
            "trials": self.settings,
            "recipe": self.base.model_dump(),
            "sources": [source.describe() for source in self.sources],
            "validation": [source.describe() for source in self.arguments["validation"]],
            "start": None if start is None else load_policy(Path(start)).digest,
            "hop_encoder": None if hop_encoder is None else load_adapter(Path(hop_encoder)).digest,
            **{name: self.arguments[name] for name in ("seed", "supervision", "reader")},
        }

    def recipe(self, number: int) -> Recipe:
        """Return the recipe of a trial."""
        return recipe_of({**self.base.model_dump(), **self.settings[number]})

    def train(
        self, number: int, after_round: Callable[[int, float], None], warn: Callable[[str], None]
    ) -> tuple[int, float]:
        """Do what a trial does; returns its rounds and its validation score."""
        out = self.folder / "trials" / str(number + 1)
        figures = out / "metrics.json"
        if figures.exists():  # it is written last
            score = float(json.loads(figures.read_text("utf-8"))["score"])
        else:
            how = {**self.arguments, "recipe": self.recipe(number), "device": "cpu"}
            score = train(self.sources, out, **how, after_round=after_round, warn=warn).metrics["score"]
        return len((out / "log.jsonl").read_text("utf-8").splitlines()), score


def _run(
    work: _Trials,
    most_rounds: int,
    stop_early: bool,
    cluster: str,
    warn: Callable[[str], None],
    progress: Progress,
) -> list[SweepTrial]:
    """Run all trials on the cluster."""
    from ...retrievers._ray_cluster import connect
    from ._ray_trials import run_trials

    connect(cluster)
    ended = run_trials(work.train, len(work.settings), most_rounds, stop_early, work.folder / "sweep", warn, progress)
    return [
        SweepTrial(one.number + 1, work.settings[one.number], one.how, one.score, one.rounds, one.error)
        for one in ended
    ]


class _Folder:
    """The folder of a sweep: ``sweep/`` says whose it is, ``sweep.json`` is written last, the rest is the best run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._result = path / "sweep.json"

    @property
    def finished(self) -> bool:
        """Whether all has been written."""
        return self._result.exists()

    def claim(self, described: Mapping[str, Any]) -> None:
        """Make the folder this sweep's.

        Raises:
            PolicyError: when it is another's.
        """
        if not (self.path / "sweep").exists() and (self.path / "run.json").exists():
            raise PolicyError(f"{self.path} holds a run already: choose another folder or delete it")
        claim(self.path / "sweep", described, resume=True)

    def finish(self, described: Mapping[str, Any], trials: Sequence[SweepTrial]) -> None:
        """Copy the best run, and write what came of all.

        Raises:
            WorkerError: when all have failed.
        """
        trained = [trial for trial in trials if trial.outcome == "trained"]
        if not trained:
            raise WorkerError(
                f"no trial came to its end, and the first failed ({trials[0].error}): once that is mended, delete"
                f" {self.path} and sweep again"
            )
        best = max(trained, key=lambda trial: trial.score or 0.0)
        with storing(self.path):
            shutil.copytree(self.path / "trials" / str(best.number), self.path, dirs_exist_ok=True)
        write_json(self._result, {**described, "best": best.number, "trials": [asdict(trial) for trial in trials]})

    def report(self) -> SweepReport:
        """Read what came of all."""
        result = json.loads(self._result.read_text("utf-8"))
        trials = tuple(SweepTrial(**trial) for trial in result["trials"])
        return SweepReport(self.path, next(trial for trial in trials if trial.number == result["best"]), trials)

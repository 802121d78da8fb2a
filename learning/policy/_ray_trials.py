"""Trials as actors of a Ray cluster: Ray Tune starts them, ends some early, and goes on after an interruption.

What a trial has learned lies in its own folder, from which it goes on. Ray Tune keeps which trials there are, how far
they have come, and what its scheduler has seen. It is written every ten seconds, and when all is done.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from ...errors import MissingExtraError, TrailhoundError
from ...retrievers._ray_cluster import about_cpus, ray
from ...retrievers.protocols import Progress
from ._ray_workers import MOST_LOSSES
from ._workers import ALONE, outcome

try:
    from ray import tune
except ImportError as error:
    raise MissingExtraError("Ray Tune", "scale", "a sweep") from error

Trial = Callable[[int, Callable[[int, float], None], Callable[[str], None]], tuple[int, float]]
"""Trains with the settings of a number, and returns how many rounds were done and the score. Called with what to call
after each round (see :func:`.training.train`), and with each warning."""

REDUCTION = 3
"""One trial in so many goes on after the comparison, which comes after one round in so many: sooner says little."""


LONG = 60.0
"""Seconds after which it is said that no trial has begun."""

_NEW_OUTPUT = "RAY_AIR_NEW_OUTPUT"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a trial ended.

    Attributes:
        number: of the trial, from 0 on.
        how: ``trained`` to its end, ``stopped`` early, or ``failed``.
        score: on validation, of the policy that it kept; None where it failed.
        rounds: that it was trained for.
        error: why it failed.
    """

    number: int
    how: Literal["trained", "stopped", "failed"]
    score: float | None
    rounds: int
    error: str | None = None


def run_trials(
    trial: Trial,
    count: int,
    most_rounds: int,
    stop_early: bool,
    state: Path,
    warn: Callable[[str], None],
    progress: Progress,
) -> list[Ended]:
    """Run trials 0 to ``count`` - 1, as many side by side as there are CPUs; returns how they ended, in that order.

    This process must be connected to the cluster. Early stopping is that of Li et al. 2020 (A System for Massively
    Parallel Hyperparameter Tuning, MLSys; ASHA): a trial that reaches the comparison ends there, unless it is among the
    best third of those that have reached it so far.

    Args:
        trial: what each of them does; begun again, it must go on from where it was.
        count: how many there are; each takes one CPU.
        most_rounds: that any of them has.
        stop_early: whether the worse ones end early.
        state: folder of what Ray Tune keeps; of the same trials, where there is any.
        warn: called with each warning, of the trials and about them.
        progress: called with (stage, trials that ended, ``count``).

    Raises:
        TrailhoundError: what one of the trials raises; the same call goes on.
    """
    scheduler: Any = tune.schedulers.FIFOScheduler()
    if stop_early:
        first = math.ceil((most_rounds + 1) / REDUCTION)
        rounds: dict[str, Any] = {"time_attr": "rounds", "grace_period": first, "max_t": most_rounds + 1}
        scheduler = tune.schedulers.ASHAScheduler(**rounds, reduction_factor=REDUCTION)
    watcher = _Watcher(scheduler, count, warn, progress)
    work = {"trial": ray.cloudpickle.dumps(trial), "folder": Path.cwd()}
    # In a thread of its own Ray Tune leaves signals alone: this one hears them.
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(_run_tune, tune.with_parameters(_be_trial, **work), count, state, scheduler, watcher)
        try:
            analysis = running.result()
        except KeyboardInterrupt as interrupted:
            watcher.end(interrupted)
            raise
        except _EndedError:
            assert watcher.reason is not None
            raise watcher.reason from None
    return sorted((_ended(one) for one in analysis.trials), key=lambda ended: ended.number)


def _run_tune(trainable: Any, count: int, state: Path, scheduler: Any, watcher: _Watcher) -> Any:
    begun = any((state / "tune").glob("experiment_state-*.json"))
    with _quiet():
        return tune.run(
            trainable,
            config={"trial": tune.grid_search(list(range(count)))},
            metric="score",
            mode="max",
            scheduler=scheduler,
            callbacks=[watcher],
            resources_per_trial={"cpu": 1},
            max_failures=MOST_LOSSES,
            raise_on_failed_trial=False,
            storage_path=str(state.absolute()),
            name="tune",
            resume="AUTO+ERRORED" if begun else None,
            trial_dirname_creator=lambda one: str(one.config["trial"]),
            verbose=0,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray Tune from printing: only its older output knows silence."""
    before = os.environ.get(_NEW_OUTPUT)
    os.environ[_NEW_OUTPUT] = "0"
    try:
        yield
    finally:
        os.environ.pop(_NEW_OUTPUT)
        if before is not None:
            os.environ[_NEW_OUTPUT] = before


def _be_trial(config: dict[str, Any], trial: bytes, folder: Path) -> None:
    """Be a trial, in the folder where the sweep was started."""
    os.chdir(folder)
    torch.set_num_threads(1)  # as `train` does: in this thread, and other sums would make another policy
    warned: list[str] = []

    def report(rounds: int, score: float, **more: Any) -> None:
        tune.report({"trial": config["trial"], "rounds": rounds, "score": score, "warned": [*warned], **more})

    error, ended = outcome(ALONE, {}, lambda team, work: work(config["trial"], report, warned.append), _loaded(trial))
    if ended is not None:
        report(*ended, trained=True)
    elif isinstance(error, TrailhoundError):
        report(0, -math.inf, error=error)
    else:
        report(0, -math.inf, failed=f"{type(error).__name__}: {error}")


def _loaded(trial: bytes) -> Trial:
    loaded: Trial = ray.cloudpickle.loads(trial)
    return loaded


def _ended(one: Any) -> Ended:
    """Return how a trial of Ray Tune ended."""
    number, last = one.config["trial"], one.last_result or {}
    if one.status == "ERROR":
        return Ended(number, "failed", None, last.get("rounds", 0), f"its process was lost {MOST_LOSSES + 1} times")
    if "failed" in last:
        return Ended(number, "failed", None, last["rounds"], last["failed"])
    return Ended(number, "trained" if "trained" in last else "stopped", last["score"], last["rounds"])


class _EndedError(Exception):
    """Ends Ray Tune from outside."""


class _Watcher(tune.Callback):  # type: ignore[misc]
    """Says how far the trials have come, keeps what the scheduler has seen, and ends Ray Tune where it must.

    Attributes:
        reason: why Ray Tune is to end; None while it may go on.
    """

    def __init__(self, scheduler: Any, count: int, warn: Callable[[str], None], progress: Progress) -> None:
        self.reason: BaseException | None = None
        self._scheduler = scheduler
        self._count = count
        self._warn = warn
        self._progress = progress
        self._warned: set[str] = set()
        self._told: object = None
        self._idle_since: float | None = None

    def end(self, reason: BaseException) -> None:
        """End Ray Tune, and with it all trials, at its next step."""
        self.reason = self.reason or reason

    def get_state(self) -> dict[str, Any]:
        """Return what the scheduler has seen: Ray Tune itself does not keep it."""
        return dict(vars(self._scheduler))

    def set_state(self, state: dict[str, Any]) -> None:
        """Let the scheduler have seen what it had."""
        vars(self._scheduler).update(state)

    def on_step_begin(self, iteration: int, trials: Sequence[Any], **info: Any) -> None:
        """Tell how far the trials have come."""
        if self.reason is not None:
            raise _EndedError
        scores = [one.last_result.get("score", -math.inf) for one in trials if one.last_result]
        best = max(scores, default=-math.inf)
        told = (sum(one.is_finished() for one in trials), best)
        if told != self._told:
            self._told = told
            self._progress(f"trials, best {best:.3f}" if math.isfinite(best) else "trials", told[0], self._count)
        self._look_for_room(any(one.status == "RUNNING" for one in trials))

    def _look_for_room(self, running: bool) -> None:
        """Warn when no trial could begin for a while."""
        now = time.monotonic()
        if running or self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since > LONG:
            self._idle_since = math.inf
            self._warn(f"no trial has begun yet, each of which takes a CPU: {about_cpus()}")

    def on_trial_result(
        self, iteration: int, trials: Sequence[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on warnings that are new, and the error of a trial that concerns all."""
        for message in result.pop("warned", []):
            if message not in self._warned:
                self._warned.add(message)
                self._warn(message)
        if (error := result.pop("error", None)) is not None:
            self.end(error)

    def on_trial_recover(self, iteration: int, trials: Sequence[Any], trial: Any, **info: Any) -> None:
        """Warn of a process that was lost."""
        self._warn(f"trial {trial.config['trial'] + 1} was lost: it goes on from its last checkpoint")

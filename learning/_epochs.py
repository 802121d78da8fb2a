"""The one loop of epochs of every tuner: claim the folder, resume, log, watch for collapse, keep the best.

A run is a folder. Its checkpoint after every epoch is whole or not there, and all that is random comes from the seed
and the number of the epoch: a run that was killed, or stopped by Ctrl-C, goes on to the same weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..retrievers._atomic_file import write_json
from ..retrievers.differentiable.collapse import CollapseGuard, CollapseLimits, CollapseMeasures
from ..retrievers.protocols import Progress
from ._run_folder import Progressed, RunLog, claim, load_checkpoint, save_checkpoint

METRICS = "metrics.json"

Report = Callable[[int, int], None]
"""Called with (done, total) at every batch of an epoch."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EpochRun:
    """What a tuner hands to the loop.

    Attributes:
        out: folder of the run.
        described: everything that decides what the run leads to, JSON values.
        phase: what it is called in progress and logs.
        epochs: passes over the training questions.
        network: what learns; its state is checkpointed.
        optimizer: of the network.
        learn: makes the pass of a number, calls the report at every batch, and returns the mean loss.
        validate: returns the figures of questions held out, ``score`` among them: higher is better.
        keep: stores the network in the folder, given the figures; called whenever the score is the best so far. None
            where the network of the last epoch is what counts.
        measure: measures the vectors of the questions that are watched for collapse; None to watch none.
        limits: of the collapse guard; the defaults when None.
        name: tells several trainings in one folder apart; it goes into the names of checkpoint and log.
    """

    out: Path
    described: Mapping[str, Any]
    phase: str
    epochs: int
    network: nn.Module
    optimizer: torch.optim.Optimizer
    learn: Callable[[int, Report], float]
    validate: Callable[[], dict[str, float]]
    keep: Callable[[dict[str, float]], None] | None = None
    measure: Callable[[], CollapseMeasures] | None = None
    limits: CollapseLimits | None = None
    name: str = ""


def run_epochs(run: EpochRun, progress: Progress | None = None) -> dict[str, float]:
    """Run the epochs that are left of a run; returns the figures of the epoch that is kept.

    Beside those of :attr:`EpochRun.validate` these are ``loss``, ``untuned_score`` (before training), ``epoch`` (the
    one that is kept, from 0) and ``seconds``.

    Args:
        run: what is trained, and how.
        progress: called with (stage, done, total); the stage names the epoch and the best validation score so far.

    Raises:
        CollapseError: when the vectors of the questions that are watched collapse.
        PolicyError: when the folder holds a run of other settings, or its checkpoint is damaged.
    """
    claim(run.out, run.described, resume=True)
    untuned = run.validate()["score"]  # the network as the seed made it: the same again when the run is resumed
    guard = CollapseGuard(run.measure(), run.limits) if run.measure is not None else None
    progressed = Progressed()
    checkpoint = run.out / f"{run.name}{'-' if run.name else ''}checkpoint.safetensors"
    if checkpoint.exists():
        progressed = load_checkpoint(checkpoint, run.network, run.optimizer)
    log = RunLog(run.out, progressed.rounds, run.name or "log")
    try:
        while progressed.rounds < run.epochs:
            started = time.monotonic()
            number = progressed.rounds
            best = max(progressed.peak, untuned)
            stage = f"{run.phase}, epoch {number + 1}/{run.epochs}, validation {best:.3f}"
            report = partial(progress, stage) if progress is not None else lambda done, total: None
            loss = run.learn(number, report)
            figures = {"loss": loss, **run.validate(), "untuned_score": untuned}
            measures = run.measure() if run.measure is not None else None
            log.write(number, run.phase, {**figures, **({} if measures is None else measures.to_json())})
            if guard is not None and measures is not None:
                guard.check(measures)
            if figures["score"] > progressed.peak or run.keep is None:
                progressed.peak, progressed.peak_round = max(figures["score"], progressed.peak), number
                progressed.kept_round, progressed.kept = number, figures
                if run.keep is not None:
                    run.keep(figures)
            progressed.rounds += 1
            progressed.seconds += time.monotonic() - started
            save_checkpoint(checkpoint, run.network, run.optimizer, progressed)
    finally:
        log.close()
    return {**progressed.kept, "epoch": float(progressed.kept_round), "seconds": progressed.seconds}


def write_metrics(out: Path, settings: Mapping[str, Any], figures: Mapping[str, float]) -> None:
    """Write ``metrics.json``: what was trained (objective, operator and the like), and its validation figures."""
    write_json(out / METRICS, {**settings, **figures})


def learn_batches(
    batches: Sequence[T],
    loss: Callable[[T], Tensor],
    optimizer: torch.optim.Optimizer,
    report: Report,
    *,
    first_step: int = 0,
    steps: int | None = None,
) -> float:
    """Take a gradient step on the loss of every batch; returns the mean loss, 0 of no batch.

    Args:
        batches: in order.
        loss: of a batch, a scalar.
        optimizer: its groups carry ``peak``, the highest rate of their schedule, where ``steps`` are given.
        report: called with (done, total).
        first_step: the number of the first step in the schedule.
        steps: of the whole schedule; then the rate follows :func:`schedule` and gradients are clipped to norm 1.
    """
    losses = []
    for done, batch in enumerate(batches):
        if steps is not None:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(first_step + done, steps)
        value = loss(batch)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        if steps is not None:
            nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()
        losses.append(value.item())
        report(done + 1, len(batches))
    return float(np.mean(losses)) if losses else 0.0


def schedule(step: int, steps: int, warm_up: int = 20) -> float:
    """Return the share of the highest rate at a step: linear up over ``warm_up``, then a cosine down to a twentieth."""
    if step < warm_up:
        return (step + 1) / warm_up
    share = min((step - warm_up) / max(steps - warm_up, 1), 1.0)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share))


def epoch_generator(seed: int, number: int) -> np.random.Generator:
    """Return the random numbers of an epoch, and seed torch's (dropout, noise) from them."""
    generator = np.random.default_rng([seed, number])
    torch.manual_seed(int(generator.integers(2**31)))
    return generator


def like_length_batches(
    items: Sequence[T],
    source: Callable[[T], int],
    lengths: Callable[[Sequence[T]], Sequence[int]],
    size: int,
    generator: np.random.Generator,
) -> list[list[T]]:
    """Split items, drawn in random order, into batches of up to ``size`` of one source and of like length.

    They are sorted by length in parts of eight batches only, so that batches differ by epoch.
    """
    batches = []
    for number in sorted({source(item) for item in items}):
        mine = [item for item in items if source(item) == number]
        for first in range(0, len(mine), 8 * size):
            part = mine[first : first + 8 * size]
            part = [part[k] for k in np.argsort(lengths(part), kind="stable")]
            batches += [part[k : k + size] for k in range(0, len(part), size)]
    return [batches[k] for k in generator.permutation(len(batches))]

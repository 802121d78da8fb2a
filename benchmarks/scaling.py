"""How training scales: the same command with one worker and with two (or more), one after the other.

    python benchmarks/scaling.py --index w.index --questions data/w --split train \
        --recipe 2wiki \
        --set imitation_epochs=3 --set ppo_iterations=3 --set reader_epochs=0

On a machine with a GPU, --device cuda --workers 1 8 16 shares it among workers that explore on a core each.

Prints the seconds of the whole command, of a round of the warm start and of a round of PPO (without the first, in which
worlds are explored; each round with its validation), steps of the environment per second of PPO, and the validation
score. On a machine that does other things at the same time seconds say little: so the load before each run is printed,
and the CPU seconds of all workers together, which stay the same where nothing is done twice.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path

from inputs import anew, arguments, parse, run, settings
from table import Column, by_system, report, show
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trailhound.learning.policy._workers import Team

SHOWN = tuple(Column(name, digits=1) for name in ("seconds", "CPU seconds", "warm start", "PPO", "steps"))
SHOWN += (Column("score", digits=3), Column("load", digits=1))


def round_seconds(run: Path, phase: str) -> float:
    """Return the mean seconds of a phase's rounds, without the first."""
    events = EventAccumulator(str(run / "tensorboard")).Reload().Scalars(f"{phase}/validation_score")
    return statistics.mean(after.wall_time - before.wall_time for before, after in pairwise(events))


def trained(command: list[object], workers: int) -> dict[str, float]:
    """Train once; returns the figures of the run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds, _ = run(["train", *command, "--workers", workers, "--out", out])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        recipe = json.loads((out / "run.json").read_text())["recipe"]
        ppo = round_seconds(out, "ppo")
        steps = Team(0, workers).part(recipe["ppo_lanes"]) * workers * recipe["ppo_steps"]
        return {
            "seconds": seconds,
            "CPU seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "warm start": round_seconds(out, "imitation"),
            "PPO": ppo,
            "steps": steps / ppo,
            "score": json.loads((out / "metrics.json").read_text())["score"],
        }


def main() -> None:
    """Train with each number of workers and print the table."""
    parser = arguments(__doc__, "index", "questions", "split", "set", split="train")
    parser.add_argument("--recipe", default="2wiki")
    parser.add_argument("--device", default="cpu", help="that all workers share (default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parsed = parse(parser)
    command = ["--index", parsed.index, "--questions", parsed.questions, "--split", parsed.split]
    command += [*anew(parsed.recipe), "--device", parsed.device, *settings(parsed)]
    results: dict[int, list[dict[str, float]]] = {}
    for workers in parsed.workers:
        load = os.getloadavg()[0]
        results[workers] = [{**trained(command, workers), "load": load}]
        report(f"{workers} workers: {results[workers]}", results, parsed)
    show("seconds of a whole run and of its rounds", by_system(results, SHOWN, "workers"), parsed)


if __name__ == "__main__":
    main()

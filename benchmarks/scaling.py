"""How training scales: the same command with one worker and with two (or more), one after the other.

    python benchmarks/scaling.py --index w.index --questions data/w --split train --recipe 2wiki \
        --set imitation_epochs=3 --set ppo_iterations=3 --set reader_epochs=0

Prints the seconds of the whole command, of a round of the warm start and of a round of PPO (without the first, in which
worlds are explored; each round with its validation), steps of the environment per second of PPO, and the validation
score. On a machine that does other things at the same time seconds say little: so the load before each run is printed,
and the CPU seconds of all workers together, which stay the same where nothing is done twice.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trailhound.learning.policy.workers import Team


def round_seconds(run: Path, phase: str) -> float:
    """Return the mean seconds of a phase's rounds, without the first."""
    events = EventAccumulator(str(run / "tensorboard")).Reload().Scalars(f"{phase}/validation_score")
    return statistics.mean(after.wall_time - before.wall_time for before, after in pairwise(events))


def trained(arguments: list[str], workers: int) -> dict[str, float]:
    """Train once; returns the figures of the run."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "trailhound", "train", *arguments, "--out", str(run), "--quiet"]
        started = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, "--workers", str(workers)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = time.perf_counter() - started
        recipe = json.loads((run / "run.json").read_text())["recipe"]
        ppo = round_seconds(run, "ppo")
        steps = Team(0, workers).part(recipe["ppo_lanes"]) * workers * recipe["ppo_steps"]
        return {
            "seconds": seconds,
            "CPU seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "warm start": round_seconds(run, "imitation"),
            "PPO": ppo,
            "steps": steps / ppo,
            "score": json.loads((run / "metrics.json").read_text())["score"],
        }


def main() -> None:
    """Train with each number of workers and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", required=True)
    parser.add_argument("--questions", required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--recipe", default="2wiki")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="two rounds of a kind at least"
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parsed = parser.parse_args()
    arguments = ["--index", parsed.index, "--questions", parsed.questions, "--split", parsed.split]
    arguments += ["--recipe", parsed.recipe, "--device", "cpu"]
    arguments += [argument for setting in parsed.set for argument in ("--set", setting)]
    print("| workers | seconds | CPU seconds | warm start, a round | PPO, a round | steps/s of PPO | score | load |")
    print("|" + "---:|" * 8)
    for workers in parsed.workers:
        load = os.getloadavg()[0]
        figures = trained(arguments, workers)
        shown = [f"{figures[name]:.1f}" for name in ("seconds", "CPU seconds", "warm start", "PPO", "steps")]
        print("|", " | ".join([str(workers), *shown, f"{figures['score']:.3f}", f"{load:.1f}"]), "|", flush=True)


if __name__ == "__main__":
    main()

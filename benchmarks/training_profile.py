"""Where the seconds of a training go: one run of ``trailhound train`` under cProfile, as a table.

    python benchmarks/training_profile.py --index w.index --questions data/w --split train \
        --recipe 2wiki \
        --set imitation_epochs=2 --set ppo_iterations=2 --set reader_epochs=0

Columns are stages of the run, rows are kinds of work; every second is counted once. Paths are those of the marginal
likelihood: finding them, and computing it; its gradient is computed with that of PPO. The rest is opening the index and
loading the questions, training the reader, and writing files. Under cProfile work in Python looks dearer than it is.
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import wraps
from typing import Any

from inputs import anew, arguments, parse, settings
from table import markdown, show, write
from trailhound.cli import main as trailhound
from trailhound.learning.policy import _ppo as ppo
from trailhound.learning.policy import training

STAGES = ("warm start", "PPO", "paths", "validation", "rest")
FUNCTIONS = {
    "encoding queries": [
        ("retrievers/vectors/_encoder.py", "encode"),
        ("retrievers/knowledge/_fact_encoder.py", "encode"),
    ],
    "searching sub-indexes": [
        ("retrievers/words/_lexical.py", "search"),
        ("retrievers/vectors/_dense.py", "search"),
    ],
    "features and environment": [
        ("envs/_batch.py", "start"),
        ("envs/_batch.py", "act"),
        ("learning/policy/_imitation.py", "expert_actions"),
        ("envs/_question_view.py", "of"),
    ],
    "network forward": [("agent/_network.py", "scores")],
    "backward": [("torch/_tensor.py", "backward")],
    "optimizer": [
        ("torch/optim/adamw.py", "step"),
        ("torch/optim/adam.py", "step"),
        ("torch/nn/utils/clip_grad.py", "clip_grad_norm_"),
        ("torch/optim/swa_utils.py", "update_parameters"),
    ],
}
"""What is counted as what: functions, by the end of their file's path, none of which calls another of its kind."""


class Stages:
    """One profile and one clock for each stage; a stage that is entered within another stops the other's."""

    def __init__(self) -> None:
        self.profiles = {stage: cProfile.Profile() for stage in STAGES}
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._running: list[str] = []
        self._since = 0.0

    def within(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as part of a stage."""

        @wraps(function)
        def staged(*arguments: Any, **named: Any) -> Any:
            with self.entered(stage):
                return function(*arguments, **named)

        return staged

    @contextmanager
    def entered(self, stage: str) -> Any:
        """Count what happens within as a stage's."""
        self._stop()
        self._running.append(stage)
        self._start()
        try:
            yield
        finally:
            self._stop()
            self._running.pop()
            self._start()

    def _stop(self) -> None:
        if self._running:
            self.profiles[self._running[-1]].disable()
            self.seconds[self._running[-1]] += time.perf_counter() - self._since

    def _start(self) -> None:
        self._since = time.perf_counter()
        if self._running:
            self.profiles[self._running[-1]].enable()

    def kinds(self, stage: str) -> dict[str, float]:
        """Return the seconds of each kind of work in a stage."""
        stats: Any = pstats.Stats(self.profiles[stage])
        spent = {
            kind: sum(
                entry[3]
                for (file, _, name), entry in stats.stats.items()
                if any(file.endswith(end) and name == wanted for end, wanted in functions)
            )
            for kind, functions in FUNCTIONS.items()
        }
        if (
            stage != "rest"
        ):  # where worlds are asked, they encode and search; before, questions are encoded on their own
            spent["features and environment"] -= spent["encoding queries"] + spent["searching sub-indexes"]
        return {**spent, "rest": self.seconds[stage] - sum(spent.values())}


def main() -> None:
    """Train once and print the table."""
    parser = arguments(__doc__, "index", "questions", "split", "set", split="train")
    for name in ("--recipe", "--hop-encoder"):
        parser.add_argument(name, default=None)
    parsed = parse(parser)
    command = ["--index", str(parsed.index), "--questions", str(parsed.questions), "--split", parsed.split]
    command += anew(parsed.recipe)
    command += ["--hop-encoder", parsed.hop_encoder] if parsed.hop_encoder else []
    command += settings(parsed)
    stages = Stages()
    patched: list[tuple[Any, str, str]] = [
        (training, "imitate_epoch", "warm start"),
        (training, "validate", "validation"),
        (training, "calibrate", "validation"),
        (ppo.SearchPPO, "iterate", "PPO"),
        (ppo.SearchPPO, "_gather_paths", "paths"),
        (ppo, "path_loss", "paths"),
    ]
    for owner, name, stage in patched:
        setattr(owner, name, stages.within(stage, getattr(owner, name)))
    with tempfile.TemporaryDirectory() as folder, stages.entered("rest"):
        code = trailhound(["train", *command, "--out", f"{folder}/run", "--quiet", "--device", "cpu"])
    if code:
        raise SystemExit(code)
    kinds = {stage: stages.kinds(stage) for stage in STAGES}
    whole = sum(stages.seconds.values())
    seconds = {kind: [kinds[stage][kind] for stage in STAGES] for kind in (*FUNCTIONS, "rest")}
    seconds["all"] = [stages.seconds[stage] for stage in STAGES]
    rows = [
        [kind, *(f"{x:.1f}" for x in row), f"{sum(row):.1f}", f"{100 * sum(row) / whole:.0f} %"]
        for kind, row in seconds.items()
    ]
    show("seconds of one training", markdown(["seconds", *STAGES, "all", "share"], rows), parsed)
    write(seconds, parsed)


if __name__ == "__main__":
    main()

"""Trials that Ray Tune runs on a real cluster of this machine, and whole sweeps: `make test-scale`."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from trailhound.cli import main
from trailhound.errors import QuestionsError

pytest.importorskip("ray.tune", reason="needs Ray Tune: make test-scale", exc_type=ImportError)

from trailhound.learning.policy import _ray_trials
from trailhound.learning.policy._ray_trials import Ended, run_trials

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
"""Ray's own."""

After = Callable[[int, float], None]
Warn = Callable[[str], None]
ROUNDS = 8
"""They are compared after one and three."""


@pytest.fixture
def said() -> list[str]:
    return []


def on_ray(
    trial: Callable[[int, After, Warn], tuple[int, float]],
    count: int,
    place: Path,
    said: list[str],
    stop_early: bool = True,
) -> list[Ended]:
    """Run trials; what is kept of them lies in ``place``."""

    def heard(stage: str, done: int, total: int) -> None:
        said.append(f"{stage} {done}/{total}")

    return run_trials(trial, count, ROUNDS, stop_early, place / "state", said.append, heard)


def test_those_that_fall_behind_end_early(cluster: None, tmp_path: Path, said: list[str]) -> None:
    def train(number: int, after: After, warn: Warn) -> tuple[int, float]:
        """Trial 0 is ahead of all from the beginning, and 4 until the comparison; others wait for trial 0."""
        while number and not (tmp_path / "done").exists():
            time.sleep(0.05)
        for done in range(1, ROUNDS + 1):
            after(done, 2.0 if number == 4 and done == 1 else 1 - number / 10)
        (tmp_path / "done").touch()
        return ROUNDS, 1 - number / 10

    assert on_ray(train, 5, tmp_path, said) == [
        Ended(0, "trained", 1.0, 8),
        Ended(1, "stopped", 0.9, 3),
        Ended(2, "stopped", 0.8, 3),
        Ended(3, "stopped", 0.7, 3),
        Ended(4, "stopped", 0.6, 3),
    ]
    assert said[0] == "trials 0/5"
    assert "trials, best 1.000 1/5" in said


def test_without_early_stopping_all_are_trained(cluster: None, tmp_path: Path, said: list[str]) -> None:
    def train(number: int, after: After, warn: Warn) -> tuple[int, float]:
        for done in range(1, ROUNDS + 1):
            after(done, -number)
        return ROUNDS, -number

    trials = on_ray(train, 3, tmp_path, said, stop_early=False)
    assert trials == [Ended(number, "trained", -number, 8) for number in range(3)]


def test_a_sweep_that_goes_on_runs_nothing_again_and_remembers_what_it_compared(
    cluster: None, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0")

    def train(number: int, after: After, warn: Warn) -> tuple[int, float]:
        """Trial 1 waits for trial 0, and at first it is an error; it is behind."""
        (tmp_path / f"{number}.begun").open("a").write("x")
        while number and not (tmp_path / "done").exists():
            time.sleep(0.05)
        if number and not (tmp_path / "mended").exists():
            time.sleep(1)  # until it is kept that trial 0 is done
            raise QuestionsError("there are none")
        for done in range(1, ROUNDS + 1):
            after(done, 1 - number / 10)
        (tmp_path / "done").touch()
        return ROUNDS, 1 - number / 10

    with pytest.raises(QuestionsError, match="there are none"):
        on_ray(train, 2, tmp_path, said)
    (tmp_path / "mended").touch()
    assert on_ray(train, 2, tmp_path, said) == [Ended(0, "trained", 1.0, 8), Ended(1, "stopped", 0.9, 3)]
    assert [(tmp_path / f"{number}.begun").read_text() for number in (0, 1)] == ["x", "xx"]


def test_a_state_that_was_torn_begins_the_trials_again(cluster: None, tmp_path: Path, said: list[str]) -> None:
    """They go on from what lies in their own folders."""

    def train(number: int, after: After, warn: Warn) -> tuple[int, float]:
        begun = tmp_path / str(number)
        begun.open("a").write("x")
        return len(begun.read_text()), 0.5

    on_ray(train, 2, tmp_path, said)
    for state in (tmp_path / "state" / "tune").glob("experiment_state*"):
        state.write_bytes(state.read_bytes()[:300])
    assert on_ray(train, 2, tmp_path, said) == [Ended(0, "trained", 0.5, 2), Ended(1, "trained", 0.5, 2)]


def test_a_trial_that_fails_leaves_the_others_alone(cluster: None, tmp_path: Path, said: list[str]) -> None:
    def train(number: int, after: After, warn: Warn) -> tuple[int, float]:
        warn("of all")
        after(1, 0.5)
        if number:
            raise ValueError("not a number")
        return 1, 0.5

    assert on_ray(train, 2, tmp_path, said) == [
        Ended(0, "trained", 0.5, 1),
        Ended(1, "failed", None, 0, "ValueError: not a number"),
    ]
    assert said.count("of all") == 1


def test_a_lost_process_begins_again_until_it_is_of_no_use(
    cluster: None, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ray_trials, "MOST_LOSSES", 1)

    def die(number: int, after: After, warn: Warn) -> tuple[int, float]:
        """Trial 0 dies once, trial 1 always."""
        begun = tmp_path / str(number)
        if number or not begun.exists():
            begun.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        after(1, 0.5)
        return 1, 0.5

    assert on_ray(die, 2, tmp_path, said) == [
        Ended(0, "trained", 0.5, 1),
        Ended(1, "failed", None, 0, "its process was lost 2 times"),
    ]
    assert "trial 1 was lost: it goes on from its last checkpoint" in said


def test_it_is_said_that_there_is_no_room(
    cluster: None, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setattr(_ray_trials, "LONG", 0.5)
    taken = ray.util.placement_group([{"CPU": 1}] * 3)
    ray.get(taken.ready())

    def train(number: int, after: After, warn: Warn) -> tuple[int, float]:
        after(1, 0.5)
        return 1, 0.5

    def heard(message: str) -> None:
        said.append(message)
        ray.util.remove_placement_group(taken)

    assert len(run_trials(train, 2, ROUNDS, True, tmp_path / "state", heard, lambda *told: None)) == 2
    said = said[:1]  # on a busy machine it may take another half of a second
    assert said == ["no trial has begun yet, each of which takes a CPU: 0 of the cluster's 3 are free"]


POOR = ["--set", "imitation_learning_rate=1e-7", "--set", "imitation_epochs=3", "--seed", "1"]
TRY = [*POOR, "--try", "imitation_learning_rate=1e-3..1e-1", "--trials", "3"]
"""The recipe as it stands learns nothing."""


def test_the_best_policy_is_the_one_that_train_gives(
    cluster: None, learned_from: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "sweep"
    assert main(["sweep", *learned_from, *TRY, "--ray", "auto", "--out", str(out)]) == 0
    told = capsys.readouterr()
    result = json.loads((out / "sweep.json").read_text("utf-8"))
    assert told.out.startswith("┏"), "the table, and nothing of Ray Tune"
    assert f"the policy of trial {result['best']}" in told.out
    assert "trials, best" in told.err
    assert result["best"] != 1
    assert_trained(out, [*learned_from, *POOR], tmp_path / "run")


def assert_trained(sweep: Path, settings: list[str], run: Path) -> None:
    """Train with the settings of the best trial, and compare what a sweep kept with that."""
    result = json.loads((sweep / "sweep.json").read_text("utf-8"))
    rate = result["trials"][result["best"] - 1]["settings"]["imitation_learning_rate"]
    best = ["--set", f"imitation_learning_rate={rate}", "--out", str(run), "--quiet"]
    assert main(["train", *settings, *best]) == 0
    for name in ("policy.safetensors", "policy.json", "ranker.safetensors", "log.jsonl", "run.json"):
        assert (sweep / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_sweep_goes_on_to_the_same(learned_from: list[str], tmp_path: Path, number: int) -> None:
    out, more = tmp_path / "sweep", ["--set", "ppo_iterations=6"]
    sweep = ["sweep", *learned_from, *TRY, "--no-early-stopping", "--out", str(out), *more, "--quiet"]
    begun = subprocess.Popen([sys.executable, "-m", "trailhound", *sweep], stderr=subprocess.PIPE, text=True)
    logs = [out / "trials" / str(trial) / "log.jsonl" for trial in (1, 2, 3)]
    while sum(log.exists() and log.read_text("utf-8").count("\n") for log in logs) < 2:
        assert begun.poll() is None, begun.stderr and begun.stderr.read()
        time.sleep(0.02)
    begun.send_signal(number)
    _, told = begun.communicate(timeout=120)
    assert begun.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert "sweep and demo go on from here when they are called again" in told
    assert not (out / "sweep.json").exists()
    done = subprocess.run([sys.executable, "-m", "trailhound", *sweep], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_trained(out, [*learned_from, *POOR, *more], tmp_path / "run")

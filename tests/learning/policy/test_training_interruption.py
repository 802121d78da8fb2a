"""Training in processes of their own: one seed gives one policy, bit for bit, also when a run is killed on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from trailhound import Index, Recipe, TrainingSource, train

QUICK = {
    "max_candidates": 20,
    "expand_size": 3,
    "hop_size": 3,
    "max_steps": 8,
    "width": 8,
    "question_width": 4,
    "rounds": 1,
    "imitation_epochs": 2,
    "imitation_lanes": 6,
    "imitation_learning_rate": 5e-3,
    "ppo_iterations": 2,
    "ppo_lanes": 4,
    "ppo_steps": 8,
    "ppo_passes": 1,
    "minibatch": 16,
    "paths_per_question": 2,
    "reader_epochs": 0,
    "ranker_steps": 10,
}

WORKER = """
import os, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from conftest import HashingEncoder
from trailhound import Index, TrainingSource, load_recipe, train
import torch.utils.tensorboard  # loaded once, before forking
place, corpus, out, recipe = map(Path, sys.argv[2:6])
for seconds in map(float, sys.argv[6:]):
    child = os.fork()
    if not child:
        break
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]))
source = TrainingSource(Index.open(place, encoder=HashingEncoder()), corpus, "train")
train([source], out, recipe=load_recipe(str(recipe)), seed=5)
sys.stdout.flush()
os._exit(0)
"""
"""A run that is killed after each of the given seconds, begun again each time, and then let through to its end."""


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "quick.toml"
    path.write_text("".join(f"{name} = {value}\n" for name, value in QUICK.items()))
    return path


@pytest.fixture(scope="module")
def source(small_index: Index, corpus_folder: Path) -> TrainingSource:
    return TrainingSource(small_index, corpus_folder, "train")


@pytest.fixture(scope="module")
def finished(source: TrainingSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that went through in this process; never changed by a test."""
    out = tmp_path_factory.mktemp("finished") / "run"
    train([source], out, recipe=Recipe.model_validate(QUICK), seed=5)
    return out


def in_another_process(source: TrainingSource, out: Path, recipe: Path, killed_after: Sequence[float] = ()) -> str:
    arguments = [Path(__file__).parents[2], source.index.path, source.questions, out, recipe, *killed_after]
    done = subprocess.run(
        [sys.executable, "-c", WORKER, *map(str, arguments)],
        env={**os.environ, "PYTHONHASHSEED": "17"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rounds(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def assert_same_run(one: Path, other: Path) -> None:
    """Policy, optimizer and figures are equal to the last bit; only the time that was taken may differ."""
    assert (one / "policy.safetensors").read_bytes() == (other / "policy.safetensors").read_bytes()
    assert (one / "policy.json").read_bytes() == (other / "policy.json").read_bytes()
    first, second = (load_file(out / "checkpoint.safetensors") for out in (one, other))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert rounds(one) == rounds(other)
    metrics, others = (json.loads((out / "metrics.json").read_text()) for out in (one, other))
    assert metrics | {"seconds": 0} == others | {"seconds": 0}


def test_one_seed_gives_equal_weights_in_two_processes(
    source: TrainingSource, recipe_file: Path, tmp_path: Path, finished: Path
) -> None:
    """Also when Python hashes strings another way."""
    in_another_process(source, tmp_path / "run", recipe_file)
    assert_same_run(tmp_path / "run", finished)


def test_another_seed_gives_other_weights(source: TrainingSource, tmp_path: Path, finished: Path) -> None:
    train([source], tmp_path / "run", recipe=Recipe.model_validate(QUICK), seed=6)
    assert (tmp_path / "run" / "policy.safetensors").read_bytes() != (finished / "policy.safetensors").read_bytes()


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_policy(
    source: TrainingSource, recipe_file: Path, tmp_path: Path, finished: Path
) -> None:
    """SIGKILL at random moments, whatever is half written then; the log holds each round once."""
    out = tmp_path / "run"
    moments = random.Random(0)
    signals = in_another_process(source, out, recipe_file, [moments.uniform(0.2, 0.8) for _ in range(6)])
    assert signals.split().count(str(int(signal.SIGKILL))) >= 2
    assert_same_run(out, finished)


@pytest.mark.parametrize("at", [0, 3, 8])
def test_a_run_that_ends_at_any_write_goes_on_to_the_same_policy(
    source: TrainingSource, tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """So many files are put in place (run.json; for every round the policy's two, if it is kept, and the checkpoint;
    metrics.json), the next one never is; then the run goes on."""
    placed = 0
    replace = Path.replace

    def ending(self: Path, target: Path) -> Path:
        nonlocal placed
        if placed == at:
            raise KeyboardInterrupt
        placed += 1
        return replace(self, target)

    recipe = Recipe.model_validate(QUICK)
    monkeypatch.setattr(Path, "replace", ending)
    with pytest.raises(KeyboardInterrupt):
        train([source], tmp_path / "run", recipe=recipe, seed=5)
    monkeypatch.undo()
    train([source], tmp_path / "run", recipe=recipe, seed=5)
    assert_same_run(tmp_path / "run", finished)

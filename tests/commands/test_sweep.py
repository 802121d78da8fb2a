"""``trailhound sweep`` with everything but Ray: what it refuses, what it writes, and the table of what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trailhound import Index
from trailhound.cli import main
from trailhound.learning.policy import sweeping
from trailhound.learning.policy.sweeping import SweepTrial

Capture = pytest.CaptureFixture[str]
QUICK = {
    "width": 8,
    "question_width": 4,
    "imitation_epochs": 1,
    "ppo_iterations": 1,
    "ppo_lanes": 6,
    "ppo_steps": 8,
    "ppo_passes": 1,
    "minibatch": 16,
    "reader_epochs": 0,
    "made_beside": 0,
    "ranker_steps": 10,
}
TRY = ["--try", "imitation_learning_rate=1e-4..1e-1"]


@pytest.fixture
def sources(small_index: Index, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a sweep over the encyclopedia learns from, opened with its stand-in encoder."""
    monkeypatch.setattr("trailhound.commands.arguments.open_index", lambda path, *how: small_index)
    questions = ["--questions", str(corpus_folder), "--split", "dev", "--validation", f"{corpus_folder}:validation"]
    settings = [part for name, value in QUICK.items() for part in ("--set", f"{name}={value}")]
    return ["--index", str(small_index.path), *questions, "--from", "none", "--quiet", *settings]


def one_by_one(trials: Any, most_rounds: int, *unused: object) -> list[SweepTrial]:
    """Stand for the cluster: train one trial after the other, stop the third after a round, let the fourth fail."""
    ended = []
    for number, settings in enumerate(trials.settings):
        scores: list[float] = []

        def after(rounds: int, score: float, number: int = number, scores: list[float] = scores) -> None:
            scores.append(score)
            if number == 2:
                raise InterruptedError
            if number == 3:
                raise ValueError("not a number")

        try:
            rounds, score = trials.train(number, after, print)
        except InterruptedError:
            ended.append(SweepTrial(number + 1, settings, "stopped", scores[-1], 1, None))
        except ValueError as error:
            ended.append(SweepTrial(number + 1, settings, "failed", None, 0, str(error)))
        else:
            assert scores[-1] == score
            assert rounds == most_rounds == len(scores)
            ended.append(SweepTrial(number + 1, settings, "trained", score, rounds, None))
    return ended


def test_the_best_run_is_what_train_writes_and_all_trials_are_told(
    sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sweeping, "_run", one_by_one)
    out = tmp_path / "sweep"
    sweep = ["sweep", *sources, *TRY, "--trials", "4", "--seed", "2", "--out", str(out)]
    assert main(sweep) == 0
    said = capsys.readouterr().out
    result = json.loads((out / "sweep.json").read_text("utf-8"))
    assert {name: result[name] for name in ("tried", "seed", "stop_early")} == {
        "tried": {"imitation_learning_rate": "1e-4..1e-1"},
        "seed": 2,
        "stop_early": True,
    }
    trials = {trial["number"]: trial for trial in result["trials"]}
    assert [trials[number]["outcome"] for number in (1, 2, 3, 4)] == ["trained", "trained", "stopped", "failed"]
    assert trials[4]["error"] == "not a number"
    assert trials[1]["settings"] == {"imitation_learning_rate": 2e-3}, "the recipe as it stands"
    best = result["best"]
    assert trials[best]["score"] == max(trials[1]["score"], trials[2]["score"])
    assert json.loads((out / "metrics.json").read_text("utf-8"))["score"] == trials[best]["score"]
    assert f"{out}: the policy of trial {best}, score {trials[best]['score']:.4f} on validation" in said
    rows = [line for line in said.splitlines() if line.startswith("│")]
    assert rows[0].split()[1] == str(best)
    assert "stopped early" in rows[2]
    assert "failed: not a number" in rows[3]

    rate = trials[best]["settings"]["imitation_learning_rate"]
    trained = ["train", *sources, "--set", f"imitation_learning_rate={rate}", "--seed", "2"]
    assert main([*trained, "--out", str(tmp_path / "run")]) == 0
    for name in ("policy.safetensors", "policy.json", "ranker.safetensors", "log.jsonl", "run.json"):
        assert (out / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_a_finished_sweep_is_read_and_another_is_refused(
    sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    calls: list[int] = []

    def counted(trials: Any, *how: Any) -> list[SweepTrial]:
        calls.append(len(trials.settings))
        return one_by_one(trials, *how)

    monkeypatch.setattr(sweeping, "_run", counted)
    sweep = ["sweep", *sources, *TRY, "--trials", "2", "--out", str(tmp_path / "sweep")]
    assert main(sweep) == 0
    first = capsys.readouterr().out
    assert main(sweep) == 0
    assert capsys.readouterr().out == first
    assert calls == [2]
    for other in (["--trials", "3"], ["--seed", "1"], ["--no-early-stopping"], ["--set", "ppo_lanes=7"]):
        assert main([*sweep, *other]) == 1
        assert "holds a run of other settings: choose another folder or delete it" in capsys.readouterr().err


def test_the_folder_of_a_training_is_refused(sources: list[str], tiny_run: Path, capsys: Capture) -> None:
    assert main(["sweep", *sources, *TRY, "--out", str(tiny_run)]) == 1
    assert f"{tiny_run} holds a run already" in capsys.readouterr().err


def test_a_sweep_of_which_nothing_came_says_why(
    sources: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def none(trials: Any, *how: Any) -> list[SweepTrial]:
        return [SweepTrial(n + 1, s, "failed", None, 0, "out of luck") for n, s in enumerate(trials.settings)]

    monkeypatch.setattr(sweeping, "_run", none)
    assert main(["sweep", *sources, *TRY, "--out", str(tmp_path / "sweep")]) == 1
    assert "no trial came to its end, and the first failed (out of luck)" in capsys.readouterr().err
    assert not (tmp_path / "sweep" / "sweep.json").exists()


@pytest.mark.parametrize(
    ("more", "code", "about"),
    [
        (["--try", "entropy_weight"], 2, "--try 'entropy_weight' is not NAME=VALUE"),
        (["--try", "width=8,16", "--try", "width=32,64"], 2, "two --try have one name"),
        (["--try", "entropy=0..1"], 1, "there is no setting 'entropy'"),
        (["--try", "price_per_ms=0..1"], 1, "cannot be compared"),
        (["--try", "ppo_lanes=4,8", "--trials", "1"], 1, "two trials or more"),
        (["--try", "imitation_epochs=0,1", "--set", "ppo_iterations=0"], 1, "imitation_epochs = 0"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(
    sources: list[str], tmp_path: Path, capsys: Capture, more: list[str], code: int, about: str
) -> None:
    assert main(["sweep", *sources, *more, "--out", str(tmp_path / "sweep")]) == code
    assert about in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


def test_trials_that_go_on_from_a_policy_need_rounds(
    sources: list[str], tiny_run: Path, tmp_path: Path, capsys: Capture
) -> None:
    """What goes on has no rounds unless they are set: all trials would be the same."""
    there = sources.index("--from")
    going_on = [*sources[:there], "--from", str(tiny_run), "--quiet", "--try", "entropy_weight=0..0.1"]
    assert main(["sweep", *going_on, "--out", str(tmp_path / "sweep")]) == 1
    assert "one of them has no rounds: set ppo_iterations above 0" in capsys.readouterr().err

"""``trailhound train --from``: the policy that a training goes on from, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trailhound import Index
from trailhound.agent import _systems as systems
from trailhound.agent._policy_file import load_policy
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]
ROUNDS = [
    "imitation_epochs=1",
    "ppo_iterations=0",
    "reader_epochs=0",
    "made_beside=0",
    "ranker_steps=10",
    "width=8",
    "question_width=4",
]
QUICK = ["--set", "ranker_steps=10"]


@pytest.fixture
def command(small_index: Index, corpus_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What trains on the encyclopedia, opened with its stand-in encoder."""
    monkeypatch.setattr("trailhound.commands.arguments.open_index", lambda path, *how: small_index)
    questions = ["--questions", str(corpus_folder), "--split", "dev", "--validation", f"{corpus_folder}:validation"]
    return ["train", "--index", str(small_index.path), *questions, "--quiet"]


def code_of(command: list[str], out: Path, *more: str) -> int:
    return main([*command, "--out", str(out), *more])


def began_with(out: Path) -> str | None:
    return json.loads((out / "run.json").read_text("utf-8"))["start"]


def test_the_policy_of_a_folder(command: list[str], tiny_run: Path, tmp_path: Path) -> None:
    assert code_of(command, tmp_path / "run", "--from", str(tiny_run), *QUICK) == 0
    assert began_with(tmp_path / "run") == load_policy(tiny_run).digest
    assert load_policy(tmp_path / "run").architecture == load_policy(tiny_run).architecture


def test_the_shipped_one_where_nothing_else_is_said(
    command: list[str], tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "shipped_policy", lambda: tiny_run)
    for number, more in enumerate(([], ["--from", "shipped"])):
        assert code_of(command, tmp_path / str(number), *more, *QUICK) == 0
        assert began_with(tmp_path / str(number)) == load_policy(tiny_run).digest


def test_none(command: list[str], tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systems, "shipped_policy", lambda: tiny_run)
    settings = [argument for setting in [*ROUNDS, "ranker_steps=0"] for argument in ("--set", setting)]
    assert code_of(command, tmp_path / "run", "--from", "none", *settings) == 0
    assert began_with(tmp_path / "run") is None
    assert load_policy(tmp_path / "run").architecture.width == 8


def test_an_unknown_folder(command: list[str], tmp_path: Path, capsys: Capture) -> None:
    assert code_of(command, tmp_path / "run", "--from", str(tmp_path / "nowhere")) == 1
    assert "holds no policy" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

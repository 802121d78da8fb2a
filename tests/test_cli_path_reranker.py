import json
from pathlib import Path

import pytest
from trailhound import Index
from trailhound.agent import systems
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def index(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index by the built-in encoder, which the command line opens."""
    place = tmp_path_factory.mktemp("house") / "wiki.index"
    Index.build(corpus_folder, place, threads=1)
    return place


def code_of(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_tuning_a_re_ranker_and_answering_with_it(
    index: Path, corpus_folder: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = ["--index", index, "--questions", corpus_folder]
    tiny = ["width=16", "question_width=8", "max_candidates=24", "imitation_epochs=2", "ppo_iterations=0"]
    settings = [part for setting in tiny for part in ("--set", setting)]
    run, out = tmp_path / "run", tmp_path / "reranker"
    assert code_of("train", *over, "--split", "train", *settings, "--out", run, "--quiet") == 0
    tune = ["tune-reranker", *over, "--split", "train", "--epochs", "1", "--rank", "2", "--states", "8"]
    capsys.readouterr()
    assert code_of(*tune, "--policy", run, "--out", out) == 0
    output, errors = capsys.readouterr()
    assert "recall@5_without" in output
    assert "tuning, epoch 1/1 ...\n" in errors

    answer = ["--policy", run, "--path-reranker", out]
    assert code_of("evaluate", *over, "--split", "dev", *answer, "--json", tmp_path / "figures.json") == 0
    assert f"re-ranked by {out}" in json.loads((tmp_path / "figures.json").read_text())["system"]
    assert code_of("search", index, "Who is it?", *answer) == 0
    assert f"re-ranked by {out}" in capsys.readouterr().out

    assert code_of("search", index, "Who is it?", "--path-reranker", tmp_path / "none") == 1
    assert "trailhound tune-reranker" in capsys.readouterr().err
    monkeypatch.setattr(systems, "shipped_policy", lambda: None)
    assert code_of(*tune, "--out", tmp_path / "no") == 1
    assert "give --policy" in capsys.readouterr().err

"""Queries tuned by answers on the command line, and measured."""

import json
from pathlib import Path

import pytest
from trailhound.cli import main
from trailhound.demo._encyclopedia import generate, write_beir

Capture = pytest.CaptureFixture[str]


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    write_beir(generate(articles=60, questions=30, seed=1), folder)
    assert run("index", folder, "--out", folder / "i", "--threads", "1", "--quiet") == 0
    return folder


def test_queries_are_tuned_and_measured(folder: Path, capsys: Capture) -> None:
    over = ["--index", folder / "i", "--questions", folder, "--split"]
    quick = ["--epochs", "1", "--rank", "0", "--threads", "1", "--quiet"]
    assert run("tune-query", *over, "train", *quick, "--out", folder / "q") == 0
    said = capsys.readouterr().out
    assert "held_out_loss" in said
    assert "fusion_loss" in said
    tuned = ["--query-encoder", folder / "q", "--json", folder / "dense.json", "--quiet"]
    assert run("evaluate", *over, "dev", "--system", "dense", *tuned) == 0
    figures = json.loads((folder / "dense.json").read_text())
    assert str(folder / "q") in figures["system"]
    assert figures["recall@5"] > 0
    assert run("evaluate", *over, "dev", *tuned) == 1
    assert "compares vectors" in capsys.readouterr().err


def test_wrong_use_is_said_in_one_line(folder: Path, capsys: Capture) -> None:
    over = ["--index", folder / "i", "--questions", folder, "--split", "train", "--out", folder / "x"]
    assert run("tune-query", *over, "--reader", "nobody") == 1
    assert "there is no reader 'nobody'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        run("tune-query", *over, "--rank", "-1")
    assert left.value.code == 2

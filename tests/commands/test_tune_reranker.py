"""A re-ranker of a fixed system on the command line."""

import json
from pathlib import Path

import pytest
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of sixteen towns, and twelve questions that name one each."""
    house = tmp_path_factory.mktemp("house")
    towns = ["Torl", "Arn", "Bex", "Cor", "Dun", "Elm", "Fen", "Gor"]
    towns += ["Hul", "Ixe", "Jul", "Kel", "Lom", "Mur", "Nym", "Oss"]
    corpus = [{"_id": t, "title": t, "text": f"{t} lies by a river. Eggs of {t} are cheap."} for t in towns]
    (house / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in corpus))
    asked = [{"_id": f"q{k}", "text": f"What is the price of eggs in {t}?"} for k, t in enumerate(towns[:12])]
    (house / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    (house / "qrels").mkdir()
    (house / "qrels" / "train.tsv").write_text("".join(f"q{k}\t{t}\t1\n" for k, t in enumerate(towns[:12])))
    assert run("index", house / "corpus.jsonl", "--out", house / "i", "--quiet") == 0
    return house


def test_a_linear_re_ranker_is_tuned_and_used(house: Path, tmp_path: Path, capsys: Capture) -> None:
    over = ["--index", house / "i", "--questions", house, "--split", "train", "--quiet"]
    out = tmp_path / "r"
    assert run("tune-reranker", *over, "--system", "hybrid", "--kind", "graph", "--out", out) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{out}: first_stage ")
    assert "recall@5_without" in output
    assert run("search", house / "i", "Where is Torl?", "--system", "hybrid", "--reranker", out) == 0
    shown = capsys.readouterr().out
    assert f"re-ranked by {out}" in shown
    assert "«Torl lies by a river.»" in shown

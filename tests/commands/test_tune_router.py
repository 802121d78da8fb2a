"""``trailhound tune-router`` from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from trailhound.cli import main
from trailhound.index.index import Index
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._router import load_router

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def built(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with the built-in encoder: the command opens what the command line built."""
    out = tmp_path_factory.mktemp("router") / "small.index"
    assert main(["index", str(corpus_folder), "--out", str(out), "--quiet"]) == 0
    return out


def test_it_learns_from_questions_or_from_the_passages_alone(
    built: Path, corpus_folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    few = ["--shards", "3", "--made", "30", "--index", str(built)]
    asked = [*few, "--questions", str(corpus_folder), "--split", "train", "--out", str(tmp_path / "asked")]
    assert main(["tune-router", *asked]) == 0
    shown = capsys.readouterr()
    assert "shards@2" in shown.out
    assert "docid_hits@1" in shown.out
    assert "training the docid decoder" in shown.err
    assert main(["tune-router", *few, "--out", str(tmp_path / "alone"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    about = json.loads((tmp_path / "asked" / "router.json").read_text())["about"]
    assert (about["split"], about["seed"]) == ("train", 0)
    described = json.loads((tmp_path / "asked" / "prefixes.json").read_text())
    assert all(1 <= len(words) <= 4 for words in described.values())
    index = Index.open(built)
    corpus = Corpus(np.array(index.dense.vectors), index.terms, index.entity)
    for name in ("alone", "asked"):
        router = load_router(tmp_path / name, corpus)
        assert len(router.partition) == 3
        assert len(router.docids(index.query("Who?"), 4)) == 4
    length = router.tree.depth - 1
    last = {".".join(map(str, router.tree.docid(row)[:length])) for row in range(len(index))}
    assert last <= set(described)


@pytest.mark.parametrize("value", ["-1", "much", "inf", "nan"])
def test_a_weight_is_a_number_from_0_on(value: str, built: Path, tmp_path: Path, capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["tune-router", "--index", str(built), "--out", str(tmp_path / "r"), "--balance", value])
    assert f"must be a number from 0 on, not '{value}'" in capsys.readouterr().err


def test_wrong_use_is_said(built: Path, corpus_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = ["--index", str(built), "--out", str(tmp_path / "r"), "--quiet"]
    assert main(["tune-router", *out, "--split", "train"]) == 2
    assert "--questions and --split belong together" in capsys.readouterr().err
    assert main(["tune-router", *out, "--shards", "100000"]) == 1
    assert "cannot be parted into 100000 shards" in capsys.readouterr().err
    foreign = tmp_path / "foreign"
    (foreign / "qrels").mkdir(parents=True)
    (foreign / "queries.jsonl").write_text('{"_id": "q", "text": "Who?"}\n')
    (foreign / "qrels" / "train.tsv").write_text("q\telsewhere\t1\n")
    assert main(["tune-router", *out, "--questions", str(foreign), "--split", "train"]) == 1
    assert "'elsewhere'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_labels_of_passages_that_lie_elsewhere_are_left_out(built: Path, tmp_path: Path, capsys: Capture) -> None:
    here = next(iter(Index.open(built, threads=1).store)).id
    (tmp_path / "asked" / "qrels").mkdir(parents=True)
    (tmp_path / "asked" / "queries.jsonl").write_text('{"_id": "q", "text": "Who?"}\n{"_id": "r", "text": "Where?"}\n')
    (tmp_path / "asked" / "qrels" / "train.tsv").write_text(f"q\telsewhere\t1\nq\t{here}\t1\nr\telsewhere\t1\n")
    over = ["--index", str(built), "--questions", str(tmp_path / "asked"), "--split", "train", "--made", "20"]
    assert main(["tune-router", *over, "--shards", "2", "--out", str(tmp_path / "r")]) == 0
    assert "1 of the 2 passages and documents that the labels" in capsys.readouterr().err
    assert json.loads((tmp_path / "r" / "router.json").read_text())["about"]["pairs"] == 21

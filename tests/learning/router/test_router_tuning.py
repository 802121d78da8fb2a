"""Tuning a router from Python: the same folder for the same arguments, errors before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound.errors import RouterError
from trailhound.index.index import Index
from trailhound.learning.router.router_tuning import RouterTuning, labelled_of, tune_router

TUNING = RouterTuning(shards=3, made=60)


def test_the_same_arguments_give_the_same_router(small_index: Index, corpus_folder: Path, tmp_path: Path) -> None:
    stages: list[str] = []
    figures = [
        tune_router(
            small_index,
            tmp_path / name,
            TUNING,
            questions=corpus_folder,
            split="train",
            progress=lambda stage, done, total: stages.append(stage),
        )
        for name in ("one", "other")
    ]
    assert figures[0] == figures[1]
    assert 0 < figures[0]["shards@2"] <= 1
    assert (tmp_path / "one" / "router.safetensors").read_bytes() == (
        tmp_path / "other" / "router.safetensors"
    ).read_bytes()
    assert any(stage.startswith("training the docid decoder, epoch") for stage in stages)
    routed = Index.open(small_index.path, encoder=small_index.encoder, router=tmp_path / "one")
    question = routed.query("Who founded it?")
    assert set(routed.sub_indexes_for(question)) >= {"lexical", "dense", "docid"}


def test_what_cannot_be_is_said_and_nothing_is_written(small_index: Index, corpus_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "router"
    with pytest.raises(RouterError, match="cannot be parted into 100000 shards"):
        tune_router(small_index, out, RouterTuning(shards=100_000))
    assert not out.exists()


def test_labels_of_another_index_are_refused(small_index: Index, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "Who?"}\n', "utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq\telsewhere\t1\n", "utf-8")
    with pytest.raises(RouterError, match=r"'elsewhere', which .* does not hold"):
        labelled_of(small_index, tmp_path, "train")

"""``trailhound index --shards`` and ``trailhound search`` over the result."""

import json
from pathlib import Path

import pytest
from trailhound.cli import main
from trailhound.sharding._building import read_shards


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shards")
    (place / "corpus").mkdir()
    for number, name in enumerate(["Ferry", "Tide", "Harbour", "Lighthouse"]):
        (place / "corpus" / f"{name}.txt").write_text(f"The {name.lower()} is number {number} of the things of Torl.")
    main(["index", str(place / "corpus"), "--out", str(place / "torl"), "--shards", "2", "--quiet"])
    return place / "torl"


def test_shards_are_searched_as_one_and_each_alone(sharded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(sharded), "Where is the lighthouse?", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passages"][0]["passage"]["document_id"] == "Lighthouse.txt"
    assert len(found["passages"]) == 4
    assert found["unreachable"] == []
    name = found["passages"][0]["shard"]
    assert main(["search", str(sharded / name), "Where is the lighthouse?", "--json", "--system", "lexical"]) == 0
    assert json.loads(capsys.readouterr().out)["evidence"][0]["passage"]["document_id"] == "Lighthouse.txt"


def test_passages_are_printed_with_their_shard(sharded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["search", str(sharded), "the tide", "--system", "lexical", "--limit", "1"])
    first, text = capsys.readouterr().out.splitlines()
    assert first.startswith("1. Tide")
    assert any(name in first for name in read_shards(sharded).shards)
    assert text.strip() == "The tide is number 1 of the things of Torl."


@pytest.mark.parametrize("option", [["--path"], ["--policy", "runs/x"], ["--context", "50"]])
def test_what_only_one_index_can_do_is_refused(
    sharded: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(sharded), "the tide", *option]) == 2
    assert option[0] in capsys.readouterr().err


def test_a_sharded_index_follows_its_folder(sharded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = sharded.parent / "corpus"
    (corpus / "Quay.txt").write_text("The quay is new.")
    assert main(["update", str(sharded), str(corpus), "--sync", "--dry-run", "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "+ Quay.txt"
    assert main(["update", str(sharded), str(corpus / "Quay.txt"), "--quiet"]) == 0
    assert "documents: 1 added; 1 new passages" in capsys.readouterr().out
    main(["search", str(sharded), "the new quay", "--limit", "1"])
    assert capsys.readouterr().out.startswith("1. Quay")
    assert main(["update", str(sharded), "--delete", str(corpus / "Quay.txt"), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["deleted"] == 1
    assert main(["update", str(sharded), str(corpus), "--questions", str(corpus / "Tide.txt")]) == 2
    assert "--questions" in capsys.readouterr().err


def test_what_is_for_shards_is_refused_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in (["--ray", "auto"], ["--partition", "topics"]):
        assert main(["index", "x", "--out", str(tmp_path / "i"), *option]) == 2
        assert "--shards" in capsys.readouterr().err

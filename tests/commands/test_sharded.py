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
    assert found["evidence"][0]["passage"]["document_id"] == "Lighthouse.txt"
    assert len(found["evidence"]) == 4
    assert found["unreachable"] == []
    alone = 0
    for shard in read_shards(sharded).shards:
        assert main(["search", str(sharded / shard), "lighthouse", "--json", "--system", "lexical"]) == 0
        evidence = json.loads(capsys.readouterr().out)["evidence"]
        alone += any(one["passage"]["document_id"] == "Lighthouse.txt" for one in evidence)
    assert alone == 1


def test_the_path_of_a_search_over_shards_is_shown(sharded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(sharded), "the tide", "--limit", "1", "--path"]) == 0
    shown = capsys.readouterr().out
    assert "The tide is number 1 of the things of Torl." in shown
    assert "ask the lexical index" in shown


@pytest.mark.parametrize("option", [["--router", "runs/x"], ["--explain-router"]])
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
    main(["search", str(sharded), "the new quay", "--limit", "1", "--json"])
    assert json.loads(capsys.readouterr().out)["evidence"][0]["passage"]["document_id"] == "Quay.txt"
    assert main(["update", str(sharded), "--delete", str(corpus / "Quay.txt"), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["deleted"] == 1
    assert main(["update", str(sharded), str(corpus), "--questions", str(corpus / "Tide.txt")]) == 2
    assert "--questions" in capsys.readouterr().err


def test_what_is_for_shards_is_refused_without(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in (["--ray", "auto"], ["--partition", "topics"]):
        assert main(["index", "x", "--out", str(tmp_path / "i"), *option]) == 2
        assert "--shards" in capsys.readouterr().err


def test_few_shards_are_asked_where_they_are_parted_by_topics(
    sharded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_topics, one = tmp_path / "topics", sharded / "shard-0000"
    corpus = str(sharded.parent / "corpus")
    assert main(["index", corpus, "--out", str(by_topics), "--shards", "2", "--partition", "topics", "--quiet"]) == 0
    capsys.readouterr()
    asked = ["Where is the lighthouse?", "--system", "lexical", "--json", "--ask"]
    assert main(["search", str(by_topics), *asked, "0.5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["shards"]) == 1
    assert found["evidence"][0]["passage"]["document_id"] == "Lighthouse.txt"
    assert main(["search", str(sharded), *asked, "0.5"]) == 1
    assert "--partition topics" in capsys.readouterr().err
    assert main(["search", str(one), *asked, "0.5"]) == 2
    assert "--ask" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["search", str(by_topics), *asked, "2"])
    for place, code, named in ((sharded, 1, "--partition topics"), (one, 2, "--ask")):
        assert main(["serve", str(place), "--ask", "0.5"]) == code
        assert named in capsys.readouterr().err


@pytest.mark.parametrize("command", [["graph"], ["compact"], ["mcp"]])
def test_commands_for_one_index_say_that_this_is_several(
    sharded: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, str(sharded)]) == 2
    assert "shard-0000" in capsys.readouterr().err

"""Routers that were tuned on separate indexes search the index of all their passages together."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from trailhound import Index
from trailhound.cli import main
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.errors import RouterError
from trailhound.retrievers._hashed_files import fingerprint, write_sealed_json
from trailhound.retrievers.router._ensemble import RouterEnsemble
from trailhound.retrievers.router._router import SETTINGS, read_about

PEERS = ("east", "west")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of everything, and a folder of two routers, each tuned on an index of every second passage."""
    folder = tmp_path_factory.mktemp("apart")
    write_beir(generate(160, 60, 3), folder / "corpus")
    lines = (folder / "corpus" / "corpus.jsonl").read_text().splitlines(keepends=True)
    for number, name in enumerate(PEERS):
        (folder / name).mkdir()
        (folder / name / "corpus.jsonl").write_text("".join(lines[number::2]))
        Index.build(folder / name, folder / f"{name}.index", threads=1)
        arguments = ["--index", str(folder / f"{name}.index"), "--shards", "2", "--made", "120", "--quiet"]
        assert main(["tune-router", *arguments, "--out", str(folder / "routers" / name)]) == 0
    Index.build([folder / name for name in reversed(PEERS)], folder / "w.index", threads=1)
    return folder


def opened(house: Path, routers: Path | None = None, mass: float = 0.01) -> Index:
    return Index.open(house / "w.index", threads=1, router=routers or house / "routers", shard_mass=mass)


def question_of(house: Path) -> str:
    return str(json.loads((house / "corpus" / "queries.jsonl").read_text().splitlines()[0])["text"])


def copied(house: Path, into: Path) -> Path:
    shutil.copytree(house / "routers", into / "routers")
    return into / "routers"


def test_a_shard_is_searched_in_the_index_of_everything(house: Path) -> None:
    index = opened(house)
    routing = index.routing
    assert routing is not None
    assert isinstance(routing.router, RouterEnsemble)
    assert len(routing.router.partition) == 4
    question = index.query(question_of(house))
    (shard,) = routing.router.shards(question, 0.01).numbers.tolist()
    inside = set(routing.router.partition.rows(np.array([shard])).tolist())
    assert {index.store.passage(row).id in ids(house, PEERS[shard // 2]) for row in inside} == {True}
    everywhere = index.dense.search(question, len(index)).rows.tolist()
    dense = index.sub_indexes_for(question)["dense"].search(question, 5).rows.tolist()
    assert dense == [row for row in everywhere if row in inside][:5]
    lexical = index.sub_indexes_for(question)["lexical"].search(question, 20).rows.tolist()
    assert lexical
    assert set(lexical) <= inside


def ids(house: Path, name: str) -> set[str]:
    return {passage.id for passage in Index.open(house / f"{name}.index", threads=1).store}


def test_a_members_lexical_shard_finds_the_passage_that_says_it(house: Path) -> None:
    index = opened(house, mass=1)
    for row in (0, 41, 82, 123, 159):
        passage = index.store.passage(row)
        question = index.query(f"{passage.title} {passage.text}")
        for name in ("lexical", "dense", "docid"):
            assert row in index.sub_indexes_for(question)[name].search(question, 3).rows.tolist(), name


def test_it_is_used_like_any_router(house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    over = ["--router", str(house / "routers"), "--shard-mass", "0.9", "--quiet"]
    figures = tmp_path / "figures.json"
    asked = ["--questions", str(house / "corpus"), "--split", "dev", "--json", str(figures)]
    assert main(["evaluate", "--index", str(house / "w.index"), *asked, *over]) == 0
    assert json.loads(figures.read_text())["recall@5"] > 0.5
    capsys.readouterr()
    assert main(["search", str(house / "w.index"), question_of(house), "--json", *over]) == 0
    assert json.loads(capsys.readouterr().out)["evidence"]
    again = pickle.loads(pickle.dumps(opened(house)))
    assert isinstance(again.routing.router, RouterEnsemble)


@pytest.mark.parametrize("damage", ["missing", "twice", "foreign", "encoder", "nameless"])
def test_what_does_not_fit_together_is_refused(house: Path, tmp_path: Path, damage: str) -> None:
    routers = copied(house, tmp_path)
    names = json.loads((routers / "west" / "passages.json").read_text())
    if damage == "missing":
        shutil.rmtree(routers / "west")
        expected = "80 passages of the index, .* are known to none of the 1 routers"
    elif damage == "twice":
        shutil.copytree(routers / "west", routers / "north")
        expected = "is known to the routers of .*north and .*west: leave one of them out"
    elif damage == "foreign":
        (routers / "west" / "passages.json").write_text(json.dumps(["unheard", *names[1:]]))
        settings = read_about(routers / "west")
        settings["files"]["passages.json"] = fingerprint(routers / "west" / "passages.json")
        write_sealed_json(routers / "west" / SETTINGS, settings)
        expected = "knows the passage 'unheard', which the index does not hold"
    elif damage == "encoder":
        settings = read_about(routers / "west")
        settings["about"]["encoder"] = "another"
        write_sealed_json(routers / "west" / SETTINGS, settings)
        expected = "was tuned with the encoder 'another'"
    else:
        (routers / "west" / "passages.json").unlink()
        expected = "passages.json cannot be read"
    with pytest.raises(RouterError, match=expected):
        _ = opened(house, routers).routing


def test_a_folder_without_routers_is_none(house: Path) -> None:
    with pytest.raises(RouterError, match="holds no router"):
        _ = opened(house, house / "corpus").routing

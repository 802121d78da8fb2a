"""A refreshed router knows what came into its index, and what stayed keeps its docid and its shard."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from trailhound import Document, Index
from trailhound.cli import main
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.errors import RouterError
from trailhound.learning.router.router_tuning import PASSAGES, refresh_router
from trailhound.retrievers.router._docids import NONE, DocidSettings, DocidTree
from trailhound.retrievers.router._router import read_parts

NEW = [
    Document("x1", "Quern", "The Quern is a mill stone of basalt. It was found in Oldport in 1903.", atomic=True),
    Document(
        "x2", "Lodestar", "The Lodestar was a schooner built by the Harker yard. It sank near Gull Point.", atomic=True
    ),
    Document("x3", "Ashwell", "Ashwell is a spring in the county of Marle. Its water is rich in iron.", atomic=True),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refreshed")
    write_beir(generate(160, 60, 3), folder / "corpus")
    Index.build(folder / "corpus", folder / "w.index", threads=1)
    arguments = ["tune-router", "--index", str(folder / "w.index"), "--shards", "4", "--made", "150", "--quiet"]
    assert main([*arguments, "--out", str(folder / "router")]) == 0
    index = Index.open(folder / "w.index", threads=1)
    index.delete([index.store.passage(row).document_id for row in (0, 7)])
    index.add(NEW)
    shutil.copytree(folder / "w.index", folder / "changed.index")
    index.compact()
    return folder


@pytest.fixture(scope="module")
def refreshed(house: Path) -> Path:
    arguments = ["refresh", str(house / "w.index"), "--router", str(house / "router"), "--made", "60", "--quiet"]
    assert main([*arguments, "--out", str(house / "new")]) == 0
    return house / "new"


def test_an_index_is_compacted_first(house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["refresh", str(house / "changed.index"), "--router", str(house / "router"), "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "new")]) == 1
    assert "`trailhound compact` it first" in capsys.readouterr().err


def test_the_former_router_stays(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["refresh", str(house / "w.index"), "--router", str(house / "router")]
    assert main([*arguments, "--out", str(house / "router")]) == 2
    assert "name another folder" in capsys.readouterr().err


def test_passages_that_stayed_keep_docid_and_shard(house: Path, refreshed: Path) -> None:
    old, new = read_parts(house / "router"), read_parts(refreshed)
    former = {name: row for row, name in enumerate(json.loads((house / "router" / PASSAGES).read_text()))}
    index = Index.open(house / "w.index", threads=1)
    stayed = [(row, former[passage.id]) for row, passage in enumerate(index.store) if passage.id in former]
    assert len(stayed) == 158
    for row, before in stayed:
        assert new.partition.shard[row] == old.partition.shard[before]
        assert new.tree.docid(row) == old.tree.docid(before)


def test_a_refreshed_router_finds_what_is_new(house: Path, refreshed: Path) -> None:
    index = Index.open(house / "w.index", threads=1, router=refreshed, shard_mass=0.01)
    routing = index.routing
    assert routing is not None
    assert len(routing.router.tree) == len(index) == 161
    for document in NEW:
        row = index.store.row_of(document.id)
        question = index.query(document.text)
        assert row in routing.router.docids(question, 5).rows
        assert index.sub_indexes_for(question)["lexical"].search(question, 1).rows.tolist() == [row]


def test_its_file_says_how_it_did_on_old_and_new_passages(refreshed: Path) -> None:
    figures = json.loads((refreshed / "router.json").read_text())["about"]["figures"]
    assert figures["new passages"] == pytest.approx(3 / 161)
    assert figures["gone"] == pytest.approx(2 / 160)
    assert {name for name in figures if "docid_hits@1" in name} == {
        f"{kind}, docid_hits@1, {stage}" for kind in ("old", "new") for stage in ("before", "after")
    }


def test_nothing_new_is_nothing_to_refresh(house: Path, refreshed: Path, tmp_path: Path) -> None:
    with pytest.raises(RouterError, match="nothing to refresh"):
        refresh_router(Index.open(house / "w.index", threads=1), refreshed, tmp_path / "again")


def test_a_router_without_names_must_be_tuned_anew(house: Path, tmp_path: Path) -> None:
    with pytest.raises(RouterError, match="tune a router anew"):
        refresh_router(Index.open(house / "w.index", threads=1), tmp_path, tmp_path / "new")


def test_docids_are_renumbered_with_their_passages() -> None:
    vectors = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tree = DocidTree.build(vectors, np.random.default_rng(1), DocidSettings(branching=4, fill=0.75))
    place = np.arange(20)[::-1].copy()
    turned = tree.without([3]).renumbered(np.where(np.arange(20) == 3, NONE, place), 20)
    assert len(turned) == 19
    for row in range(20):
        if row != 3:
            assert turned.docid(19 - row) == tree.docid(row)
    with pytest.raises(KeyError):
        turned.docid(16)

"""A routed index searches the shards of a question, asks for docids, and finds what came and went since."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from fixtures.searches import FEATURE
from trailhound import Document, EnvironmentSettings, Index
from trailhound.agent._policy_file import load_policy
from trailhound.cli import main
from trailhound.demo._encyclopedia import generate, write_beir
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_set import QuestionSet
from trailhound.envs.settings import QUESTION, SUB_INDEXES
from trailhound.errors import RouterError
from trailhound.measuring._miss_stages import Searched, SearchTrace, attribute

DOCID = SUB_INDEXES.index("docid")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("routed")
    write_beir(generate(160, 60, 3), folder / "corpus")
    Index.build(folder / "corpus", folder / "w.index", threads=1)
    arguments = ["tune-router", "--index", str(folder / "w.index"), "--shards", "4", "--made", "150", "--quiet"]
    assert main([*arguments, "--out", str(folder / "router")]) == 0
    return folder


def routed(house: Path, mass: float = 0.01, index: str = "w.index") -> Index:
    return Index.open(house / index, threads=1, router=house / "router", shard_mass=mass)


def first_question(house: Path) -> str:
    return str(json.loads((house / "corpus" / "queries.jsonl").read_text().splitlines()[0])["text"])


def test_lexical_and_dense_search_within_the_shards_of_the_question(house: Path) -> None:
    index = routed(house)
    question = index.query(first_question(house))
    routing = index.routing
    assert routing is not None
    (shard,) = routing.router.shards(question, 0.01).numbers.tolist()
    inside = set(routing.router.partition.rows(np.array([shard])).tolist())
    assert routing.passages_searched(question) == len(inside) < len(index) / 2
    for name in ("lexical", "dense"):
        hits = index.sub_indexes_for(question)[name].search(question, 20)
        assert len(hits), name
        assert set(hits.rows.tolist()) <= inside, name
    everywhere = index.dense.search(question, len(index))
    best_inside = [row for row in everywhere.rows.tolist() if row in inside][:5]
    assert index.sub_indexes_for(question)["dense"].search(question, 5).rows.tolist() == best_inside


def test_all_shards_together_are_the_whole_dense_index(house: Path) -> None:
    index = routed(house, mass=1)
    question = index.query(first_question(house))
    here, there = index.sub_indexes_for(question)["dense"].search(question, 30), index.dense.search(question, 30)
    assert here.rows.tolist() == there.rows.tolist()
    np.testing.assert_allclose(here.scores, there.scores, atol=1e-6)


def test_an_index_without_a_router_has_no_docids(house: Path) -> None:
    index = Index.open(house / "w.index", threads=1)
    assert index.routing is None
    assert set(index.sub_indexes_for(index.query("anything"))) == set(index.sub_indexes)


@pytest.mark.parametrize("with_router", [True, False])
def test_the_environment_asks_for_docids_where_there_is_a_router(with_router: bool, house: Path) -> None:
    index = routed(house) if with_router else Index.open(house / "w.index", threads=1)
    settings = EnvironmentSettings()
    questions = QuestionSet.load(index, house / "corpus", "train", settings, lambda message: None)
    batch = SearchBatch(settings, 1, len(QUESTION))
    batch.start([0], [questions.world(0)])
    action = batch.layout.expand + DOCID
    assert batch.mask[0, action] == with_router
    if with_router:
        spent = batch.lane(0).spent
        batch.act(0, action)
        question = index.query(batch.lane(0).world.view.text)
        wanted = index.sub_indexes_for(question)["docid"].search(question, settings.expand_size).rows.tolist()
        rows = batch.observation["candidate_rows"][0].tolist()
        found = batch.observation["candidates"][0, :, FEATURE["found_by_docid"]]
        assert found[[rows.index(row) for row in wanted]] == pytest.approx(1 / np.arange(1, len(wanted) + 1))
        assert batch.lane(0).spent - spent == pytest.approx(settings.expand_docid_ms * settings.price_per_ms)
        batch.act(0, batch.layout.take)
        assert not batch.mask[0, action], "docids follow from the question alone"


def test_a_policy_learns_to_ask_for_docids(house: Path, tmp_path: Path) -> None:
    """From the command line, within the shards: the expert of ``thorough`` asks everything that is there."""
    over = ["--index", str(house / "w.index"), "--questions", str(house / "corpus"), "--quiet"]
    anew = ["train", "--from", "none", "--split", "train", "--out", str(tmp_path / "run")]
    router = ["--router", str(house / "router"), "--shard-mass", "0.9"]
    few = ["thorough=true", "imitation_epochs=6", "imitation_learning_rate=5e-3", "imitation_lanes=8", "width=24"]
    few += ["ppo_iterations=0", "reader_epochs=0", "made_beside=0", "ranker_steps=0", "expand_docid_ms=1"]
    short = [part for setting in few for part in ("--set", setting)]
    assert main([*anew, *over, *router, *short]) == 0
    assert load_policy(tmp_path / "run").network.operator.weight[DOCID].any()
    asked = ["evaluate", *over, "--policy", str(tmp_path / "run"), "--split", "dev", "--json"]
    assert main([*asked, str(tmp_path / "routed.json"), *router]) == 0
    assert main([*asked, str(tmp_path / "everywhere.json")]) == 0
    docids = [
        json.loads((tmp_path / f"{name}.json").read_text())["calls_docid_mean"] for name in ("routed", "everywhere")
    ]
    assert docids[0] > 0
    assert docids[1] == 0


def test_a_pickled_index_keeps_its_router(house: Path) -> None:
    index = pickle.loads(pickle.dumps(routed(house, mass=0.75)))
    assert index.routing is not None
    question = index.query(first_question(house))
    assert index.routing.mass == 0.75
    assert len(index.sub_indexes_for(question)["docid"].search(question, 3)) == 3


def test_what_is_added_is_found_and_what_is_deleted_is_not(house: Path, tmp_path: Path) -> None:
    shutil.copytree(house / "w.index", tmp_path / "w.index")
    index = Index.open(tmp_path / "w.index", threads=1, router=house / "router", shard_mass=0.01)
    question = index.query(first_question(house))
    before = index.sub_indexes_for(question)["lexical"].search(question, 3).rows.tolist()
    index.add([Document("new", "", question.text)])
    index.delete([index.store.passage(before[0]).document_id])
    for name in ("lexical", "dense"):
        rows = index.sub_indexes_for(question)[name].search(question, 5).rows.tolist()
        assert rows[0] == index.store.row_of("new#0"), name
        assert before[0] not in rows, name


def test_the_router_of_another_index_is_refused(house: Path, tmp_path: Path) -> None:
    Index.build([Document("a", "A", "One text."), Document("b", "B", "Another.")], tmp_path / "other.index", threads=1)
    index = Index.open(tmp_path / "other.index", threads=1, router=house / "router")
    with pytest.raises(RouterError, match="was tuned on another index"):
        index.sub_indexes_for(index.query("one"))


def test_no_shards_at_all_are_refused(house: Path) -> None:
    with pytest.raises(RouterError, match="must be above 0 and at most 1, not 0"):
        routed(house, mass=0).sub_indexes_for(Index.open(house / "w.index", threads=1).query("one"))


def test_what_is_reachable_is_what_is_searched(house: Path) -> None:
    index = routed(house)
    routing = index.routing
    assert routing is not None
    question = index.query(first_question(house))
    reachable = routing.reachable(question, len(index) + 2)
    assert reachable[-2:].all(), "what came later is in no shard, and is searched"
    assert reachable[:-2].sum() == routing.passages_searched(question)
    found = index.sub_indexes_for(question)["dense"].search(question, len(index)).rows
    assert sorted(found.tolist()) == np.flatnonzero(reachable[:-2]).tolist()


def test_what_no_page_of_a_routed_index_holds_is_beyond_the_pages(house: Path) -> None:
    index = routed(house, mass=1)
    settings = EnvironmentSettings(expand_size=1, pages=1)
    world = QuestionSet.load(index, house / "corpus", "train", settings, lambda message: None).world(0)
    batch, trace = SearchBatch(settings, 1, len(QUESTION)), SearchTrace()
    batch.start([0], [world])
    trace(batch, 0, 0)
    question = index.query(world.view.text)
    brought = {int(found.search(question, 1).rows[0]) for found in index.sub_indexes_for(question).values()}
    row = next(row for row in index.lexical.search(question, 30).rows.tolist() if row not in brought)
    finding = attribute(Searched(world, trace, (), ()), [row])[row]
    assert (finding.stage, finding.cause) == ("retrieval", "beyond the pages")


def test_a_miss_outside_the_shards_is_one_of_routing(house: Path, tmp_path: Path) -> None:
    arguments = ["--index", str(house / "w.index"), "--questions", str(house / "corpus"), "--split", "dev", "--quiet"]
    report = tmp_path / "misses.json"
    assert main(["explain-misses", *arguments, "--json", str(report)]) == 0
    everywhere = json.loads(report.read_text())["misses"]
    small = ["--index", str(house / "w.index"), "--shards", "20", "--made", "20", "--quiet"]
    assert main(["tune-router", *small, "--out", str(tmp_path / "router")]) == 0
    routing = ["--router", str(tmp_path / "router"), "--shard-mass", "0.01"]
    assert main(["explain-misses", *arguments, *routing, "--json", str(report)]) == 0
    in_shards = json.loads(report.read_text())["misses"]
    assert not any(miss["cause"] == "outside the shards" for miss in everywhere)
    assert any(miss["stage"] == "routing" and miss["cause"] == "outside the shards" for miss in in_shards)


def test_a_search_explains_where_the_router_leads(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["search", str(house / "w.index"), first_question(house), "--explain-router", "--quiet"]
    assert main([*asked, "--router", str(house / "router")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("shards searched: ")
    assert shown[1].startswith("docids beginning with ")
    assert main(asked) == 2
    assert "--router" in capsys.readouterr().err


def test_every_file_of_a_router_is_checked(house: Path, tmp_path: Path) -> None:
    """Whatever is flipped, cut or missing is named: the lexical index of a shard too."""
    question = Index.open(house / "w.index", threads=1).query("one")
    folder = tmp_path / "router"
    shutil.copytree(house / "router", folder)
    listed = json.loads((folder / "router.json").read_text())["files"]
    assert any("lexical" in name for name in listed)
    for path in (folder / name for name in ("router.json", *listed)):
        whole, half = path.read_bytes(), path.stat().st_size // 2
        for damaged in (whole[:-1], whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(RouterError, match=re.escape(path.name)):
                Index.open(house / "w.index", threads=1, router=folder, verify=False).sub_indexes_for(question)
        path.write_bytes(whole)
    Index.open(house / "w.index", threads=1, router=folder).sub_indexes_for(question)

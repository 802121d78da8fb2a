"""A label that names a document is met by any of its passages, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound import Document, EnvironmentSettings, Index, Question
from trailhound.envs._batch import SearchBatch
from trailhound.envs._nearness import similarity
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._question_view import QuestionView
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import SUB_INDEXES
from trailhound.index.settings import IndexSettings
from trailhound.learning.policy._imitation import expert_actions
from trailhound.retrievers.protocols import Encoder

TEXTS = {
    "mill": ["The mill grinds barley.", "The mill stands by the river.", "The mill belongs to Ada Brun of Torl."],
    "inn": ["The inn has nine rooms.", "Barley beer is brewed at the inn by the river."],
    "bridge": ["The bridge is of stone and crosses the river."],
}
QUESTION = Question("q", "Who owns the mill by the river that grinds barley?")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, hashing_encoder: Encoder) -> Index:
    documents = [Document(name, name.title(), "\n\n".join(parts)) for name, parts in TEXTS.items()]
    place = tmp_path_factory.mktemp("labelled") / "x.index"
    return Index.build(documents, place, encoder=hashing_encoder, settings=IndexSettings(chunk_tokens=8))


def world_of(index: Index, labels: dict[str, int]) -> QuestionWorld:
    return QuestionSet(index, [QUESTION], {"q": labels}, EnvironmentSettings(price_per_ms=0)).world(0)


def test_a_document_has_one_row_the_nearest(index: Index) -> None:
    world = world_of(index, {"mill": 1, "inn": 0})
    rows = np.array(index.store.rows_of("mill"))
    assert len(rows) > 1
    assert world.gold == {int(rows[similarity(index, rows, world.view.vector).argmax()])}
    assert {row for row in range(len(index)) if world.met_by(row) >= 0} == set(rows.tolist())


def test_every_passage_covers_its_document_once(index: Index) -> None:
    """Whatever is taken, in whatever order: reward is the share of the labels that something taken meets."""
    bridge = index.store.rows_of("bridge")[0]
    world = world_of(index, {"mill": 1, "inn": 1, index.store.passage(bridge).id: 1})
    assert len(world.gold) == 3
    label = {row: name for name in ("mill", "inn") for row in index.store.rows_of(name)} | {bridge: "a passage"}
    generator = np.random.default_rng(0)
    batch = SearchBatch(world.settings, 1, len(world.form))
    for _ in range(20):
        batch.start([0], [world])
        for sub_index in ("lexical", "dense"):
            batch.act(0, batch.layout.expand + SUB_INDEXES.index(sub_index))
        state = batch.lane(0)
        total = 0.0
        for _ in range(4):
            takes = np.flatnonzero(batch.mask[0, batch.layout.take :])
            total += batch.act(0, int(batch.layout.take + generator.choice(takes)))[0]
            met = len({label[row] for row in state.taken_rows if row in label})
            assert state.found_gold == met == world.labels_met(state.taken_rows)
            assert total == pytest.approx(met / 3)


def test_the_expert_takes_one_passage_of_a_document_the_nearest_in_view(index: Index) -> None:
    world = world_of(index, {"mill": 1, "inn": 1})
    batch = SearchBatch(world.settings, 1, len(world.form))
    batch.start([0], [world])
    for sub_index in ("lexical", "dense"):
        batch.act(0, batch.layout.expand + SUB_INDEXES.index(sub_index))
    for _ in range(2):
        state = batch.lane(0)
        good = np.flatnonzero(expert_actions(batch, [0])[0])
        rows = [int(world.rows[state.places[action - batch.layout.take]]) for action in good]
        assert set(rows) <= world.gold, "with all passages in view, those that stand for the documents"
        batch.act(0, int(good[0]))
    assert batch.lane(0).found_gold == 2
    assert np.flatnonzero(expert_actions(batch, [0])[0]).tolist() == [0], "then it stops"


def test_labels_of_passages_are_as_they_were(small_index: Index, corpus_folder: Path) -> None:
    known = QuestionSet.load(small_index, corpus_folder, "dev", EnvironmentSettings())
    for number, item in enumerate(known.items):
        assert item.meets == {row: row for row in item.gold}
        world = known.world(number)
        assert world.is_gold.tolist() == [row in item.gold for row in world.rows.tolist()]


def test_the_expert_reads_on_in_a_document_whose_further_passage_leads_to_the_next(
    tmp_path: Path, hashing_encoder: Encoder
) -> None:
    texts = {
        "The Silver Gate": ["The Silver Gate is a film from the north.", "Its director was Ada Brun of the hills."],
        "Ada Brun": ["Ada Brun is a painter with a wooden boat."],
    }
    documents = [Document(name, name, "\n\n".join(parts)) for name, parts in texts.items()]
    settings = IndexSettings(chunk_tokens=9)
    index = Index.build(documents, tmp_path / "x.index", encoder=hashing_encoder, settings=settings)
    first, second = index.store.rows_of("The Silver Gate")
    (person,) = index.store.rows_of("Ada Brun")
    assert person in index.graph.neighbours(second, "mentions").rows
    view = QuestionView.of(index, "What is The Silver Gate?")
    few = EnvironmentSettings(expand_size=1, pages=1)
    world = QuestionWorld(
        index, view, few, frozenset({first, person}), meets={first: first, second: first, person: person}
    )
    batch = SearchBatch(few, 1, len(world.form))
    for _ in range(5):
        batch.start([0], [world])
        while not batch.act(0, int(np.flatnonzero(expert_actions(batch, [0])[0])[0]))[1]:
            pass
        state = batch.lane(0)
        assert state.found_gold == 2
        assert person in state.taken_rows

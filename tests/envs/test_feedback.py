"""Feedback asks lexical and dense again, with what the first passages that both found add to the question."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures.searches import FEATURE, started
from trailhound import Document, EnvironmentSettings, Index
from trailhound.envs._question_view import QuestionView
from trailhound.envs._world import FEEDBACK_TERMS, QuestionWorld
from trailhound.envs.settings import SUB_INDEXES
from trailhound.retrievers.protocols import Encoder

FEEDBACK = SUB_INDEXES.index("feedback")
TEXTS = {
    "first": "Winter barley ferments slowly in oak casks.",
    "second": "Winter barley ripens in oak casks of the cooper.",
    "third": "Winter barley is sown beside oak casks.",
    "linked": "The cooper bends oak staves, and casks are closed by hoops.",
    "other": "A harbour seal sleeps on the sand.",
    **{
        f"other {k}": f"{thing} stands on the mountain pass."
        for k, thing in enumerate(("A chapel", "A lamp", "A goat", "A mast", "A bell", "A tent", "A fence", "A sign"))
    },
}


@pytest.fixture(scope="module")
def index(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    documents = [Document(name, "", text, atomic=True) for name, text in TEXTS.items()]
    return Index.build(documents, tmp_path_factory.mktemp("feedback") / "x.index", encoder=hashing_encoder)


@pytest.fixture
def world(index: Index) -> QuestionWorld:
    settings = EnvironmentSettings(expand_size=3, pages=2, expand_feedback_ms=7, price_per_ms=0.01)
    return QuestionWorld(index, QuestionView.of(index, "winter barley?"), settings)


def names(world: QuestionWorld, places: np.ndarray) -> list[str]:
    return [passage.id.partition("#")[0] for passage in world.index.store.passages(world.rows[places].tolist())]


def test_it_brings_what_shares_words_with_the_first_passages_alone(world: QuestionWorld) -> None:
    linked = list(TEXTS).index("linked")
    assert linked not in world.seen(SUB_INDEXES.index("lexical"), ()).rows, "the question has none of its words"
    found = names(world, world.expand(FEEDBACK, (), 0)) + names(world, world.expand(FEEDBACK, (), 1))
    assert set(found[:3]) == {"first", "second", "third"}, "what agrees with the question stays in front"
    assert found[3] == "linked"


def test_the_terms_that_join_are_those_of_most_passages_and_not_the_questions(world: QuestionWorld) -> None:
    added = world._added_terms(np.arange(3))
    assert added[:2] == ["cask", "oak"], "all three have them"
    assert not {"winter", "barley", "barlei"} & set(added)
    assert len(added) <= FEEDBACK_TERMS
    assert "harbour" not in added


def test_it_is_asked_for_a_page_at_a_time_at_its_price_until_there_is_evidence(world: QuestionWorld) -> None:
    batch = started(world.settings, world)
    action = batch.layout.expand + FEEDBACK
    spent = batch.lane(0).spent
    expected = world.seen(FEEDBACK, ()).rows.tolist()
    batch.act(0, action)
    assert batch.lane(0).spent - spent == pytest.approx(0.07)
    rows = batch.observation["candidate_rows"][0].tolist()
    found = batch.observation["candidates"][0, :, FEATURE["found_by_feedback"]]
    assert found[[rows.index(row) for row in expected[:3]]] == pytest.approx([1, 1 / 2, 1 / 3])
    assert batch.mask[0, action], "there is a second page"
    batch.act(0, batch.layout.take)
    assert not batch.mask[0, action], "with evidence, queries hold that instead"
    assert batch.lane(0).asked["feedback"] == 1


def test_where_nothing_is_found_there_is_nothing_to_learn_from(index: Index, world: QuestionWorld) -> None:
    view = QuestionView.of(index, "?!")
    empty = QuestionWorld(index, view, world.settings)
    empty.offers = tuple(name == "feedback" for name in SUB_INDEXES)
    assert len(empty.expand(FEEDBACK, (), 0)) == 0

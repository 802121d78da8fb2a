"""What several questions ask together is, bit for bit, what each asks alone."""

from __future__ import annotations

import numpy as np
import pytest
from trailhound import Document, EnvironmentSettings, Index
from trailhound.envs import _in_view
from trailhound.envs._pair_features import compare
from trailhound.envs._question_view import QuestionView
from trailhound.envs._world import Hop, QuestionWorld, explore
from trailhound.envs.settings import SUB_INDEXES
from trailhound.graph._knowledge_graph import GROUPS
from trailhound.retrievers.protocols import Encoder

SETTINGS = EnvironmentSettings(expand_size=4)
LEXICAL, DENSE = SUB_INDEXES.index("lexical"), SUB_INDEXES.index("dense")


@pytest.fixture
def questions(small_index: Index) -> list[str]:
    """Questions of very different length; one has no terms at all."""
    first = [small_index.store.passage(row).text.split(".")[0] for row in range(0, 40, 8)]
    return [*first, small_index.store.passage(3).text, "Harbour?", "?"]


@pytest.fixture(scope="module")
def other_index(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    texts = {"Harbour": "The harbour lies at the sea.", "Sea": "A sea is large. The Harbour is at it.", "": "Nothing."}
    documents = [Document(f"d{k}", title, text, atomic=True) for k, (title, text) in enumerate(texts.items())]
    return Index.build(documents, tmp_path_factory.mktemp("other") / "x.index", encoder=hashing_encoder)


def asked(index: Index, questions: list[str]) -> list[QuestionWorld]:
    return [QuestionWorld(index, QuestionView.of(index, text), SETTINGS) for text in questions]


def explored(worlds: list[QuestionWorld], together: bool) -> None:
    """Ask the same of every world: both indexes, then with the first passage as evidence, and what it links to."""
    parts = [worlds] if together else [[world] for world in worlds]
    for part in parts:
        explore((world, world.expansion(number, (), 0)) for world in part for number in (LEXICAL, DENSE))
        begun = [world for world in part if len(world)]
        explore((world, world.expansion(DENSE, (0,), page)) for world in begun for page in (0, 1))
        explore((world, Hop(place, group)) for world in begun for place in (0, 1) for group in range(len(GROUPS)))
        compare([pair for world in begun for place in (1, 0, 1) for pair in world.to_compare(place)])


def test_together_is_what_each_asks_alone(small_index: Index, questions: list[str]) -> None:
    together, alone = asked(small_index, questions), asked(small_index, questions)
    explored(together, together=True)
    explored(alone, together=False)
    for one, other in zip(together, alone, strict=True):
        order = one.in_view.places(other.rows)
        assert sorted(order.tolist()) == list(range(len(one)))
        assert one.static[order].tobytes() == other.static.tobytes()
        assert one.hits[order].tobytes() == other.hits.tobytes()
        assert [one.in_view.titles[place] for place in order] == other.in_view.titles
        every = np.arange(len(other))
        np.testing.assert_array_equal(one.links_among(order), other.links_among(every))
        for call, places in other.brought.items():
            assert one.rows[one.brought[call]].tolist() == other.rows[places].tolist()
        for place in (0, 1) if len(other) else ():
            beside = one.pair(int(order[place]))[order]
            assert beside.tobytes() == other.pair(place).tobytes()


def test_what_is_known_is_not_asked_again(
    small_index: Index, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = asked(small_index, questions)
    explored(worlds, together=True)
    monkeypatch.setattr(_in_view, "passage_features", lambda *_: pytest.fail("computed again"))
    explored(worlds, together=True)


def test_one_question_asked_twice_at_once_is_asked_once(small_index: Index, questions: list[str]) -> None:
    (world,) = asked(small_index, questions[:1])
    call = world.expansion(LEXICAL, (), 0)
    explore([(world, call), (world, call), (world, world.expansion(DENSE, (), 0))])
    assert len(set(world.rows.tolist())) == len(world)
    assert world.in_view.without_known(world.rows).tolist() == []


def test_questions_over_several_indexes_are_explored_together(
    small_index: Index, other_index: Index, questions: list[str]
) -> None:
    both = [*asked(small_index, questions), *asked(other_index, questions)]
    explored(both, together=True)
    alone = asked(other_index, questions)
    explored(alone, together=False)
    for one, other in zip(both[len(questions) :], alone, strict=True):
        assert sorted(one.rows.tolist()) == sorted(other.rows.tolist())
        assert one.static[one.in_view.places(other.rows)].tobytes() == other.static.tobytes()

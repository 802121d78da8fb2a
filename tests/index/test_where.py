"""Nothing of a document that may not be seen is searched, followed, counted or said."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document, Index, SearchAgent, Where
from trailhound.agent._systems import SYSTEMS
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.errors import QuestionsError
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Query

RECORDS: list[dict[str, Any]] = [
    {"year": 1999, "lang": "en", "tags": ["a", "b"], "access": ["staff", "ada"]},
    {"year": 2005.5, "lang": "de", "tags": [], "access": "bob"},
    {"year": "2005", "lang": "en", "draft": True, "access": []},
    {"year": None, "inner": {"level": 3, "name": "x"}, "source": "given"},
    {"year": True, "lang": "en, gb", "inner.level": 7},
    {},
]


@pytest.fixture(scope="module")
def described(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    documents = [
        Document(f"d{number}", f"Title {number}", f"A harbour note, number {number}.", f"file{number}", metadata=record)
        for number, record in enumerate(RECORDS)
    ]
    return Index.build(documents, tmp_path_factory.mktemp("where") / "x.index", encoder=hashing_encoder)


def seen(index: Index, where: Where) -> list[int]:
    with index.snapshot(where):
        return [int(name[1:]) for name in index.store.document_ids()]


CONDITIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [0, 1, 2, 3, 4, 5]),
    ({"year": 1999}, [0]),
    ({"year": "2005"}, [2]),
    ({"year": 1}, []),
    ({"year": True}, [4]),
    ({"year": {"$gte": 1999}}, [0, 1]),
    ({"year": {"$gt": 1999, "$lt": 2006}}, [1]),
    ({"year": {"$lte": "3"}}, [2]),
    ({"lang": {"$ne": "en"}}, [1, 3, 4, 5]),
    ({"lang": {"$in": ["en", "de"]}}, [0, 1, 2]),
    ({"lang": {"$nin": ["en", "de"]}}, [3, 4, 5]),
    ({"lang": {"$contains": "en"}}, [0, 2, 4]),
    ({"tags": {"$contains": "b"}}, [0]),
    ({"tags": []}, [1]),
    ({"draft": {"$exists": True}}, [2]),
    ({"year": {"$exists": False}}, [3, 5]),
    ({"inner.level": 3}, [3]),
    ({"inner.level": 7}, [4]),
    ({"inner": {"$eq": {"level": 3, "name": "x"}}}, [3]),
    ({"id": {"$in": ["d1", "d5"]}}, [1, 5]),
    ({"title": "Title 4"}, [4]),
    ({"source": "given"}, [3]),
    ({"source": {"$contains": "file"}}, [0, 1, 2, 4, 5]),
    ({"lang": "en", "year": 1999}, [0]),
    ({"$and": [{"lang": "en"}, {"year": "2005"}]}, [2]),
    ({"$or": [{"lang": "de"}, {"draft": True}]}, [1, 2]),
    ({"$not": {"lang": "en"}}, [1, 3, 4, 5]),
    ({"$not": {"$or": [{"lang": "en"}, {"$not": {"year": {"$exists": True}}}]}}, [1, 4]),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS, ids=[json.dumps(one) for one, _ in CONDITIONS])
def test_conditions_on_metadata(condition: dict[str, Any], expected: list[int], described: Index) -> None:
    assert seen(described, Where(metadata=condition)) == expected


@pytest.mark.parametrize(
    ("principals", "expected"),
    [([], [3, 4, 5]), (["staff"], [0, 3, 4, 5]), (["bob", "ada"], [0, 1, 3, 4, 5]), (["nobody"], [3, 4, 5])],
)
def test_access_lists(principals: list[str], expected: list[int], described: Index) -> None:
    assert seen(described, Where(principals=principals)) == expected


def test_all_that_is_given_must_hold(described: Index) -> None:
    assert seen(described, Where(["d0", "d1", "gone"], {"lang": "en"}, ["staff"])) == [0]
    assert seen(described, Where(documents=[])) == []


WRONG: list[Any] = [
    "x", 3, [("a", 1)], {"a": {}}, {"a": {"$near": 1}}, {"$all": []}, {"$or": []}, {"$or": "x"}, {"$or": [3]}, {3: 4},
    {"a": {"$in": "x"}}, {"a": {"$exists": "yes"}}, {"a": {1, 2}}, {"a": float("nan")}, {"$not": [1]},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_condition_that_cannot_be_understood_is_an_error(wrong: Any) -> None:
    with pytest.raises(QuestionsError):
        Where(metadata=wrong)


def test_names_are_lists_of_texts() -> None:
    for wrong in ("ada", [1], 3):
        with pytest.raises(QuestionsError):
            Where(principals=wrong)  # type: ignore[arg-type]
        with pytest.raises(QuestionsError):
            Where(documents=wrong)  # type: ignore[arg-type]


def test_a_condition_does_not_change_with_what_it_was_made_of(described: Index) -> None:
    """A view is kept by its condition: one that changed would show documents that were to be hidden."""
    given: dict[str, Any] = {"lang": "en"}
    where = Where(metadata=given)
    given.clear()
    assert seen(described, where) == [0, 2]


def test_conditions_that_lie_too_deep_are_an_error() -> None:
    deep: dict[str, Any] = {"a": 1}
    for _ in range(5000):
        deep = {"$not": deep}
    with pytest.raises(QuestionsError, match="deep"):
        Where(metadata=deep)


def test_a_condition_is_a_value() -> None:
    one = Where(["b", "a"], {"x": {"$in": [1, 2]}}, ["ada"])
    assert one == Where({"a", "b"}, {"x": {"$in": [1, 2]}}, ("ada",))
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))
    assert one == pickle.loads(pickle.dumps(one))
    assert one != Where(["a"])
    assert repr(Where(principals=["ada"])) == "Where(principals=frozenset({'ada'}))"


@pytest.fixture(scope="module")
def agents(late_index: Index, tiny_run: Path) -> dict[str, SearchAgent]:
    policies = {"policy": tiny_run, "exhaustive": tiny_run}
    return {system: SearchAgent(late_index, policies.get(system), system=system) for system in SYSTEMS}


@pytest.mark.parametrize("system", SYSTEMS)
@settings(max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.0, 0.02, 0.3, 0.9]))
def test_nothing_of_a_hidden_document_comes_out(
    system: str, seed: int, share: float, agents: Mapping[str, SearchAgent], encyclopedia: Encyclopedia
) -> None:
    agent, draw = agents[system], np.random.default_rng(seed)
    store = agent.index.store
    everything = store.document_ids()
    visible = {name for name in everything if draw.random() < share}
    question = encyclopedia.questions[draw.integers(len(encyclopedia.questions))].text
    result = agent.search(question, 50, where=Where(documents=visible))
    hidden = [store.document(name) for name in everything if name not in visible]
    ids = {
        row for name in everything if name not in visible for row in (store.passage(r).id for r in store.rows_of(name))
    }
    assert {one.passage.document_id for one in result.evidence} <= visible
    assert not ids & {name for step in result.path for name in step.passages}
    assert result.answer is None or result.answer.passage not in ids
    shown = json.dumps({**result.to_json(), "question": ""}, ensure_ascii=False)
    for document in hidden:
        assert document.text not in shown
    seen_titles = {title for step in result.path for title in step.titles}
    assert not seen_titles & {document.title for document in hidden} - {store.document(one).title for one in visible}
    assert len(result.evidence) <= len(visible)


def test_what_a_hidden_document_says_changes_nothing_but_bm25(hashing_encoder: Encoder, tmp_path: Path) -> None:
    """Two indexes that differ in a hidden document alone: titles, links, identifiers, vectors, frequencies of words."""
    shown = [
        Document(f"s{number}", f"Silver Gate {number}", f"Silver Gate {number} lies at Torl. See ERR-{number}.")
        for number in range(12)
    ]
    plain = Document("h", "Quiet", "Nothing of interest is said in here.")
    loud = Document("h", "Silver Gate 3", "Silver Gate 3 and Silver Gate 4 have ERR-3, and zebras.")
    results = []
    for number, hidden in enumerate((plain, loud)):
        index = Index.build([*shown, hidden], tmp_path / f"{number}.index", encoder=hashing_encoder)
        agent = SearchAgent(index)
        found = [
            agent.search(question, where=Where([document.id for document in shown]))
            for question in ("Where does Silver Gate 3 lie?", "What is ERR-3?", "Do zebras live at Silver Gate 4?")
        ]
        results.append([(r.path, r.answer, r.unanswered, [e.passage.id for e in r.evidence]) for r in found])
        assert all(result.evidence for result in found)
    assert results[0] == results[1]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.01, 0.05, 0.5, 0.95]))
def test_each_sub_index_finds_the_best_of_what_is_seen(
    seed: int, share: float, late_index: Index, encyclopedia: Encyclopedia
) -> None:
    """As if it had ranked everything, and the hidden ones were left out: whatever the share."""
    index, draw = late_index, np.random.default_rng(seed)
    visible = [name for name in index.store.document_ids() if draw.random() < share]
    query = index.query(draw.choice([one.text for one in encyclopedia.questions]))
    whole = {name: part.search(query, len(index)) for name, part in index.sub_indexes.items() if name != "entity"}
    rows = {row for name in visible for row in index.store.rows_of(name)}
    with index.snapshot(Where(visible)):
        assert len(index) == len(rows)
        for name, hits in whole.items():
            scores = dict(zip(hits.rows.tolist(), hits.scores.tolist(), strict=True))
            kept = sorted((score for row, score in scores.items() if row in rows), reverse=True)[:10]
            found = index.sub_indexes[name].search(query, 10)
            assert rows.issuperset(found.rows.tolist())
            np.testing.assert_allclose(found.scores, kept, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose([scores[row] for row in found.rows.tolist()], found.scores, rtol=1e-5, atol=1e-6)


def test_conditions_hold_over_additions_and_deletions(hashing_encoder: Encoder, tmp_path: Path) -> None:
    documents = [
        Document(f"d{number}", "", f"Note {number} on the harbour.", metadata={"even": number % 2 == 0})
        for number in range(40)
    ]
    index = Index.build(documents[:20], tmp_path / "x.index", encoder=hashing_encoder)
    even = Where(metadata={"even": True})
    agent = SearchAgent(index, system="hybrid")
    assert len(agent.search("harbour", 50, where=even).evidence) == 10
    index.add(documents[20:])
    assert len(agent.search("harbour", 50, where=even).evidence) == 20
    index.delete(["d0", "d1", "d22"])
    found = agent.search("harbour", 50, where=even)
    assert {one.passage.document_id for one in found.evidence} == {
        f"d{number}" for number in range(2, 40, 2) if number != 22
    }


class Counted:
    """Counts the searches of tantivy's searcher."""

    def __init__(self, searcher: Any) -> None:
        self._searcher = searcher
        self.searches = 0

    def __getattr__(self, name: str) -> Any:
        self.searches += name == "search"
        return getattr(self._searcher, name)


def test_no_sub_index_is_asked_again_because_hidden_documents_fit(hashing_encoder: Encoder, tmp_path: Path) -> None:
    """Asking again would tell by the time of a search that they do."""
    secret = [Document(f"s{k}", "", "The zirkel is kept here.", metadata={"access": ["staff"]}) for k in range(100)]
    public = [Document(f"p{k}", "", f"The harbour has a ferry, number {k}.") for k in range(100)]
    index = Index.build([*secret, *public], tmp_path / "x.index", encoder=hashing_encoder)
    searches = []
    with index.snapshot(Where(principals=["public"])):
        for question in ("harbour zirkel", "harbour nowhere"):
            with pytest.MonkeyPatch.context() as patch:
                counted = Counted(index.lexical.searcher)
                patch.setattr(index.lexical, "searcher", counted)
                assert len(index.lexical.search(Query(question), 10)) == 10
            searches.append(counted.searches)
    assert searches == [1, 1]


def test_outside_of_the_snapshot_all_is_seen(described: Index) -> None:
    with described.snapshot(Where(["d1"])):
        assert len(described) == 1
        assert described.lexical.search(Query("harbour"), 10).rows.tolist() == [1]
    assert len(described) == len(RECORDS)

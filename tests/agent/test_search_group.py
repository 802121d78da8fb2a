"""Several indexes answer as one: the likeliest passages of all, each with the index that it is from."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from trailhound import Document, Index, SearchAgent, SearchGroup, Where
from trailhound.errors import ClosedError, QuestionsError
from trailhound.retrievers.protocols import Encoder

TEXTS = {
    "ports": ["The ferry to Veld leaves the harbour at nine.", "The harbour of Torl is closed in winter."],
    "mines": ["Tin was mined at Grel until 1931.", "The mine at Grel was owned by Ada Brun."],
}


@pytest.fixture(scope="module")
def group(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> SearchGroup:
    place = tmp_path_factory.mktemp("group")
    agents = {}
    for name, texts in TEXTS.items():
        documents = [Document(f"{name}-{number}", "", text) for number, text in enumerate(texts)]
        agents[name] = SearchAgent(Index.build(documents, place / f"{name}.index", encoder=hashing_encoder))
    return SearchGroup(agents)


@pytest.mark.parametrize(
    ("question", "home"), [("When does the ferry leave?", "ports"), ("Who owned the mine?", "mines")]
)
def test_the_likeliest_passages_of_all_indexes_come_first(question: str, home: str, group: SearchGroup) -> None:
    result = group.search(question)
    assert result.evidence[0].index == home
    assert {one.index for one in result.evidence} == set(TEXTS)
    assert [one.rank for one in result.evidence] == list(range(1, 5))
    likely = [one.probability for one in result.evidence]
    assert likely == sorted(likely, reverse=True)  # type: ignore[type-var]
    assert all(one.passage.document_id.startswith(one.index) for one in result.evidence)
    assert {step.detail.split(":")[0] for step in result.path} == {"in ports", "in mines"}
    assert result.calls == sum(agent.search(question).calls for agent in group.agents.values())
    assert len(group.search(question, 2).evidence) == 2


def test_the_surest_index_answers(group: SearchGroup) -> None:
    question = "Who owned the mine at Grel?"
    each: Mapping[str, float | None] = {name: agent.search(question).confidence for name, agent in group.agents.items()}
    result = group.search(question)
    assert result.confidence == max(one for one in each.values() if one is not None)
    assert result.answer == group.agents[max(each, key=lambda name: each[name] or 0)].search(question).answer


def test_conditions_and_thresholds_hold_for_all(group: SearchGroup) -> None:
    shown = group.search("harbour mine", where=Where(["ports-1", "mines-0"]))
    assert {one.passage.document_id for one in shown.evidence} == {"ports-1", "mines-0"}
    every = group.search("harbour mine")
    middle = every.evidence[1].probability
    assert middle is not None
    assert all((one.probability or 0) >= middle for one in group.search("harbour mine", at_least=middle).evidence)


def test_many_and_awaited_searches_are_the_same(group: SearchGroup) -> None:
    questions = ["When does the ferry leave?", "Who owned the mine?"]
    ids = [[one.passage.id for one in group.search(question).evidence] for question in questions]
    assert [[one.passage.id for one in result.evidence] for result in group.search_many(questions)] == ids
    assert [one.passage.id for one in asyncio.run(group.asearch(questions[0])).evidence] == ids[0]


def test_a_threshold_is_a_probability(group: SearchGroup, small_index: Index, tmp_path: Path) -> None:
    agent = group.agents["ports"]
    for wrong in (-0.1, 1.1, "x", None):
        with pytest.raises(QuestionsError, match="no probability"):
            agent.search("harbour", at_least=wrong)  # type: ignore[arg-type]
    assert agent.search("harbour", at_least=1.0).evidence == ()


def test_a_closed_group_has_closed_agents(group: SearchGroup) -> None:
    with SearchGroup({name: SearchAgent(agent.index) for name, agent in group.agents.items()}) as other:
        assert other.search("harbour").evidence
    with pytest.raises(ClosedError):
        other.search("harbour")


def test_a_group_of_nothing_is_an_error() -> None:
    with pytest.raises(QuestionsError, match="at least one"):
        SearchGroup({})

"""The retriever for DSPy: called in programs, awaited, and copied with them."""

from __future__ import annotations

import asyncio

import pytest
from trailhound import SearchAgent, Where
from trailhound.errors import QuestionsError

pytest.importorskip("dspy", reason="the extra dspy is not installed")

import dspy
from trailhound.adapters.dspy import TrailhoundRetriever


class Answering(dspy.Module):
    """A program with a retriever in it."""

    def __init__(self, retriever: TrailhoundRetriever) -> None:
        super().__init__()
        self.retrieve = retriever

    def forward(self, question: str) -> dspy.Prediction:
        return dspy.Prediction(context=self.retrieve(question).passages)


def test_a_prediction_says_what_the_search_says(agent: SearchAgent, question: str) -> None:
    result = agent.search(question, 3)
    found = TrailhoundRetriever(agent, k=3)(question)
    assert found.passages == [one.passage.text for one in result.evidence]
    assert found.ids == [one.passage.id for one in result.evidence]
    assert found.metadata[0]["path"] == [step.detail for step in result.path]
    assert asyncio.run(TrailhoundRetriever(agent).acall(question, k=3)).ids == found.ids


def test_programs_with_it_can_be_copied(agent: SearchAgent, question: str) -> None:
    program = Answering(TrailhoundRetriever(agent, k=2))
    copied = program.deepcopy()
    assert copied(question).context == program(question).context
    assert copied.retrieve.agent.index is agent.index


def test_conditions_and_errors_are_the_searchs(library: SearchAgent) -> None:
    retriever = TrailhoundRetriever(library, where=Where(principals=["ada"]))
    assert "minutes#0" not in retriever("When will the ferry be sold?").ids
    assert "minutes#0" in retriever("When will the ferry be sold?", where=Where(principals=["board"])).ids
    with pytest.raises(QuestionsError, match="ask something"):
        retriever(" ")
    with pytest.raises(QuestionsError, match="seconds"):
        retriever("ferry", seconds=-1)

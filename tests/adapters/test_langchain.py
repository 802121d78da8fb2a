"""The retriever for LangChain: what its documents say, what a call may ask, and what goes wrong."""

from __future__ import annotations

import asyncio

import pytest
from trailhound import SearchAgent, Where
from trailhound.errors import QuestionsError

pytest.importorskip("langchain_core", reason="the extra langchain is not installed")

from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from pydantic import ValidationError
from trailhound.adapters.langchain import TrailhoundRetriever


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def test_a_document_says_what_the_search_says(agent: SearchAgent, question: str) -> None:
    result = agent.search(question, 3)
    documents = TrailhoundRetriever(agent=agent, k=3).invoke(question)
    assert ids(documents) == [one.passage.id for one in result.evidence]
    for one, document in zip(result.evidence, documents, strict=True):
        told = document.metadata
        stored = agent.index.store.document(told["document_id"])
        assert document.page_content == stored.text[told["start"] : told["end"]]
        assert (told["rank"], told["score"], told["probability"]) == (one.rank, one.score, one.probability)
        assert (told["source"], told["page"], told["how"]) == (one.passage.source, one.page, one.how)
        assert told["path"] == [step.detail for step in result.path]


def test_it_is_a_link_of_a_chain_and_can_be_awaited(agent: SearchAgent, question: str) -> None:
    chain = TrailhoundRetriever(agent=agent) | RunnableLambda(ids)
    assert asyncio.run(chain.ainvoke(question)) == chain.invoke(question)
    assert chain.batch([question, question]) == [chain.invoke(question)] * 2


def test_a_call_may_ask_otherwise(library: SearchAgent) -> None:
    retriever = TrailhoundRetriever(agent=library, k=1, where=Where(metadata={"year": {"$lt": 2020}}))
    assert ids(retriever.invoke("ferry")) == ["guide/ferry.md#0"]
    late = Where(metadata={"year": {"$gte": 2020}}, principals=["ada"])
    assert ids(retriever.invoke("ferry", where=late, k=5)) == ["guide/tide #2.md#0"]
    assert ids(asyncio.run(retriever.ainvoke("ferry", where=late, k=5))) == ["guide/tide #2.md#0"]
    assert retriever.invoke("ferry")[0].metadata["year"] == 2019


def test_errors_stay_trailhounds(agent: SearchAgent) -> None:
    retriever = TrailhoundRetriever(agent=agent)
    with pytest.raises(QuestionsError, match="ask something"):
        retriever.invoke(" ")
    with pytest.raises(QuestionsError, match="seconds"):
        retriever.invoke("ferry", seconds=-1)
    with pytest.raises(QuestionsError, match="1 or more"):
        asyncio.run(retriever.ainvoke("ferry", k=0))
    with pytest.raises(ValidationError):
        TrailhoundRetriever(agent=agent, k=0)

"""The component for Haystack: in a pipeline, written down and read again."""

from __future__ import annotations

import asyncio

import pytest
from trailhound import Index, SearchAgent, Where
from trailhound.errors import QuestionsError

pytest.importorskip("haystack", reason="the extra haystack is not installed")

from haystack import Pipeline
from haystack.components.joiners import DocumentJoiner
from trailhound.adapters.haystack import TrailhoundRetriever


def test_a_document_says_what_the_search_says(small_index: Index, question: str) -> None:
    result = SearchAgent(small_index, system="lexical").search(question, 3)
    retriever = TrailhoundRetriever(str(small_index.path), system="lexical")
    documents = retriever.run(question, top_k=3)["documents"]
    assert [document.id for document in documents] == [one.passage.id for one in result.evidence]
    assert [document.score for document in documents] == [one.score for one in result.evidence]
    assert documents[0].meta["path"] == [step.detail for step in result.path]
    assert asyncio.run(retriever.run_async(question, top_k=3))["documents"] == documents


def test_a_pipeline_can_be_written_down_and_read_again(library: SearchAgent) -> None:
    where = Where(documents=["guide/ferry.md", "minutes"], metadata={"year": {"$gt": 2000}}, principals=["ada"])
    pipeline = Pipeline()
    retriever = TrailhoundRetriever(str(library.index.path), system="lexical", top_k=5, where=where)
    pipeline.add_component("retriever", retriever)
    pipeline.add_component("joiner", DocumentJoiner())
    pipeline.connect("retriever.documents", "joiner.documents")
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["trailhound.adapters.haystack"])
    assert again.get_component("retriever").where == where
    found = again.run({"retriever": {"query": "the ferry"}})["joiner"]["documents"]
    assert [document.id for document in found] == ["guide/ferry.md#0"]


def test_errors_stay_trailhounds(small_index: Index) -> None:
    retriever = TrailhoundRetriever(str(small_index.path), system="lexical")
    with pytest.raises(QuestionsError, match="ask something"):
        retriever.run(" ")
    with pytest.raises(QuestionsError, match="seconds"):
        retriever.run("ferry", seconds=-1)

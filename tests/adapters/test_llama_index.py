"""The retriever for LlamaIndex: its nodes, and what a language model reads of them."""

from __future__ import annotations

import asyncio

import pytest
from trailhound import SearchAgent, Where
from trailhound.errors import QuestionsError

pytest.importorskip("llama_index.core", reason="the extra llama-index is not installed")

from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.schema import MetadataMode
from trailhound.adapters.llama_index import TrailhoundRetriever


def test_a_node_says_what_the_search_says(agent: SearchAgent, question: str) -> None:
    result = agent.search(question, 3)
    nodes = TrailhoundRetriever(agent, similarity_top_k=3).retrieve(question)
    assert [node.node_id for node in nodes] == [one.passage.id for one in result.evidence]
    assert [node.score for node in nodes] == [one.probability for one in result.evidence]
    first = nodes[0].node
    assert first.ref_doc_id == result.evidence[0].passage.document_id
    assert (first.start_char_idx, first.end_char_idx) == (first.metadata["start"], first.metadata["end"])
    assert first.metadata["path"] == [step.detail for step in result.path]
    assert first.metadata["score"] == result.evidence[0].score


def test_without_probabilities_the_score_is_the_searchs(small_index: object, question: str) -> None:
    agent = SearchAgent(small_index, system="lexical")  # type: ignore[arg-type]
    result = agent.search(question)
    if any(one.probability is None for one in result.evidence):
        nodes = TrailhoundRetriever(agent).retrieve(question)
        assert [node.score for node in nodes] == [one.score for one in result.evidence]


def test_a_model_reads_title_and_source_and_the_text_but_no_bookkeeping(agent: SearchAgent, question: str) -> None:
    node = TrailhoundRetriever(agent).retrieve(question)[0].node
    read = node.get_content(MetadataMode.LLM)
    assert node.metadata["title"] in read
    assert node.text in read
    assert "path" not in read.partition(node.text)[0]


def test_postprocessors_and_async_work(agent: SearchAgent, question: str) -> None:
    retriever = TrailhoundRetriever(agent)
    nodes = asyncio.run(retriever.aretrieve(question))
    assert nodes == retriever.retrieve(question)
    likely = SimilarityPostprocessor(similarity_cutoff=0.1).postprocess_nodes(nodes)
    assert [node.score for node in likely] == [node.score for node in nodes if (node.score or 0) >= 0.1]


def test_conditions_and_errors_are_the_searchs(library: SearchAgent) -> None:
    seen = TrailhoundRetriever(library, where=Where(principals=["ada"])).retrieve("When will the ferry be sold?")
    assert {node.node.ref_doc_id for node in seen} == {"guide/ferry.md", "guide/tide #2.md"}
    with pytest.raises(QuestionsError, match="ask something"):
        TrailhoundRetriever(library).retrieve(" ")
    with pytest.raises(QuestionsError, match="seconds"):
        TrailhoundRetriever(library, seconds=-1).retrieve("ferry")

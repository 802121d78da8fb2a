"""The transformer for PyTerrier: in pipelines and experiments."""

from __future__ import annotations

import pytest
from trailhound import SearchAgent, Where
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.errors import QuestionsError

pytest.importorskip("pyterrier", reason="the extra pyterrier is not installed")

import pandas as pd
import pyterrier as pt
from trailhound.adapters.pyterrier import TrailhoundRetriever


def test_its_frames_say_what_the_search_says(agent: SearchAgent, question: str) -> None:
    result = agent.search(question, 5)
    found = TrailhoundRetriever(agent, num_results=5).search(question)
    assert found["docno"].tolist() == [one.passage.document_id for one in result.evidence]
    assert found["text"].tolist() == [one.passage.text for one in result.evidence]
    assert found["rank"].tolist() == list(range(5))
    assert found["metadata"][0]["path"] == [step.detail for step in result.path]


def test_experiments_measure_it(agent: SearchAgent, encyclopedia: Encyclopedia) -> None:
    asked = encyclopedia.splits["dev"]
    questions = [(one.id, one.text) for one in encyclopedia.questions if one.id in asked]
    topics = pd.DataFrame(questions, columns=["qid", "query"])
    labels = [(identifier, document, 1) for identifier in asked for document in asked[identifier]]
    qrels = pd.DataFrame(labels, columns=["qid", "docno", "label"])
    systems = [TrailhoundRetriever(agent, num_results=20), TrailhoundRetriever(agent, num_results=1)]
    table = pt.Experiment(systems, topics, qrels, ["recall_10"])
    assert table["recall_10"][0] > table["recall_10"][1] > 0


def test_no_queries_have_no_results(agent: SearchAgent) -> None:
    found = TrailhoundRetriever(agent)(pd.DataFrame({"qid": [], "query": []}))
    assert len(found) == 0
    assert {"qid", "docno", "score", "rank"} <= set(found.columns)


def test_conditions_and_errors_are_the_searchs(library: SearchAgent) -> None:
    found = TrailhoundRetriever(library, where=Where(principals=["ada"])).search("When will the ferry be sold?")
    assert set(found["docno"]) == {"guide/ferry.md", "guide/tide #2.md"}
    with pytest.raises(QuestionsError, match="ask something"):
        TrailhoundRetriever(library).search(" ")

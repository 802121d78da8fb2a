"""mteb's own runner evaluates Trailhound, on tasks of retrieval, re-ranking, instructions and dialogue."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers.protocols import Encoder

pytest.importorskip("mteb", reason="the extra mteb is not installed")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mteb
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.mocks import (
        MockInstructionReranking,
        MockInstructionRetrieval,
        MockRerankingTask,
        MockRetrievalDialogTask,
        MockRetrievalTask,
    )
    from mteb.models.models_protocols import SearchProtocol

from trailhound.adapters.mteb import TrailhoundSearch

pytestmark = pytest.mark.filterwarnings("ignore")  # of mteb's and its dependencies' own


class EncyclopediaTask(AbsTaskRetrieval):
    """The small encyclopedia as a task."""

    metadata = MockRetrievalTask.metadata.model_copy(update={"name": "Encyclopedia", "eval_splits": ["test"]})
    encyclopedia: Encyclopedia

    def load_data(self, **more: Any) -> None:
        made, labels = self.encyclopedia, self.encyclopedia.splits["dev"]
        corpus = [{"id": one.id, "title": one.title, "text": one.text} for one in made.documents]
        queries = [{"id": one.id, "text": one.text} for one in made.questions if one.id in labels]
        split = RetrievalSplitData(
            corpus=Dataset.from_list(corpus), queries=Dataset.from_list(queries), relevant_docs=labels, top_ranked=None
        )
        self.dataset, self.data_loaded = {"default": {"test": split}}, True


def evaluated(search: TrailhoundSearch, *tasks: AbsTaskRetrieval) -> dict[str, dict[str, Any]]:
    results = mteb.evaluate(search, tasks, cache=None, show_progress_bar=False, co2_tracker=False)
    return {one.task_name: next(iter(one.scores.values()))[0] for one in results.task_results}


def test_it_searches_as_mteb_wants(hashing_encoder: Encoder) -> None:
    search = TrailhoundSearch(encoder=hashing_encoder)
    assert isinstance(search, SearchProtocol)
    assert search.mteb_model_meta.name == "trailhound/policy"


def test_its_runner_measures_the_search(encyclopedia: Encyclopedia, hashing_encoder: Encoder) -> None:
    task = EncyclopediaTask()
    task.encyclopedia = encyclopedia
    scores = evaluated(TrailhoundSearch(encoder=hashing_encoder, system="hybrid"), task)["Encyclopedia"]
    assert 0.3 < scores["ndcg_at_10"] <= 1
    assert scores["recall_at_1"] < scores["recall_at_10"] <= scores["recall_at_100"]


def test_it_runs_every_kind_of_text_task(hashing_encoder: Encoder) -> None:
    kinds = (
        MockRetrievalTask,
        MockRerankingTask,
        MockInstructionRetrieval,
        MockInstructionReranking,
        MockRetrievalDialogTask,
    )
    scores = evaluated(TrailhoundSearch(encoder=hashing_encoder, system="hybrid"), *(kind() for kind in kinds))
    assert scores.keys() == {kind.metadata.name for kind in kinds}
    assert all(one["recall_at_10"] == 1 for one in scores.values())


def test_re_ranking_ranks_what_it_is_given_alone(hashing_encoder: Encoder) -> None:
    search = TrailhoundSearch(encoder=hashing_encoder, system="hybrid")
    search.index([{"id": name, "text": f"The ferry to {name}."} for name in ("Torl", "Veld", "Brun")])
    queries = [{"id": "q", "text": "Where does the ferry to Torl leave?"}]
    assert set(search.search(queries, top_k=5, top_ranked={"q": ["Veld", "Brun"]})["q"]) == {"Veld", "Brun"}

"""BEIR's own runner evaluates Trailhound."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import SearchAgent, TrailhoundError
from trailhound.retrievers.protocols import Encoder

pytest.importorskip("beir", reason="the extra beir is not installed")

from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.evaluation import EvaluateRetrieval
from trailhound.adapters.beir import TrailhoundSearch


# BEIR's loader leaves its files open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_its_runner_gets_the_figures_of_the_same_search(
    corpus_folder: Path, hashing_encoder: Encoder, agent: SearchAgent
) -> None:
    corpus, queries, qrels = GenericDataLoader(str(corpus_folder)).load(split="dev")
    runner = EvaluateRetrieval(TrailhoundSearch(encoder=hashing_encoder), k_values=[1, 10])
    run = runner.retrieve(corpus, queries)
    ndcg, _, recall, _ = runner.evaluate(qrels, run, runner.k_values)
    assert run.keys() == queries.keys()
    assert {len(found) for found in run.values()} == {10}
    identifier = next(iter(queries))
    expected = [one.passage.document_id for one in agent.search(queries[identifier], 10).evidence]
    assert sorted(run[identifier], key=run[identifier].__getitem__, reverse=True) == expected
    assert 0.3 < ndcg["NDCG@10"] <= 1
    assert recall["Recall@1"] < recall["Recall@10"]


def test_files_of_embeddings_are_refused(tmp_path: Path) -> None:
    runner = EvaluateRetrieval(TrailhoundSearch())
    with pytest.raises(TrailhoundError, match="call retrieve"):
        runner.encode_and_retrieve({}, {}, encode_output_path=str(tmp_path))

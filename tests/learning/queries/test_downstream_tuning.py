import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.agent._systems import open_system
from trailhound.agent._tuned_queries import MEMORY_FILE, TunedQueries
from trailhound.agent.search_agent import SearchAgent
from trailhound.errors import CollapseError, EncoderError, PolicyError, QuestionsError, RecipeError
from trailhound.index.index import Index
from trailhound.learning.queries.downstream_tuning import DownstreamSettings, answer_questions, tune_query
from trailhound.learning.training_questions import TrainingSource
from trailhound.measuring.evaluation import evaluate
from trailhound.retrievers.differentiable.collapse import CollapseLimits
from trailhound.retrievers.differentiable.learned_fusion import FILE as FUSION_FILE
from trailhound.retrievers.vectors._minilm import FILE, load_adapter

SETTINGS = DownstreamSettings(epochs=2, rank=2, learning_rate=5e-3, batch=8, held_out=0.2)


@pytest.fixture(scope="module")
def source(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSource:
    index = Index.build(corpus_folder, tmp_path_factory.mktemp("downstream") / "index", threads=1)
    return TrainingSource(index, corpus_folder, "train")


@pytest.fixture(scope="module")
def tuned(source: TrainingSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    out = tmp_path_factory.mktemp("tuned") / "run"
    return out, tune_query([source], out, settings=SETTINGS)


def test_the_loss_falls_and_encoder_memory_and_fusion_all_move(tuned: tuple[Path, dict[str, float]]) -> None:
    out, figures = tuned
    rounds = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert figures["held_out_loss"] < -figures["untuned_score"]
    assert 20 < figures["questions"] <= 60
    assert figures["held_out_loss"] == min(line["held_out_loss"] for line in rounds)
    assert rounds[-1]["gate"] != pytest.approx(0.3, abs=1e-3)
    assert any(up.any() for _, up in load_adapter(out).matrices.values())
    weights = json.loads((out / FUSION_FILE).read_text())["weights"]
    assert weights["dense"][1] != pytest.approx(1.0, abs=1e-3)
    assert figures["fusion_loss"] < figures["fusion_untuned_loss"]
    assert json.loads((out / "metrics.json").read_text())["operator"] == "softmax"
    assert {"uniformity", "effective_rank", "alignment", "same_top_share"} <= set(rounds[0])


def test_labels_are_not_looked_at(source: TrainingSource, tuned: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    """With every label replaced by another passage, the result is the same bit for bit."""
    folder = tmp_path / "mislabelled"
    shutil.copytree(source.questions, folder)
    lines = (folder / "qrels" / "train.tsv").read_text().splitlines()
    wrong = source.index.store.passage(0).id
    asked = dict.fromkeys(line.split("\t")[0] for line in lines[1:])
    (folder / "qrels" / "train.tsv").write_text("\n".join([lines[0], *(f"{q}\t{wrong}\t1" for q in asked)]) + "\n")
    before, after = (
        answer_questions([TrainingSource(source.index, place, "train")], None, None)
        for place in (source.questions, folder)
    )
    assert [q.text for q in before] == [q.text for q in after]
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one.evidence.rows, other.evidence.rows)
        assert torch.equal(one.evidence.log_weights, other.evidence.log_weights)


def test_the_result_is_a_query_encoder_and_finds_more(
    source: TrainingSource, tuned: tuple[Path, dict[str, float]]
) -> None:
    found = {}
    for system in ("dense", "hybrid"):
        for encoder in (None, tuned[0]):
            done = evaluate(source.index, source.questions, "train", system=system, query_encoder=encoder)
            found[system, encoder is not None] = done.figures["recall@5"]
            assert (str(tuned[0]) in done.system) == (encoder is not None)
    assert found["dense", True] > found["dense", False]
    assert found["hybrid", True] >= found["hybrid", False] - 0.02


def test_an_application_searches_with_tuned_queries(
    source: TrainingSource, tuned: tuple[Path, dict[str, float]]
) -> None:
    """The agent hands out what the tuned queries find, not what the index's own encoder finds."""
    text = "Who founded it?"
    expected = source.index.dense.search(TunedQueries(tuned[0], source.index).query(text), 5)
    agent = SearchAgent(source.index, system="dense", query_encoder=str(tuned[0]))
    found = [source.index.store.row_of(evidence.passage.id) for evidence in agent.search(text, 5).evidence]
    assert found == expected.rows.tolist()
    assert found != source.index.dense.search(source.index.query(text), 5).rows.tolist()
    with pytest.raises(PolicyError, match="fixed system that compares vectors"):
        SearchAgent(source.index, query_encoder=tuned[0])


def test_tuned_queries_are_what_training_saw(source: TrainingSource, tuned: tuple[Path, dict[str, float]]) -> None:
    queries = TunedQueries(tuned[0], source.index)
    vector = queries.query("Who founded it?").vector
    assert vector is not None
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert not np.allclose(vector, source.index.query("Who founded it?").vector, atol=1e-2)
    again = TunedQueries(tuned[0], source.index).query("Who founded it?").vector
    assert np.array_equal(vector, again)


def test_a_run_that_was_killed_goes_on_to_the_same_weights(
    source: TrainingSource, tuned: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    def die(stage: str, done: int, total: int) -> None:
        if "epoch 2" in stage and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_query([source], tmp_path / "run", settings=SETTINGS, progress=die)
    tune_query([source], tmp_path / "run", settings=SETTINGS)
    for name in (MEMORY_FILE, FUSION_FILE, "log.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tuned[0] / name).read_bytes()
    assert load_adapter(tmp_path / "run").digest == load_adapter(tuned[0]).digest


def test_without_memory_fusion_or_a_tuned_encoder(source: TrainingSource, tmp_path: Path) -> None:
    plain = DownstreamSettings(epochs=1, rank=2, batch=8, memory=0, fusion=False)
    tune_query([source], tmp_path / "plain", settings=plain)
    assert not (tmp_path / "plain" / MEMORY_FILE).exists()
    assert not (tmp_path / "plain" / FUSION_FILE).exists()
    alone = DownstreamSettings(epochs=1, rank=0, batch=8, fusion=False)
    tune_query([source], tmp_path / "alone", settings=alone)
    queries = TunedQueries(tmp_path / "alone", source.index)
    vectors = [asked.query("Who founded it?").vector for asked in (queries, source.index)]
    assert vectors[0] is not None
    assert vectors[1] is not None
    assert 0.5 < float(vectors[0] @ vectors[1]) < 0.9999, "the memory alone moved it"


@pytest.mark.parametrize("operator", ["relaxed-top-k", "straight-through", "gumbel-top-k"])
def test_every_operator_can_be_trained_with(operator: str, source: TrainingSource, tmp_path: Path) -> None:
    settings = DownstreamSettings(epochs=1, rank=0, batch=8, memory=5, operator=operator, fusion=False)
    tune_query([source], tmp_path / "run", settings=settings)
    written = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert written["operator"] == operator
    assert written["gate"] != pytest.approx(0.3, abs=1e-3), "the loss came through the choice"
    vectors = [TunedQueries(tmp_path / "run", source.index).query("Who founded it?").vector for _ in range(2)]
    assert np.array_equal(*vectors), "a search draws nothing"


def test_a_collapse_stops_training_with_a_remedy(source: TrainingSource, tmp_path: Path) -> None:
    strict = CollapseLimits(rank_share=0.999, uniformity_share=0.999, same_top=0.001)
    wild = DownstreamSettings(epochs=3, rank=2, learning_rate=0.5, batch=8)
    with pytest.raises(CollapseError, match="training was stopped") as caught:
        tune_query([source], tmp_path / "run", settings=wild, limits=strict)
    assert caught.value.remedy
    assert not (tmp_path / "run" / FILE).exists(), "a collapsed encoder is not kept"


def test_what_cannot_be_tuned_is_refused(
    source: TrainingSource, small_index: Index, tuned: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    with pytest.raises(EncoderError, match="hashing-64"):
        tune_query([TrainingSource(small_index, source.questions, "train")], tmp_path / "run")
    with pytest.raises(PolicyError, match="other settings"):
        tune_query([source], tuned[0], settings=SETTINGS, seed=5)
    for wrong in ({"epochs": 0}, {"operator": "hard"}):
        with pytest.raises(RecipeError, match=next(iter(wrong))):
            DownstreamSettings(**wrong)  # type: ignore[arg-type]
    folder = tmp_path / "unanswered"
    (folder / "qrels").mkdir(parents=True)
    row = source.index.store.passage(0).id
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Who?", "metadata": {"answer": "zzz yyy"}}))
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\nq\t{row}\t1\n")
    with pytest.raises(QuestionsError, match="too few"):
        tune_query([TrainingSource(source.index, folder, "train")], tmp_path / "none")


@pytest.mark.parametrize("name", ["lexical", "policy", None])
def test_tuned_queries_are_for_systems_that_compare_vectors(
    name: str | None, source: TrainingSource, tuned: tuple[Path, dict[str, float]]
) -> None:
    with pytest.raises(PolicyError, match="compares vectors"):
        open_system(source.index, name, query_encoder=tuned[0])


def test_a_damaged_memory_is_refused(
    source: TrainingSource, tuned: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tuned[0], folder)
    (folder / MEMORY_FILE).write_bytes(b"not safetensors")
    with pytest.raises(PolicyError, match="damaged"):
        TunedQueries(folder, source.index)

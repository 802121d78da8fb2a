"""Fitted weights are those of least loss; what does not pay on questions set aside is not used."""

import json
from pathlib import Path

import numpy as np
import pytest
from trailhound import Index, TrainingSource
from trailhound.agent._reranking import (
    DESCRIPTION,
    HYBRID,
    LinearReranker,
    features_of,
    open_reranker,
    save_reranker,
)
from trailhound.agent._systems import open_system
from trailhound.agent.search_agent import SearchAgent
from trailhound.errors import EncoderError, PolicyError, QuestionsError
from trailhound.learning.reranker import SHRINKAGE, Listed, fit, listed_as, questions_ranked_by, tune_reranker
from trailhound.measuring.evaluation import evaluate
from trailhound.retrievers._hashed_files import write_sealed_json
from trailhound.retrievers.compiling._sentences import sentence_spans


@pytest.fixture(scope="module")
def source(small_index: Index, corpus_folder: Path) -> TrainingSource:
    return TrainingSource(small_index, corpus_folder, "train")


def loss(questions: list[Listed], weights: np.ndarray) -> float:  # type: ignore[type-arg]
    """Return the loss as it is defined, without any care for large numbers."""
    losses = []
    for question in questions:
        odds = np.exp(question.features @ weights)
        wrong = odds[~question.supporting].sum()
        losses.append(np.mean([-np.log(right / (right + wrong)) for right in odds[question.supporting]]))
    return float(np.mean(losses) + SHRINKAGE * (weights**2).sum())


def planted(generator: np.random.Generator, count: int = 40) -> list[Listed]:
    """Questions whose supporting candidates are told by the second feature, and whose third is noise."""
    made = []
    for _ in range(count):
        features = generator.normal(size=(8, 3))
        noisy = features[:, 1] + 0.3 * generator.normal(size=8)
        made.append(Listed(features, noisy >= np.sort(noisy)[-2], 2))
    return made


def test_no_other_weights_have_less_loss() -> None:
    generator = np.random.default_rng(0)
    questions = planted(generator)
    weights = fit(questions, 3)
    best = loss(questions, weights)
    for _ in range(50):
        assert loss(questions, weights + 0.1 * generator.normal(size=3)) > best - 1e-6
    assert weights[1] > 2
    assert abs(weights[0]) < weights[1] / 4
    assert abs(weights[2]) < weights[1] / 4


def test_questions_that_teach_nothing_are_an_error() -> None:
    nothing = Listed(np.zeros((3, 2)), np.zeros(3, np.bool_), 1)
    everything = Listed(np.zeros((3, 2)), np.ones(3, np.bool_), 3)
    with pytest.raises(QuestionsError, match="too few"):
        fit([nothing, everything], 2)


@pytest.mark.parametrize("kind", ["hybrid", "graph"])
def test_what_was_tuned_re_ranks_a_search(
    kind: str, source: TrainingSource, small_index: Index, corpus_folder: Path, tmp_path: Path
) -> None:
    figures = tune_reranker(source, kind, tmp_path / "r", held_out=0.3)
    assert figures["recall@5"] >= figures["recall@5_without"] or figures["recall@2"] > figures["recall@2_without"]
    written = json.loads((tmp_path / "r" / DESCRIPTION).read_text())
    assert written["training"]["source"]["split"] == "train"
    reranker = open_reranker(tmp_path / "r", small_index)
    assert isinstance(reranker, LinearReranker)
    assert reranker.weights.tolist() == [figures[name] for name in written["weights"]]
    evaluation = evaluate(small_index, corpus_folder, "dev", system="hybrid", reranker=tmp_path / "r")
    assert f"re-ranked by {tmp_path / 'r'}" in evaluation.system
    with pytest.raises(PolicyError, match="other settings"):
        tune_reranker(source, kind, tmp_path / "r", seed=1)


def test_weights_of_chance_are_not_used(
    source: TrainingSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that turn the ranking around lose on the questions set aside."""
    monkeypatch.setattr("trailhound.learning.reranker.fit", lambda questions, features: -np.ones(features))
    figures = tune_reranker(source, "hybrid", tmp_path / "r", held_out=0.5)
    assert [figures[name] for name in HYBRID] == [1, 0, 0]
    assert figures["recall@5"] == figures["recall@5_without"]
    assert json.loads((tmp_path / "r" / DESCRIPTION).read_text())["training"]["fitted"] == [-1, -1, -1]


def test_the_order_is_that_of_the_weighted_features(small_index: Index, source: TrainingSource, tmp_path: Path) -> None:
    reranker = LinearReranker(small_index, "hybrid", [0.0, 0.0, 1.0])
    (tmp_path / "r").mkdir()
    save_reranker(tmp_path / "r", reranker, {})
    question = "Which river crosses the town?"
    plain = open_system(small_index, "hybrid").rank(question, 40)
    found = open_system(small_index, "hybrid", reranker=tmp_path / "r").rank(question, 40)
    vector = small_index.query(question).vector
    assert vector is not None
    cosines = small_index.dense.vectors[found.rows[:20]] @ vector
    assert (np.diff(cosines) < 1e-6).all()
    assert set(found.rows[:20].tolist()) == set(plain.rows[:20].tolist())
    assert found.rows[20:].tolist() == plain.rows[20:].tolist()
    assert found.scores.tolist() == plain.scores.tolist()


def test_a_search_says_the_best_sentence_of_every_passage(small_index: Index, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    save_reranker(tmp_path / "r", LinearReranker(small_index, "graph", [1.0, 0.0, 0.0, 0.0]), {})
    result = SearchAgent(small_index, system="hybrid", reranker=tmp_path / "r").search("Which river is it?", 3)
    for evidence in result.evidence:
        assert evidence.sentence is not None
        assert (evidence.sentence.start, evidence.sentence.end) in sentence_spans(evidence.passage.text)
    assert result.to_json()["evidence"][0]["sentence"]["document_start"] >= 0


@pytest.mark.parametrize("content", [{"format": 1}, {"format": 1, "kind": "graph", "weights": {"first_stage": 1}}])
def test_a_damaged_folder_is_an_error(content: dict[str, object], small_index: Index, tmp_path: Path) -> None:
    write_sealed_json(tmp_path / DESCRIPTION, content)
    with pytest.raises(PolicyError, match="damaged"):
        open_reranker(tmp_path, small_index)
    save_reranker(tmp_path, LinearReranker(small_index, "graph", [1.0, 0.0, 0.0, 0.0]), {})
    written = (tmp_path / DESCRIPTION).read_text()
    (tmp_path / DESCRIPTION).write_text(written.replace("1.0", "1.5", 1))
    with pytest.raises(PolicyError, match=f"{DESCRIPTION} is damaged.*tune the re-ranker again"):
        open_reranker(tmp_path, small_index)


def test_a_folder_without_a_re_ranker_says_how_to_make_one(small_index: Index, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="trailhound tune-reranker"):
        open_reranker(tmp_path, small_index)


def test_another_version_is_an_error(small_index: Index, tmp_path: Path) -> None:
    write_sealed_json(tmp_path / DESCRIPTION, {"format": 99, "kind": "graph", "weights": {}})
    with pytest.raises(PolicyError, match="another version"):
        open_reranker(tmp_path, small_index)


@pytest.mark.parametrize(("kind", "weights"), [("bm25", [1.0]), ("graph", [1.0]), ("hybrid", [1.0, np.nan, 1.0])])
def test_impossible_weights_are_refused(kind: str, weights: list[float], small_index: Index) -> None:
    with pytest.raises(PolicyError, match="re-ranker"):
        LinearReranker(small_index, kind, weights)


def test_a_knowledge_graph_is_refused(source: TrainingSource, tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\nnorway\tneighbour_of\tsweden\n")
    index = Index.build(tmp_path, tmp_path / "facts.index", threads=1)
    with pytest.raises(PolicyError, match="knowledge graph"):
        LinearReranker(index, "graph", [1.0, 0.0, 0.0, 0.0])
    with pytest.raises((PolicyError, EncoderError), match="knowledge graph"):
        tune_reranker(TrainingSource(index, source.questions, "train"), "graph", tmp_path / "r")


def test_questions_are_listed_with_what_hybrid_search_finds(source: TrainingSource) -> None:
    features = features_of("hybrid", source.index)
    listed = [listed_as(question, features) for question in questions_ranked_by(source, "hybrid")]
    assert {question.features.shape for question in listed} == {(20, 3)}
    assert all(question.supporting.sum() <= question.supporting_in_all for question in listed)
    assert listed[0].with_features([0, 2]).features.tolist() == listed[0].features[:, [0, 2]].tolist()

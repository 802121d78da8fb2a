import json
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.envs._question_set import QuestionSet
from trailhound.envs.settings import EnvironmentSettings
from trailhound.errors import CollapseError, DeviceError, EncoderError, PolicyError, QuestionsError, RecipeError
from trailhound.index.index import Index
from trailhound.learning.queries import hop_encoder
from trailhound.learning.queries.hop_encoder import (
    QueryState,
    TuningQuestion,
    TuningSettings,
    recall_of_missing,
    tune,
)
from trailhound.learning.training_questions import TrainingSource
from trailhound.retrievers.differentiable.objectives import OBJECTIVES
from trailhound.retrievers.vectors._minilm import FILE, load_adapter

SETTINGS = TuningSettings(epochs=2, rank=2, learning_rate=5e-3, batch=4, held_out=0.3)


@pytest.fixture(scope="module")
def source(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingSource:
    index = Index.build(corpus_folder, tmp_path_factory.mktemp("tuning") / "index", threads=1)
    return TrainingSource(index, corpus_folder, "train")


@pytest.fixture(scope="module")
def tuned(source: TrainingSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    out = tmp_path_factory.mktemp("tuned") / "run"
    return out, tune([source], out, settings=SETTINGS)


def test_a_state_holds_some_of_the_evidence_and_misses_the_rest(source: TrainingSource) -> None:
    questions = QuestionSet.load(source.index, source.questions, "train", EnvironmentSettings())
    generator = np.random.default_rng(0)
    for number, item in enumerate(questions.items):
        rows = tuple(sorted(item.gold))
        question = TuningQuestion(
            0, questions.world(number).view, rows, tuple(source.index.store.passages(rows)), item.meets
        )
        state = question.drawn(generator)
        assert state.missing
        assert sorted((*state.missing, *state.held)) == list(question.gold)
        assert state.text.startswith(question.view.text)
        for row in state.held:
            assert source.index.store.passage(row).title in state.text
        assert question.holding(()).text == question.view.text


def test_recall_is_among_the_ten_best_beside_the_evidence(source: TrainingSource) -> None:
    """The last of twelve passages is found where the two best are evidence, and not where only one is."""
    questions = QuestionSet.load(source.index, source.questions, "train", EnvironmentSettings())
    question = TuningQuestion(0, questions.world(0).view, (), (), {})
    scores = torch.linspace(1, 0.1, 12)
    for held, missing, recall in (
        ((0, 1), (11,), 1.0),
        ((0,), (11,), 0.0),
        ((), (9, 10), 0.5),
        ((0,), (9, 10, 11), 2 / 3),
    ):
        assert recall_of_missing(scores, QueryState(question, "", missing, held)) == pytest.approx(recall)


def test_tuning_finds_more_of_what_is_missing(tuned: tuple[Path, dict[str, float]]) -> None:
    out, figures = tuned
    rounds = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["round"] for line in rounds] == [0, 1]
    assert figures["score"] > figures["untuned_score"] + 0.05
    assert figures["score"] == max(line["score"] for line in rounds)
    assert load_adapter(out).about["settings"]["rank"] == 2
    assert rounds[1]["effective_rank"] > 1
    written = json.loads((out / "metrics.json").read_text())
    assert written["objective"] == "contrastive"
    assert written["score"] == figures["score"]


@pytest.mark.parametrize("objective", [name for name in OBJECTIVES if name != "contrastive"])
def test_every_objective_can_be_trained_with(objective: str, source: TrainingSource, tmp_path: Path) -> None:
    settings = TuningSettings(objective=objective, epochs=1, rank=2, learning_rate=5e-3, batch=8, held_out=0.3)
    figures = tune([source], tmp_path / "run", settings=settings)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["objective"] == objective
    assert np.isfinite(figures["loss"])
    assert any(up.any() for _, up in load_adapter(tmp_path / "run").matrices.values())


def test_a_tuning_that_collapses_is_stopped(source: TrainingSource, tmp_path: Path) -> None:
    wild = TuningSettings(epochs=6, rank=4, learning_rate=0.9, batch=8, held_out=0.3)
    with pytest.raises(CollapseError, match=r"past the limit of .*learning rate"):
        tune([source], tmp_path / "run", settings=wild)
    assert "effective_rank" in (tmp_path / "run" / "log.jsonl").read_text(), "it is on record"


def test_a_run_that_was_killed_goes_on_to_the_same_weights(
    source: TrainingSource, tuned: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    def die(stage: str, done: int, total: int) -> None:
        if "epoch 2" in stage and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune([source], tmp_path / "run", settings=SETTINGS, progress=die)
    tune([source], tmp_path / "run", settings=SETTINGS)
    assert load_adapter(tmp_path / "run").digest == load_adapter(tuned[0]).digest
    assert (tmp_path / "run" / FILE).stat().st_size < 1_000_000


def test_mined_negatives_are_harder_than_those_of_the_batch(source: TrainingSource, tmp_path: Path) -> None:
    losses = {}
    for mined in (0, 5):
        settings = TuningSettings(epochs=1, rank=2, batch=8, held_out=0.3, hard_negatives=mined)
        losses[mined] = tune([source], tmp_path / str(mined), settings=settings)["loss"]
    assert 0 < losses[0] < losses[5], "the more and the nearer they are, the harder to tell apart"


def test_a_large_corpus_is_scored_against_mined_negatives(
    source: TrainingSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hop_encoder, "EXACT_NEGATIVES", 10)
    monkeypatch.setattr(hop_encoder, "MINED", 5)
    plain, asked = (TuningSettings(epochs=1, rank=2, batch=8, held_out=0.3, hard_negatives=n) for n in (None, 5))
    figures = [tune([source], tmp_path / str(k), settings=one) for k, one in enumerate((plain, asked))]
    assert figures[0]["loss"] == figures[1]["loss"]


def test_a_folder_of_another_run_is_left_alone(source: TrainingSource, tuned: tuple[Path, dict[str, float]]) -> None:
    before = (tuned[0] / FILE).read_bytes()
    with pytest.raises(PolicyError, match="other settings"):
        tune([source], tuned[0], settings=SETTINGS, seed=5)
    assert (tuned[0] / FILE).read_bytes() == before


def test_an_index_of_another_encoder_is_refused(small_index: Index, corpus_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="hashing-64"):
        tune([TrainingSource(small_index, corpus_folder, "train")], tmp_path / "run")


def test_too_few_questions_are_an_error(source: TrainingSource, tmp_path: Path) -> None:
    folder = tmp_path / "questions"
    (folder / "qrels").mkdir(parents=True)
    row = source.index.store.passage(0).id
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Who?"}))
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\nq\t{row}\t1\n")
    with pytest.raises(QuestionsError, match="too few"):
        tune([TrainingSource(source.index, folder, "train")], tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("rank", 0),
        ("learning_rate", 0.0),
        ("temperature", 2.0),
        ("dropout", 1.0),
        ("hard_negatives", -1),
        ("objective", "tea"),
    ],
)
def test_impossible_settings_are_refused(name: str, value: float | str) -> None:
    with pytest.raises(RecipeError, match=name):
        TuningSettings(**{name: value})  # type: ignore[arg-type]


def test_a_device_that_is_not_there_is_refused(source: TrainingSource, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="nowhere"):
        tune([source], tmp_path / "run", device="nowhere")


def test_a_knowledge_graph_has_nothing_to_tune(source: TrainingSource, tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\nnorway\tneighbour_of\tsweden\n")
    index = Index.build(tmp_path, tmp_path / "facts.index", threads=1)
    with pytest.raises(EncoderError, match="knowledge graph"):
        tune([TrainingSource(index, source.questions, "train")], tmp_path / "run")

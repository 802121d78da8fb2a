import json
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.agent.policy_file import load_policy
from trailhound.agent.reranking.pair_encoder import PairEncoder
from trailhound.agent.reranking.path_reranker import load_reranker
from trailhound.agent.systems import open_system
from trailhound.errors import EncoderError, PolicyError, QuestionsError, RecipeError
from trailhound.index.index import Index
from trailhound.learning.policy.training import TrainingSource
from trailhound.learning.reranker.reranker_states import (
    PathState,
    RankedQuestion,
    draw_path_state,
    draw_question_state,
    questions_ranked_by,
    ranked_questions,
)
from trailhound.learning.reranker.reranker_tuning import (
    RerankerSettings,
    fit_weight,
    listwise_loss,
    surest,
    tune_reranker,
)
from trailhound.retrievers.questions.labelled import load_questions

SETTINGS = RerankerSettings(epochs=2, rank=2, batch=4, negatives=5, held_out=0.2)


@pytest.fixture(scope="module")
def source(small_index: Index, corpus_folder: Path) -> TrainingSource:
    return TrainingSource(small_index, corpus_folder, "train")


@pytest.fixture(scope="module")
def ranked(source: TrainingSource, tiny_run: Path) -> list[RankedQuestion]:
    return ranked_questions([source], load_policy(tiny_run), None, None)


@pytest.fixture(scope="module")
def tuned(
    source: TrainingSource, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, float]]:
    out = tmp_path_factory.mktemp("tuned") / "run"
    return out, tune_reranker([source], tiny_run, out, settings=SETTINGS)


def states_of(ranked: list[RankedQuestion], negatives: int = 5) -> list[PathState]:
    generator = np.random.default_rng(0)
    drawn = [draw_path_state(question, negatives, generator) for question in ranked]
    return [state for state in drawn if state is not None]


def test_a_state_misses_its_positives_and_its_negatives_support_nothing(ranked: list[RankedQuestion]) -> None:
    generator = np.random.default_rng(0)
    paths = 0
    for question in ranked * 5:
        state = draw_path_state(question, 3, generator)
        if state is None:
            continue
        assert state.text.startswith(question.view.text)
        paths += state.text != question.view.text
        gold = {passage.id for passage in question.gold.values()}
        assert {passage.id for passage in state.positives} <= gold
        assert 1 <= len(state.negatives) <= 3
        assert not gold.intersection(passage.id for passage in state.negatives)
    assert paths, "some hold evidence"


def test_the_loss_is_that_of_each_positive_against_the_negatives(ranked: list[RankedQuestion]) -> None:
    encoder = PairEncoder(2, 0, 0.0, "cpu").eval()
    states = [state for state in states_of(ranked) if len(state.positives) == 2][:2]
    expected = []
    with torch.no_grad():
        loss = float(listwise_loss(encoder, states))
        for state in states:
            read = encoder.read([state.text], 96)
            texts = [f"{p.title}. {p.text}" if p.title else p.text for p in (*state.positives, *state.negatives)]
            odds = [float(encoder(read, encoder.read([text], 64), [0]).exp()) for text in texts]
            wrong = sum(odds[2:])
            expected.append(np.mean([-np.log(right / (right + wrong)) for right in odds[:2]]))
    assert loss == pytest.approx(np.mean(expected), rel=1e-3)


def test_a_few_steps_lower_the_loss_on_what_was_learned(ranked: list[RankedQuestion]) -> None:
    encoder = PairEncoder(4, 0, 0.0, "cpu")
    states = states_of(ranked)[:4]
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=2e-3)
    before = float(listwise_loss(encoder, states).detach())
    for _ in range(6):
        loss = listwise_loss(encoder, states)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < before - 0.1


def test_the_weight_is_that_of_the_surest_gain() -> None:
    certain, lucky, worse = np.full(20, 0.1), np.eye(20)[0] * 3.5 - np.eye(20)[1], np.full(20, -0.1)
    quality = 0.5 + np.stack([np.zeros(20), certain, lucky, worse], axis=1)
    assert surest(quality) == 1, "the mean of the lucky one is higher"
    assert surest(quality[:, [0, 2, 3]]) == 0, "what may be chance is left"


def test_a_weight_is_never_worse_than_none_where_it_was_fitted(ranked: list[RankedQuestion]) -> None:
    blind = PairEncoder(2, 0, 0.0, "cpu").eval()
    blind.closeness.data.fill_(-50.0)  # what is alike is pushed back
    figures = fit_weight(blind, ranked[:10])
    assert figures["recall@2"] + figures["recall@5"] >= figures["recall@2_without"] + figures["recall@5_without"]


def test_what_was_tuned_can_be_used(
    tuned: tuple[Path, dict[str, float]], small_index: Index, corpus_folder: Path, tiny_run: Path
) -> None:
    out, figures = tuned
    assert load_reranker(out).weight == figures["weight"]
    described = json.loads((out / "path_reranker.json").read_text())
    assert described["training"]["validation_figures"]["recall@5"] == figures["recall@5"]
    assert [json.loads(line)["round"] for line in (out / "log.jsonl").read_text().splitlines()] == [0, 1]
    system = open_system(small_index, policy=tiny_run, path_reranker=out)
    asked = [question.text for question in load_questions(corpus_folder, "train")[0][:10]]
    assert max(len(system.rank(question, 5).rows) for question in asked) == 5


def test_a_re_ranker_of_a_fixed_system_reads_the_question_alone(
    source: TrainingSource, small_index: Index, tmp_path: Path
) -> None:
    few = RerankerSettings(epochs=1, states=6, rank=2, batch=3, negatives=3, held_out=0.1)
    figures = tune_reranker([source], None, tmp_path / "run", system="hybrid", settings=few)
    reranker = load_reranker(tmp_path / "run")
    assert reranker.pointwise
    assert reranker.weight == figures["weight"]
    assert json.loads((tmp_path / "run" / "path_reranker.json").read_text())["training"]["system"] == "hybrid"


def test_one_of_policy_and_system_is_wanted(source: TrainingSource, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="give one"):
        tune_reranker([source], None, tmp_path / "run")
    with pytest.raises(PolicyError, match="give one"):
        tune_reranker([source], tiny_run, tmp_path / "run", system="hybrid")


def test_a_question_state_holds_no_evidence(source: TrainingSource) -> None:
    ranked = questions_ranked_by([source], "hybrid", None, None)
    assert {len(question.candidates) for question in ranked} == {20}
    for question in ranked:
        state = draw_question_state(question, 4, np.random.default_rng(0))
        assert state is not None
        assert state.text == question.view.text
        assert not {p.id for p in state.negatives} & {p.id for p in question.gold.values()}


def test_a_run_that_was_killed_goes_on_to_the_same_weights(
    source: TrainingSource, tiny_run: Path, tuned: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    def die(stage: str, done: int, total: int) -> None:
        if "epoch 2" in stage and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_reranker([source], tiny_run, tmp_path / "run", settings=SETTINGS, progress=die)
    tune_reranker([source], tiny_run, tmp_path / "run", settings=SETTINGS)
    name = "path_reranker.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (tuned[0] / name).read_bytes()


def test_a_folder_of_another_run_is_left_alone(
    source: TrainingSource, tiny_run: Path, tuned: tuple[Path, dict[str, float]]
) -> None:
    with pytest.raises(PolicyError, match="other settings"):
        tune_reranker([source], tiny_run, tuned[0], settings=SETTINGS, seed=5)


def test_what_cannot_be_tuned_is_refused(source: TrainingSource, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\nnorway\tneighbour_of\tsweden\n")
    facts = Index.build(tmp_path, tmp_path / "facts.index", threads=1)
    with pytest.raises(EncoderError, match="needs passages"):
        tune_reranker([TrainingSource(facts, source.questions, "train")], tiny_run, tmp_path / "run")
    with pytest.raises(RecipeError, match="nowhere"):
        tune_reranker([source], tiny_run, tmp_path / "run", device="nowhere")
    with pytest.raises(PolicyError, match="no policy"):
        tune_reranker([source], tmp_path / "none", tmp_path / "run")


def test_too_few_questions_are_an_error(source: TrainingSource, tiny_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "questions"
    (folder / "qrels").mkdir(parents=True)
    row = source.index.store.passage(0).id
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Who?"}))
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\nq\t{row}\t1\n")
    with pytest.raises(QuestionsError, match="too few"):
        tune_reranker([TrainingSource(source.index, folder, "train")], tiny_run, tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("states", 0), ("learning_rate", 0.0), ("held_out", 1.0), ("dropout", 1.0)]
)
def test_impossible_settings_are_refused(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=name):
        RerankerSettings(**{name: value})

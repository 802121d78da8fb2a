"""What a run learns from: with answers alone it never sees a label, and its readers judge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from trailhound import EnvironmentSettings, Index, Recipe, TrainingSource, train
from trailhound.agent.reader._extractive import has_reader
from trailhound.agent.reader._protocol import ReadingTask
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._world import QuestionWorld
from trailhound.errors import PolicyError, RecipeError
from trailhound.learning._reader import ReaderJudge
from trailhound.learning.policy._supervision import FOLDS, AnswerSupervision, Supervision
from trailhound.learning.queries._evidence_sets import evidence_sets, shared_posteriors
from trailhound.retrievers._hashed_files import write_sealed_json
from trailhound.retrievers.questions._labelled import load_questions


@pytest.fixture
def unlabelled(small_index: Index, corpus_folder: Path, settings: EnvironmentSettings) -> list[QuestionWorld]:
    questions = QuestionSet.load(small_index, corpus_folder, "train", settings, labels=False)
    return [questions.world(number) for number in range(len(questions))]


class WordReader:
    """A real reader: an answer is as likely as the share of its words that the evidence has."""

    name = "shared words"

    def __init__(self) -> None:
        self.read = 0

    def log_likelihoods(self, tasks: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        assert isinstance(tasks, list)
        self.read += len(tasks)
        return np.array([self._score(task) for task in tasks])

    @staticmethod
    def _score(task: ReadingTask) -> float:
        words = set(task.answer.lower().split())
        seen = {word.strip(".,") for p in task.passages for word in f"{p.title} {p.text}".lower().split()}
        return float(np.log(0.1 + 0.9 * len(words & seen) / len(words)))


def test_without_labels_no_world_has_gold(unlabelled: list[QuestionWorld], worlds: list[QuestionWorld]) -> None:
    assert len(unlabelled) == len(worlds)
    assert all(world.gold == frozenset() and world.answer for world in unlabelled)
    assert any(world.gold for world in worlds)


def test_posteriors_are_those_of_prior_reader_and_neighbours(unlabelled: list[QuestionWorld], tmp_path: Path) -> None:
    reader = WordReader()
    answers = AnswerSupervision(tmp_path, 0, 0, reader)
    answers.prepare(unlabelled, [])
    sets = [evidence_sets(world) for world in unlabelled]
    judges = [ReaderJudge(reader, world) for world in unlabelled]
    scores = [np.array([j.log_likelihood(s.rows) for s in c]) for j, c in zip(judges, sets, strict=True)]
    expected = shared_posteriors(unlabelled, sets, scores)
    known = 0
    for world, candidates, posterior in zip(unlabelled, sets, expected, strict=True):
        latent = answers.of(world)
        assert (latent is None) == (not candidates)
        if latent is not None:
            known += 1
            np.testing.assert_array_equal(latent.posterior, posterior)
            assert latent.best(1)[0] == candidates[int(posterior.argmax())].rows
    assert known > 20


def test_drawing_follows_the_posterior(unlabelled: list[QuestionWorld], tmp_path: Path) -> None:
    answers = AnswerSupervision(tmp_path, 0, 0, WordReader())
    answers.prepare(unlabelled, [])
    world = max(unlabelled, key=lambda w: 0 if answers.of(w) is None else len(answers.of(w).sets))  # type: ignore[union-attr]
    latent = answers.of(world)
    assert latent is not None
    generator = np.random.default_rng(0)
    counts = dict.fromkeys(map(frozenset, latent.sets), 0)
    for _ in range(2000):
        [drawn] = answers.draw([world], generator)
        counts[drawn.gold] += 1
    shares = [counts[frozenset(rows)] / 2000 for rows in latent.sets]
    np.testing.assert_allclose(shares, latent.posterior, atol=0.05)
    assert world.gold == frozenset(generator and drawn.gold)


def test_a_judge_reads_every_sequence_once_and_pays_by_doubt_removed(unlabelled: list[QuestionWorld]) -> None:
    reader = WordReader()
    world = next(w for w in unlabelled if evidence_sets(w) and " or " not in w.view.text)
    judge = ReaderJudge(reader, world)
    rows = evidence_sets(world)[0].rows
    [alone, full] = reader.log_likelihoods([judge._task(()), judge._task(rows)])
    before = reader.read
    for _ in range(3):
        assert judge.value(rows) == pytest.approx((full - alone) / -alone)
        assert judge.value(()) == 0
    assert reader.read == before + 2
    with pytest.raises(ValueError, match="has no answer"):
        ReaderJudge(reader, QuestionWorld(world.index, world.view, world.settings))


@pytest.mark.parametrize(
    ("kind", "reader", "epochs", "said"),
    [
        ("guesses", None, 3, "no supervision 'guesses'"),
        ("answers", "coverage", 3, "'coverage' reads labels"),
        ("answers", None, 0, "needs a reader"),
    ],
)
def test_what_cannot_be_is_refused(kind: str, reader: str | None, epochs: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        Supervision(kind, reader, tmp_path, epochs, 0)


@pytest.fixture(scope="module")
def answers_recipe(tiny_recipe: Recipe) -> Recipe:
    return tiny_recipe.model_copy(update={"reader_epochs": 2, "imitation_epochs": 2})


@pytest.fixture(scope="module")
def corrupted(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same questions, every one labelled with one wrong passage."""
    folder = tmp_path_factory.mktemp("wrong") / "corpus"
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_bytes((corpus_folder / "queries.jsonl").read_bytes())
    for split in ("train", "validation"):
        questions, qrels = load_questions(corpus_folder, split)
        wrong = sorted(qrels[questions[0].id])[0]
        lines = [f"{question.id}\t{wrong}\t1" for question in questions]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    return folder


def run(index: Index, folder: Path, out: Path, recipe: Recipe) -> Path:
    train(
        [TrainingSource(index, folder, "train")],
        out,
        validation=[TrainingSource(index, folder, "validation")],
        recipe=recipe,
        supervision="answers",
    )
    return out


@pytest.fixture(scope="module")
def answered(
    small_index: Index, corpus_folder: Path, answers_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A finished run by answers; never changed by a test."""
    return run(small_index, corpus_folder, tmp_path_factory.mktemp("answers") / "run", answers_recipe)


def test_labels_make_no_difference_to_a_run_by_answers(
    small_index: Index, answered: Path, corrupted: Path, answers_recipe: Recipe, tmp_path: Path
) -> None:
    """With right and with wrong labels the weights are the same, bit for bit; a reader and two judges are there."""
    one = answered
    two = run(small_index, corrupted, tmp_path / "two", answers_recipe)
    for name in ("policy.safetensors", "reader.safetensors", "evidence_sets.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    assert all(has_reader(one / f"judge-{fold}") for fold in range(FOLDS))
    metrics = json.loads((one / "metrics.json").read_text())
    assert "recall@5" not in metrics
    assert metrics["score"] == metrics["return"]


def test_a_run_by_answers_goes_on_from_what_it_prepared(
    small_index: Index, corpus_folder: Path, answered: Path, answers_recipe: Recipe, tmp_path: Path
) -> None:
    """Without its checkpoint it begins again, but reads nothing twice: the same posteriors, readers and policy."""
    out = Path(shutil.copytree(answered, tmp_path / "run"))
    weights = (out / "policy.safetensors").read_bytes()
    for name in ("checkpoint.safetensors", "policy.json", "policy.safetensors"):
        (out / name).unlink()
    before = (out / "judge-0" / "reader.safetensors").stat().st_mtime_ns
    run(small_index, corpus_folder, out, answers_recipe)
    assert (out / "judge-0" / "reader.safetensors").stat().st_mtime_ns == before
    assert (out / "policy.safetensors").read_bytes() == weights
    write_sealed_json(out / "evidence_sets.json", {"posteriors": [[1.0]]})
    with pytest.raises(PolicyError, match="belongs to other questions"):
        run(small_index, corpus_folder, out, answers_recipe)


def test_with_passages_a_reader_is_trained_beside_the_policy(
    small_index: Index, corpus_folder: Path, answers_recipe: Recipe, tmp_path: Path
) -> None:
    train([TrainingSource(small_index, corpus_folder, "train")], tmp_path / "run", recipe=answers_recipe)
    assert has_reader(tmp_path / "run")
    assert "recall@5" in json.loads((tmp_path / "run" / "metrics.json").read_text())

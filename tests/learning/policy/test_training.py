"""A training run in its folder: what it writes, when it stops, what it refuses, and that it can go on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trailhound import Index, Recipe, SearchAgent, TrainingSource, train
from trailhound.agent._policy_file import load_policy
from trailhound.envs._question_set import QuestionSet
from trailhound.errors import PolicyError, QuestionsError, RecipeError
from trailhound.learning.policy import training
from trailhound.learning.policy._validation import validate
from trailhound.retrievers.questions._labelled import load_questions

FIGURES = {"recall@5", "all_recall@5", "return", "calls", "score"}


@pytest.fixture(scope="module")
def quick(tiny_recipe: Recipe) -> Recipe:
    return tiny_recipe.model_copy(
        update={
            "width": 8,
            "question_width": 4,
            "imitation_epochs": 2,
            "ppo_iterations": 2,
            "ppo_steps": 8,
            "minibatch": 32,
        }
    )


@pytest.fixture(scope="module")
def train_source(small_index: Index, corpus_folder: Path) -> TrainingSource:
    return TrainingSource(small_index, corpus_folder, "train")


@pytest.fixture(scope="module")
def validation(small_index: Index, corpus_folder: Path) -> list[TrainingSource]:
    return [TrainingSource(small_index, corpus_folder, "validation")]


@pytest.fixture
def few(small_index: Index, corpus_folder: Path, tmp_path: Path) -> TrainingSource:
    """Eight of the training questions."""
    folder = subset(corpus_folder, tmp_path / "few", 8)
    return TrainingSource(small_index, folder, "train")


def subset(corpus: Path, folder: Path, count: int) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_bytes((corpus / "queries.jsonl").read_bytes())
    _, qrels = load_questions(corpus, "train")
    lines = [f"{q}\t{p}\t{s}\n" for q in list(qrels)[:count] for p, s in qrels[q].items()]
    (folder / "qrels" / "train.tsv").write_text("".join(lines))
    return folder


def rounds(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


class TestAFinishedRun:
    def test_its_policy_searches(self, tiny_run: Path, small_index: Index, corpus_folder: Path) -> None:
        questions, _ = load_questions(corpus_folder, "dev")
        result = SearchAgent(small_index, tiny_run).search(questions[0].text)
        assert result.evidence[0].taken
        assert str(tiny_run) in result.answered_by

    def test_its_files(self, tiny_run: Path) -> None:
        assert {path.name for path in tiny_run.iterdir()} == {
            "run.json",
            "checkpoint.safetensors",
            "policy.safetensors",
            "policy.json",
            "ranker.safetensors",
            "metrics.json",
            "log.jsonl",
            "tensorboard",
        }

    def test_the_log_has_a_line_for_each_round(self, tiny_run: Path, tiny_recipe: Recipe) -> None:
        lines = rounds(tiny_run)
        assert [line["round"] for line in lines] == list(range(7))
        phases = ["imitation"] * tiny_recipe.imitation_epochs + ["ppo"] * tiny_recipe.ppo_iterations
        assert [line["phase"] for line in lines] == phases
        assert all({f"validation_{name}" for name in FIGURES} <= set(line) for line in lines)
        assert all("loss" in line for line in lines[:6])
        assert {"policy_loss", "marginal_likelihood_loss", "train_return"} <= set(lines[6])
        assert lines[5]["loss"] < lines[0]["loss"]

    def test_tensorboard_shows_the_same(self, tiny_run: Path) -> None:
        events = EventAccumulator(str(tiny_run / "tensorboard")).Reload()
        for phase in ("imitation", "ppo"):
            shown = [(event.step, event.value) for event in events.Scalars(f"{phase}/validation_score")]
            logged = [
                (r["round"], pytest.approx(r["validation_score"], abs=1e-6))
                for r in rounds(tiny_run)
                if r["phase"] == phase
            ]
            assert shown == logged

    def test_the_policy_kept_is_the_last_within_a_hair_of_the_best(self, tiny_run: Path, corpus_folder: Path) -> None:
        metrics = json.loads((tiny_run / "metrics.json").read_text())
        assert set(metrics) == FIGURES | {"kept_round", "seconds"}
        scores = [line["validation_score"] for line in rounds(tiny_run)]
        questions, _ = load_questions(corpus_folder, "validation")
        peak, kept = float("-inf"), -1
        for number, score in enumerate(scores):
            peak = max(peak, score)
            kept = number if score >= peak - 0.25 / len(questions) else kept
        assert metrics["kept_round"] == kept
        assert metrics["score"] == scores[kept]
        assert scores[kept] > scores[0]

    def test_the_policy_has_the_figures_that_it_states(
        self, tiny_run: Path, small_index: Index, corpus_folder: Path
    ) -> None:
        policy = load_policy(tiny_run)
        questions = QuestionSet.load(small_index, corpus_folder, "validation", policy.settings)
        worlds = [questions.world(k) for k in range(len(questions))]
        figures = validate(policy.network, policy.settings, worlds)
        metrics = json.loads((tiny_run / "metrics.json").read_text())
        assert figures == {name: pytest.approx(metrics[name], abs=1e-6) for name in FIGURES}
        assert policy.training["validation_figures"] == {name: metrics[name] for name in FIGURES}

    def test_the_policy_says_what_it_was_trained_on(self, tiny_run: Path, tiny_recipe: Recipe) -> None:
        training = load_policy(tiny_run).training
        assert training["recipe"] == tiny_recipe.model_dump()
        assert training["seed"] == 0
        assert training["sources"] == [{"questions": "corpus", "split": "train", "passages": 150}]
        assert str(tiny_run.parent) not in json.dumps(dict(training)), "no paths of the user's machine"

    def test_the_same_command_again_changes_nothing(
        self, tiny_run: Path, train_source: TrainingSource, validation: list[TrainingSource], tiny_recipe: Recipe
    ) -> None:
        before = {path: path.read_bytes() for path in tiny_run.glob("*.*")}
        report = train([train_source], tiny_run, validation=validation, recipe=tiny_recipe)
        assert {path: path.read_bytes() for path in tiny_run.glob("*.*")} == before
        assert report.policy == tiny_run
        assert report.metrics["score"] == json.loads((tiny_run / "metrics.json").read_text())["score"]


def test_without_validation_some_questions_are_held_out(
    train_source: TrainingSource, quick: Recipe, tmp_path: Path
) -> None:
    heard: list[tuple[str, int, int]] = []
    recipe = quick.model_copy(update={"held_out": 0.25, "ppo_iterations": 1, "fresh_share": 0.5})
    report = train([train_source], tmp_path / "run", recipe=recipe, progress=lambda *said: heard.append(said))
    questions, _ = load_questions(train_source.questions, "train")
    totals = {total for stage, _, total in heard if stage.startswith("imitation")}
    aside = round(0.25 * len(questions))
    learned = len(questions) - aside
    assert totals == {learned - round(0.5 * learned)}, "half of them are left to PPO"
    assert {stage.split()[0].strip(",") for stage, _, _ in heard} == {"imitation", "PPO", "looking"}
    assert report.metrics.keys() >= FIGURES
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert described["labelled_questions"] == [learned, aside]


def test_several_indexes_train_one_policy(
    small_index: Index, corpus_folder: Path, few: TrainingSource, quick: Recipe, tmp_path: Path
) -> None:
    sources = [few, TrainingSource(small_index, corpus_folder, "validation")]
    report = train(sources, tmp_path / "run", recipe=quick.model_copy(update={"ppo_iterations": 0}))
    assert len(json.loads((report.policy / "run.json").read_text())["sources"]) == 2


def test_training_stops_when_validation_no_longer_improves(
    few: TrainingSource, validation: list[TrainingSource], quick: Recipe, tmp_path: Path
) -> None:
    """With steps too small to change anything PPO never improves: it stops after ``patience`` rounds."""
    still = quick.model_copy(update={"ppo_iterations": 50, "ppo_learning_rate": 1e-12, "patience": 3})
    train([few], tmp_path / "run", validation=validation, recipe=still)
    assert [line["phase"] for line in rounds(tmp_path / "run")] == ["imitation"] * 2 + ["ppo"] * 3
    train([few], tmp_path / "run", validation=validation, recipe=still)
    assert len(rounds(tmp_path / "run")) == 5, "nor does it go on when asked again"


def test_imitation_or_ppo_alone(few: TrainingSource, quick: Recipe, tmp_path: Path) -> None:
    for name, change in (("ppo", {"imitation_epochs": 0}), ("imitation", {"ppo_iterations": 0})):
        report = train([few], tmp_path / name, recipe=quick.model_copy(update=change))
        assert {line["phase"] for line in rounds(report.policy)} == {name}
        load_policy(report.policy)


@pytest.mark.parametrize("at", [2, 3])
def test_an_interrupted_run_goes_on_to_the_same_policy(
    few: TrainingSource, validation: list[TrainingSource], quick: Recipe, tmp_path: Path, at: int
) -> None:
    """Interrupted in the warm start, or in PPO."""
    whole = train([few], tmp_path / "whole", validation=validation, recipe=quick).policy
    seen: list[tuple[str, int]] = []

    def stop(stage: str, done: int, total: int) -> None:
        number = done if stage.startswith("PPO") else int(stage.split()[1].split("/")[0]) - 3
        if (stage[:3], number) not in seen:
            seen.append((stage[:3], number))
        if len(seen) == at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train([few], tmp_path / "run", validation=validation, recipe=quick, progress=stop)
    with pytest.raises(PolicyError, match="holds a run already: choose another folder, delete it, or resume"):
        train([few], tmp_path / "run", validation=validation, recipe=quick, resume=False)
    train([few], tmp_path / "run", validation=validation, recipe=quick)
    for name, weight in load_file(whole / "policy.safetensors").items():
        assert torch.equal(load_file(tmp_path / "run" / "policy.safetensors")[name], weight)
    assert rounds(tmp_path / "run") == rounds(whole)


class TestRefusals:
    @pytest.mark.parametrize("change", [{"seed": 1}, {"recipe": {"beta": 0.7}}, {"validation": True}, {"questions": 7}])
    def test_the_folder_of_another_run(
        self,
        few: TrainingSource,
        validation: list[TrainingSource],
        quick: Recipe,
        corpus_folder: Path,
        tmp_path: Path,
        change: dict[str, Any],
    ) -> None:
        recipe = quick.model_copy(update={"imitation_epochs": 1, "ppo_iterations": 0})
        out = train([few], tmp_path / "run", recipe=recipe).policy
        before = (out / "policy.safetensors").read_bytes()
        source = few
        if "questions" in change:
            folder = subset(corpus_folder, tmp_path / "other" / "few", change["questions"])
            source = TrainingSource(few.index, folder, "train")
        with pytest.raises(PolicyError, match="holds a run of other settings: choose another folder or delete it"):
            train(
                [source],
                out,
                seed=change.get("seed", 0),
                validation=validation if "validation" in change else [],
                recipe=recipe.model_copy(update=change.get("recipe", {})),
            )
        assert (out / "policy.safetensors").read_bytes() == before

    def test_a_folder_with_a_policy_of_elsewhere(self, few: TrainingSource, quick: Recipe, tmp_path: Path) -> None:
        (tmp_path / "policy.json").write_text("{}")
        with pytest.raises(PolicyError, match="holds a policy already"):
            train([few], tmp_path, recipe=quick)

    def test_a_damaged_run(self, few: TrainingSource, quick: Recipe, tmp_path: Path) -> None:
        recipe = quick.model_copy(update={"imitation_epochs": 1, "ppo_iterations": 0})
        out = train([few], tmp_path / "run", recipe=recipe).policy
        (out / "checkpoint.safetensors").write_bytes(b"xx")
        with pytest.raises(PolicyError, match=r"checkpoint.* is damaged.*delete the run's folder"):
            train([few], out, recipe=recipe)
        (out / "run.json").write_text("{")
        with pytest.raises(PolicyError, match=r"run\.json is damaged .*choose another folder or delete it"):
            train([few], out, recipe=recipe)

    def test_no_questions(self, few: TrainingSource, quick: Recipe, tmp_path: Path) -> None:
        with pytest.raises(QuestionsError, match="there is no split 'test'"):
            train([TrainingSource(few.index, few.questions, "test")], tmp_path / "run", recipe=quick)
        with pytest.raises(QuestionsError, match="not of none"):
            train([], tmp_path / "run", recipe=quick)
        assert not (tmp_path / "run").exists()

    def test_one_question_cannot_be_trained_on_and_held_out(
        self, few: TrainingSource, corpus_folder: Path, quick: Recipe, tmp_path: Path
    ) -> None:
        folder = subset(corpus_folder, tmp_path / "one", 1)
        with pytest.raises(QuestionsError, match="too few questions with supporting passages"):
            train([TrainingSource(few.index, folder, "train")], tmp_path / "run", recipe=quick)

    def test_questions_without_supporting_passages(self, few: TrainingSource, quick: Recipe, tmp_path: Path) -> None:
        labels = few.questions / "qrels" / "train.tsv"
        labels.write_text("".join(line.rsplit("\t", 1)[0] + "\t0\n" for line in labels.read_text().splitlines()))
        with pytest.raises(QuestionsError, match="too few questions with supporting passages"):
            train([few], tmp_path / "run", recipe=quick)

    def test_indexes_of_different_encoders(
        self, few: TrainingSource, corpus_folder: Path, quick: Recipe, tmp_path: Path
    ) -> None:
        encoder = type(few.index.encoder)(32)  # type: ignore[call-arg]
        other = Index.build([corpus_folder], tmp_path / "index", encoder=encoder)
        with pytest.raises(QuestionsError, match="one encoder, not of hashing-32, hashing-64"):
            train([few, TrainingSource(other, corpus_folder, "train")], tmp_path / "run", recipe=quick)

    @pytest.mark.parametrize("seed", [-1, 2**63])
    def test_seeds_that_cannot_be(self, few: TrainingSource, quick: Recipe, tmp_path: Path, seed: int) -> None:
        with pytest.raises(RecipeError, match=f"the seed must be 0 or more .*not {seed}"):
            train([few], tmp_path / "run", recipe=quick, seed=seed)


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([0.5, 0.6, 0.58], 2),
        ([0.6, 0.58, 0.57], 1),
        ([-0.3, -0.4, -0.5], 0),
    ],
)
def test_a_later_policy_is_kept_when_it_is_hardly_worse(
    few: TrainingSource,
    validation: list[TrainingSource],
    quick: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: list[float],
    kept: int,
) -> None:
    """Nine validation questions: a quarter of one of them is a score of 0.028, measured from the peak."""
    assert len(load_questions(validation[0].questions, "validation")[0]) == 9
    scripted = iter(scores)
    monkeypatch.setattr(training, "validate", lambda *unused: {"score": next(scripted)})
    recipe = quick.model_copy(update={"imitation_epochs": 3, "ppo_iterations": 0})
    report = train([few], tmp_path / "run", validation=validation, recipe=recipe)
    assert report.metrics == {"score": scores[kept], "kept_round": kept}
    assert load_policy(tmp_path / "run").training["round"] == kept


def test_ppo_sets_out_from_the_policy_that_the_warm_start_kept(
    few: TrainingSource,
    validation: list[TrainingSource],
    quick: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not from its last one, which was worse: with steps too small to matter PPO ends where the warm start peaked."""
    scripted = iter([0.5, 0.9, 0.1, 0.9])
    monkeypatch.setattr(training, "validate", lambda *unused: {"score": next(scripted)})
    recipe = quick.model_copy(update={"imitation_epochs": 3, "ppo_iterations": 0, "fresh_share": 0.0})
    peak = load_file(
        train([few], tmp_path / "warm", validation=validation, recipe=recipe).policy / "policy.safetensors"
    )
    scripted = iter([0.5, 0.9, 0.1, 0.9])
    recipe = recipe.model_copy(update={"ppo_iterations": 1, "ppo_learning_rate": 1e-12})
    out = train([few], tmp_path / "both", validation=validation, recipe=recipe).policy
    assert load_policy(out).training["round"] == 3
    for name, weight in load_file(out / "policy.safetensors").items():
        torch.testing.assert_close(weight, peak[name], atol=1e-6, rtol=0)


def test_an_id_of_two_questions_is_left_out_with_a_warning(
    small_index: Index, corpus_folder: Path, quick: Recipe, tmp_path: Path
) -> None:
    folder = subset(corpus_folder, tmp_path / "twice", 8)
    queries = folder / "queries.jsonl"
    asked, _ = load_questions(folder, "train")
    other = json.dumps({"_id": asked[0].id, "text": "Something else?"})
    queries.write_text(queries.read_text("utf-8").rstrip("\n") + f"\n{other}\n", "utf-8")
    source = TrainingSource(small_index, folder, "train")
    with pytest.raises(QuestionsError, match="names another question"):
        train([source], tmp_path / "strict", recipe=quick)
    warnings: list[str] = []
    train([source], tmp_path / "run", recipe=quick, warn=warnings.append)
    assert len(warnings) == 1
    assert asked[0].id in warnings[0]
    described = json.loads((tmp_path / "run" / "policy.json").read_text("utf-8"))
    assert sum(described["training"]["labelled_questions"]) == len(asked) - 1

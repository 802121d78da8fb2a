"""Training without questions: they are made once, kept in the folder of the run, and learned from like any others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trailhound import Index, Recipe, TrainingSource, train
from trailhound.agent._policy_file import load_policy
from trailhound.envs._question_set import QuestionSet
from trailhound.errors import QuestionsError
from trailhound.learning.policy._supervision import made_sources, sources_beside
from trailhound.learning.policy._validation import validate
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Document


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Recipe) -> Recipe:
    # cheap searches: in a few passes a policy does not learn when to leave one out
    return tiny_recipe.model_copy(update={"made_questions": 80, "ppo_iterations": 0, "price_per_ms": 0.003})


def texts(source: TrainingSource) -> list[str]:
    return [question.text for question in load_questions(source.questions, source.split)[0]]


def test_questions_are_made_once_and_found_again(small_index: Index, recipe: Recipe, tmp_path: Path) -> None:
    sources, validation = made_sources([small_index], tmp_path, recipe, 0)
    assert (len(texts(sources[0])), len(texts(validation[0]))) == (72, 8)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert made_sources([small_index], tmp_path, recipe, 0) == (sources, validation)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_seed_decides_which_questions(small_index: Index, recipe: Recipe, tmp_path: Path) -> None:
    made = [made_sources([small_index], tmp_path / folder, recipe, seed)[0][0] for folder, seed in
            (("a", 0), ("b", 0), ("c", 1))]  # fmt: skip
    assert texts(made[0]) == texts(made[1])
    assert texts(made[0]) != texts(made[2])


def test_several_corpora_have_questions_of_their_own(small_index: Index, recipe: Recipe, tmp_path: Path) -> None:
    sources, _ = made_sources([small_index, small_index], tmp_path, recipe, 0)
    assert [source.questions for source in sources] == [tmp_path / "questions" / "0", tmp_path / "questions" / "1"]
    assert texts(sources[0]) != texts(sources[1])


def test_what_is_learned_from_made_questions_holds_for_questions_of_people(
    small_index: Index, corpus_folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    sources, validation = made_sources([small_index], tmp_path, recipe, 0)
    train(sources, tmp_path, validation=validation, recipe=recipe.model_copy(update={"imitation_epochs": 4}))
    policy = load_policy(tmp_path)
    asked = QuestionSet.load(small_index, corpus_folder, "train", policy.settings)
    worlds = [asked.world(number) for number in range(len(asked))]
    untrained = recipe.model_copy(update={"imitation_epochs": 1, "imitation_learning_rate": 1e-9})
    train(sources, tmp_path / "untrained", validation=validation, recipe=untrained)
    nothing = validate(load_policy(tmp_path / "untrained").network, policy.settings, worlds)
    learned = validate(policy.network, policy.settings, worlds)
    assert learned["recall@5"] > nothing["recall@5"] + 0.2
    assert learned["recall@5"] > 0.6


def test_a_knowledge_graph_needs_no_made_questions(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "graph.txt").write_text("oslo\tcapital_of\tnorway\nnorway\tneighbour_of\tsweden\n")
    index = Index.build(tmp_path, tmp_path / "facts.index")
    with pytest.raises(QuestionsError, match="is a knowledge graph, and its facts are its questions"):
        made_sources([index], tmp_path / "run", recipe, seed=0)
    assert not (tmp_path / "run").exists()


def test_questions_are_made_beside_labelled_ones(
    small_index: Index, corpus_folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    """Once for each index, and kept in the run; who has too little to ask about gets none, and is told."""
    labelled = [TrainingSource(small_index, corpus_folder, split) for split in ("train", "validation")]
    more = recipe.model_copy(update={"made_beside": 40, "imitation_epochs": 1, "ppo_iterations": 0})
    train(labelled, tmp_path / "run", recipe=more)
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [source["questions"] for source in described["sources"]] == ["corpus", "corpus", "made-0"]
    questions, labels = load_questions(tmp_path / "run" / "made-0", "train")
    assert len(questions) == 36 == len(labels)
    train(labelled, tmp_path / "plain", recipe=more.model_copy(update={"made_beside": 0}))
    alone = json.loads((tmp_path / "plain" / "run.json").read_text())["labelled_questions"]
    assert sum(described["labelled_questions"]) == sum(alone) + 36
    few = Index.build([Document("d", "", "One text.")], tmp_path / "few.index", encoder=small_index.encoder)
    heard: list[str] = []
    source = TrainingSource(few, corpus_folder, "train")
    assert sources_beside([source], tmp_path / "none", more, seed=0, warn=heard.append) == []
    assert len(heard) == 1
    assert "could be made from the 1 passages" in heard[0]

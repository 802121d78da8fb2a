"""When training stops: patience is counted from the last better round, and a recipe must have something to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from trailhound import Index, Recipe, TrainingSource, train
from trailhound.errors import RecipeError

QUICK = {
    "max_candidates": 20,
    "expand_size": 3,
    "hop_size": 3,
    "max_steps": 8,
    "width": 8,
    "question_width": 4,
    "rounds": 1,
    "imitation_epochs": 3,
    "imitation_lanes": 6,
    "imitation_learning_rate": 5e-3,
    "ppo_iterations": 3,
    "ppo_lanes": 4,
    "ppo_steps": 8,
    "ppo_passes": 1,
    "minibatch": 16,
    "paths_per_question": 2,
    "made_beside": 0,
    "reader_epochs": 0,
    "ranker_steps": 10,
}


@pytest.fixture(scope="module")
def source(small_index: Index, corpus_folder: Path) -> TrainingSource:
    return TrainingSource(small_index, corpus_folder, "train")


def rounds(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_patience_is_counted_from_the_last_better_round(source: TrainingSource, tmp_path: Path) -> None:
    """So many rounds of PPO as ``patience`` says follow the last better one; none of them is better."""
    patience, out = 2, tmp_path / "run"
    changes = {"patience": patience, "ppo_iterations": 30, "imitation_epochs": 1, "ppo_learning_rate": 3e-3}
    train([source], out, recipe=Recipe.model_validate({**QUICK, **changes}))
    scores = [line["validation_score"] for line in rounds(out)]
    better = [number for number, score in enumerate(scores) if score > max(scores[:number], default=-1e9)]
    assert 1 < len(scores) < 31
    assert len(scores) == better[-1] + 1 + patience


def test_a_recipe_without_a_round_is_refused(source: TrainingSource, tmp_path: Path) -> None:
    recipe = Recipe.model_validate({**QUICK, "imitation_epochs": 0, "ppo_iterations": 0})
    with pytest.raises(RecipeError, match="imitation_epochs = 0 and ppo_iterations = 0 train nothing"):
        train([source], tmp_path / "run", recipe=recipe)
    assert not (tmp_path / "run").exists()

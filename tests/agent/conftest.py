"""A tiny policy, questions and states of searches, on the small encyclopedia."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound import EnvironmentSettings, Index, Recipe, TrainingSource, train
from trailhound.agent.paths import Steps
from trailhound.envs.batch import SearchBatch
from trailhound.envs.question_set import QuestionSet
from trailhound.envs.world import QuestionWorld

TINY = {
    "max_candidates": 30,
    "width": 24,
    "question_width": 8,
    "imitation_epochs": 6,
    "imitation_learning_rate": 5e-3,
    "imitation_lanes": 8,
    "wide_share": 0.1,
    "ppo_iterations": 1,
    "ppo_lanes": 8,
    "ppo_steps": 16,
    "ppo_passes": 1,
    "minibatch": 64,
    "paths_per_question": 2,
    "reader_epochs": 0,
}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    return Recipe.model_validate(TINY)


@pytest.fixture(scope="session")
def settings(tiny_recipe: Recipe) -> EnvironmentSettings:
    return tiny_recipe.environment()


@pytest.fixture(scope="session")
def worlds(small_index: Index, corpus_folder: Path, settings: EnvironmentSettings) -> list[QuestionWorld]:
    """The training questions."""
    questions = QuestionSet.load(small_index, corpus_folder, "train", settings)
    return [questions.world(number) for number in range(len(questions))]


@pytest.fixture(scope="session")
def states(worlds: list[QuestionWorld], settings: EnvironmentSettings) -> Steps:
    """States that random legal actions come through, with the actions: 12 episodes of up to 9 steps."""
    generator = np.random.default_rng(0)
    batch = SearchBatch(settings, 12, 64)
    for lane, world in enumerate(worlds[:12]):
        batch.start(lane, world)
    parts = []
    active = list(range(12))
    for _ in range(9):
        # rarely STOP, so that searches go deep
        odds = batch.mask * np.where(np.arange(batch.layout.size) == 0, 0.02, 1.0)
        actions = (generator.random(batch.mask.shape) * odds).argmax(axis=1)[active]
        observation = {name: array[active] for name, array in batch.observation.items()}
        parts.append(Steps(observation, batch.mask[active], actions))
        active = [lane for lane, action in zip(active, actions, strict=True) if not batch.act(lane, int(action))[1]]
    steps = parts[0]
    for part in parts[1:]:
        steps = steps.joined(part)
    return steps


@pytest.fixture(scope="session")
def tiny_run(
    small_index: Index, corpus_folder: Path, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a finished training run; never changed by a test."""
    folder = tmp_path_factory.mktemp("run") / "tiny"
    train(
        [TrainingSource(small_index, corpus_folder, "train")],
        folder,
        validation=[TrainingSource(small_index, corpus_folder, "validation")],
        recipe=tiny_recipe,
    )
    return folder

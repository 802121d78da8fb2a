"""Training that goes on from a policy: what it takes over, when it leaves it as it is, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from trailhound import Index, Recipe, TrainingSource, load_recipe, train
from trailhound.agent._policy_file import LoadedPolicy, load_policy
from trailhound.errors import PolicyError, RecipeError
from trailhound.learning.policy import training

ROUNDS = ("imitation_epochs", "ppo_iterations", "reader_epochs", "made_beside")


@pytest.fixture(scope="module")
def start(tiny_run: Path) -> LoadedPolicy:
    return load_policy(tiny_run)


@pytest.fixture(scope="module")
def source(small_index: Index, corpus_folder: Path) -> TrainingSource:
    return TrainingSource(small_index, corpus_folder, "dev")


@pytest.fixture(scope="module")
def validation(small_index: Index, corpus_folder: Path) -> list[TrainingSource]:
    return [TrainingSource(small_index, corpus_folder, "validation")]


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_file(folder / "policy.safetensors") for folder in (one, other))
    return all(torch.equal(weight, second[name]) for name, weight in first.items())


def test_its_recipe_is_that_of_the_policy_without_rounds(start: LoadedPolicy, tmp_path: Path) -> None:
    recipe = load_recipe(start=start)
    assert recipe.environment() == start.settings
    assert recipe.network(start.architecture.question_dimension) == start.architecture
    assert [getattr(recipe, name) for name in ROUNDS] == [0] * len(ROUNDS)
    path = tmp_path / "more.toml"
    path.write_text("ppo_iterations = 3\nprice_per_ms = 0.5\n")
    recipe = load_recipe(str(path), {"ppo_iterations": "2"}, start)
    assert (recipe.ppo_iterations, recipe.imitation_epochs, recipe.price_per_ms) == (2, 0, 0.5)
    assert recipe.max_candidates == start.settings.max_candidates


def test_without_rounds_the_policy_stays_and_its_ranker_is_looked_at(
    start: LoadedPolicy, tiny_run: Path, source: TrainingSource, validation: list[TrainingSource], tmp_path: Path
) -> None:
    report = train([source], tmp_path / "run", validation=validation, start=tiny_run)
    assert same_weights(report.policy, tiny_run)
    loaded = load_policy(report.policy)
    assert (loaded.settings, loaded.architecture) == (start.settings, start.architecture)
    assert (loaded.training["start"], loaded.training["phase"]) == (start.digest, "start")
    assert loaded.ranker is not None
    assert loaded.confidence is not None
    assert report.metrics["score"] == pytest.approx(start.training["validation_figures"]["score"], abs=1e-6)
    before = {path.name: path.read_bytes() for path in report.policy.glob("*.*")}
    train([source], tmp_path / "run", validation=validation, start=tiny_run)
    assert {path.name: path.read_bytes() for path in report.policy.glob("*.*")} == before, "the same again"


def test_rounds_that_do_not_better_it_leave_it(
    tiny_run: Path,
    start: LoadedPolicy,
    source: TrainingSource,
    validation: list[TrainingSource],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = load_recipe(None, {"ppo_iterations": "2", "ppo_lanes": "4", "ppo_steps": "8", "minibatch": "16"}, start)
    scripted = iter([0.9, 0.5, 0.6])
    monkeypatch.setattr(training, "validate", lambda *unused: {"score": next(scripted)})
    worse = train([source], tmp_path / "worse", validation=validation, start=tiny_run, recipe=recipe)
    assert worse.metrics["score"] == 0.9
    assert same_weights(worse.policy, tiny_run)
    scripted = iter([0.5, 0.6, 0.9])
    better = train([source], tmp_path / "better", validation=validation, start=tiny_run, recipe=recipe)
    assert better.metrics == {"score": 0.9, "kept_round": 1}
    assert not same_weights(better.policy, tiny_run)
    assert load_policy(better.policy).training["phase"] == "ppo"


def test_the_folder_of_a_run_that_began_otherwise_is_refused(
    tiny_run: Path, source: TrainingSource, validation: list[TrainingSource], tmp_path: Path
) -> None:
    first = train([source], tmp_path / "first", validation=validation, start=tiny_run).policy
    other = load_recipe(None, {"imitation_epochs": "1"}, load_policy(tiny_run))
    with pytest.raises(PolicyError, match="holds a run of other settings"):
        train([source], first, validation=validation, recipe=other)


class TestRefusals:
    def test_another_network(self, tiny_run: Path, start: LoadedPolicy, source: TrainingSource, tmp_path: Path) -> None:
        wide = load_recipe(None, {"width": "32"}, start)
        with pytest.raises(RecipeError, match=r"network is another .* leave its settings out, or train --from none"):
            train([source], tmp_path / "run", start=tiny_run, recipe=wide)

    def test_a_folder_without_a_policy(self, source: TrainingSource, tmp_path: Path) -> None:
        with pytest.raises(PolicyError, match="holds no policy"):
            train([source], tmp_path / "run", start=tmp_path / "none")
        assert not (tmp_path / "run").exists()

    def test_nothing_to_go_on_from_and_no_rounds(
        self, source: TrainingSource, tiny_recipe: Recipe, tmp_path: Path
    ) -> None:
        nothing = tiny_recipe.model_copy(update={"imitation_epochs": 0, "ppo_iterations": 0})
        with pytest.raises(RecipeError, match=r"train nothing: .* or go on from a policy"):
            train([source], tmp_path / "run", recipe=nothing)

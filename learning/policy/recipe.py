"""A training recipe: one flat list of settings, from a TOML file, each with its default here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...agent._network_settings import NetworkSettings
from ...agent._policy_file import LoadedPolicy
from ...envs.settings import EnvironmentSettings
from ...errors import RecipeError

AVERAGE_DECAY = 0.99
"""Of the moving average of the weights, which is validated and kept."""

WEIGHT_DECAY = 1e-2
OWN_SHARE = 0.5
"""Share of the actions of imitation that the policy draws itself from half of the epochs on."""

CLIP_RANGE, VALUE_WEIGHT, GAE_LAMBDA = 0.2, 0.5, 0.95
BEAM_WIDTH = 2
"""Paths of a question that a beam search adds to those sampled."""

MOST_REPEATS = 4
"""How often a question of a small source may be repeated, so that several sources weigh more alike."""


class Recipe(BaseModel):
    """What a training depends on beside its questions; a recipe file names what differs from these defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # the environment: see EnvironmentSettings
    expand_size: int = Field(10, ge=1, le=100)
    pages: int = Field(2, ge=1, le=10)
    hop_size: int = Field(8, ge=1, le=1000)
    hop_depth: int = Field(1, ge=1, le=8)
    max_candidates: int = Field(64, ge=2, le=1000)
    max_evidence: int = Field(5, ge=1, le=50)
    max_steps: int = Field(24, ge=1, le=500)
    expand_lexical_ms: float = Field(1.0, ge=0)
    expand_dense_ms: float = Field(12.0, ge=0)
    expand_entity_ms: float = Field(0.5, ge=0)
    expand_docid_ms: float = Field(3.0, ge=0)
    expand_feedback_ms: float = Field(2.0, ge=0)
    hop_ms: float = Field(0.5, ge=0)
    take_ms: float = Field(1.0, ge=0)
    invalid_ms: float = Field(2.0, ge=0)
    price_per_ms: float = Field(0.015, ge=0)
    expand_everything: bool = False

    # the network: see NetworkSettings
    question_width: int = Field(24, ge=1)
    width: int = Field(64, ge=4)
    rounds: int = Field(2, ge=0, le=8)
    dropout: float = Field(0.2, ge=0, lt=1)
    embedding: bool = True
    fact_dropout: float = Field(0.2, ge=0, lt=1)
    known_dropout: float = Field(0.5, ge=0, le=1)

    # warm start
    imitation_epochs: int = Field(5, ge=0)
    imitation_learning_rate: float = Field(2e-3, gt=0)
    imitation_lanes: int = Field(32, ge=1)
    wide_share: float = Field(0.2, ge=0, le=1)
    wander: float = Field(0.2, ge=0, le=1)
    thorough: bool = True

    # PPO with marginal likelihood
    fresh_share: float = Field(0.4, ge=0, lt=1)
    """Share of the training questions that the warm start leaves to PPO: on questions that a policy has imitated for
    epochs it makes no mistakes, and PPO learns nothing from them about mistakes."""
    ppo_iterations: int = Field(12, ge=0)
    ppo_learning_rate: float = Field(1e-3, gt=0)
    ppo_lanes: int = Field(64, ge=1)
    ppo_steps: int = Field(48, ge=2)
    ppo_passes: int = Field(3, ge=1)
    minibatch: int = Field(512, ge=8)
    paths_per_question: int = Field(4, ge=1)
    entropy_weight: float = Field(0.01, ge=0)
    target_kl: float = Field(0.1, gt=0)
    beta: float = Field(0.02, ge=0)

    # the ranker
    ranker_steps: int = Field(300, ge=0)
    """Steps at least that fit the ranker to what the kept policy's searches see; 0 keeps what it began with, or none:
    passages then stand in the policy's own order."""

    # the reader
    reader_epochs: int = Field(7, ge=0)
    """Passes over the questions with answers that the built-in reader is trained with; 0 trains none."""

    # the questions
    epoch_questions: int = Field(0, ge=0)
    """Questions to an epoch of imitation at least: fewer are repeated until there are so many."""

    made_beside: int = Field(400, ge=0)
    """Questions to make from each corpus beside the labelled ones: a data set's questions seldom have all the shapes
    that others have."""

    made_questions: int = Field(1200, ge=20)
    """Questions to make from each corpus when there is no supervision; ``held_out`` of them are for validation."""

    # stopping
    held_out: float = Field(0.1, gt=0, lt=0.9)
    """Share of the training questions used for validation when none is given."""
    patience: int = Field(6, ge=1)
    """Rounds of PPO without a better validation score before training stops."""

    def environment(self) -> EnvironmentSettings:
        """Return the environment's part."""
        return EnvironmentSettings(**{f.name: getattr(self, f.name) for f in fields(EnvironmentSettings)})

    def network(self, question_dimension: int) -> NetworkSettings:
        """Return the network's part."""
        names = {f.name for f in fields(NetworkSettings)} - {"question_dimension", "fact_kinds", "fact_scale"}
        return NetworkSettings(question_dimension, **{name: getattr(self, name) for name in names})


def load_recipe(
    name_or_path: str | None = None, overrides: Mapping[str, str] | None = None, start: LoadedPolicy | None = None
) -> Recipe:
    """Load a recipe by name (of ``runs/recipes``) or path; ``overrides`` are settings as text.

    What goes on from the policy ``start`` has its environment and network, and no rounds, but as the recipe says.

    Raises:
        RecipeError: when there is no such recipe, or a setting is unknown or impossible.
    """
    settings: dict[str, Any] = {}
    if start is not None:
        described = {**asdict(start.settings), **asdict(start.architecture)}
        settings = {name: value for name, value in described.items() if name in Recipe.model_fields}
        settings |= {"imitation_epochs": 0, "ppo_iterations": 0, "reader_epochs": 0, "made_beside": 0}
    if name_or_path is not None:
        settings |= _read(name_or_path)
    return recipe_of(settings | dict(overrides or {}))


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe of some settings, given as values or as text.

    Raises:
        RecipeError: when a setting is unknown or impossible.
    """
    try:
        return Recipe.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = ", ".join(sorted(Recipe.model_fields))
            raise RecipeError(f"there is no setting {name!r}; a recipe may set {known}") from error
        raise RecipeError(f"setting {name} = {first['input']!r}: {first['msg']}") from error


def check(recipe: Recipe, seed: int, goes_on: bool) -> None:
    """Refuse a seed that is none, and a recipe that trains nothing where it does not go on from a policy.

    Raises:
        RecipeError: for either.
    """
    if not 0 <= seed < 2**63:
        raise RecipeError(f"the seed must be 0 or more and fit in 63 bits, not {seed}")
    if not goes_on and not recipe.imitation_epochs + recipe.ppo_iterations:
        raise RecipeError("imitation_epochs = 0 and ppo_iterations = 0 train nothing: set one, or go on from a policy")


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    folder = resources.files("trailhound") / "runs" / "recipes"
    return sorted(path.name[:-5] for path in folder.iterdir() if path.name.endswith(".toml"))


def _read(name_or_path: str) -> dict[str, Any]:
    path = Path(name_or_path)
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise RecipeError(f"there is no recipe file {path}")
        content = path.read_bytes()
    else:
        if name_or_path not in recipe_names():
            raise RecipeError(
                f"there is no recipe {name_or_path!r}: give a .toml file or one of {', '.join(recipe_names())}"
            )
        content = (resources.files("trailhound") / "runs" / "recipes" / f"{name_or_path}.toml").read_bytes()
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{name_or_path} is not TOML: {error}") from error

"""Recipes: those that come with the package load, and what cannot be set is named."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from trailhound import EnvironmentSettings, Recipe, load_recipe
from trailhound.agent._network import PolicyNetwork
from trailhound.agent._network_settings import NetworkSettings
from trailhound.envs.settings import QUESTION
from trailhound.errors import RecipeError
from trailhound.learning.policy.recipe import recipe_names

FOLDER = Path(__file__).parents[3] / "runs" / "recipes"
FRACTIONS = [name for name, field in Recipe.model_fields.items() if field.annotation is float]
NUMBERS = [name for name, field in Recipe.model_fields.items() if field.annotation in (int, float)]


def test_the_names_are_the_files() -> None:
    assert recipe_names() == sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert {"demo", "kg"} <= set(recipe_names())


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.toml")))
def test_every_recipe_loads_by_name_and_by_path(name: str) -> None:
    recipe = load_recipe(name)
    assert load_recipe(str(FOLDER / f"{name}.toml")) == recipe
    assert isinstance(recipe.environment(), EnvironmentSettings)
    PolicyNetwork(recipe.network(32))


def test_the_defaults_are_those_of_the_environment_and_the_network() -> None:
    assert load_recipe() == Recipe()
    assert Recipe().environment() == EnvironmentSettings()
    assert Recipe().network(len(QUESTION)) == NetworkSettings()


def test_every_part_of_the_recipe_arrives() -> None:
    recipe = Recipe(hop_size=3, take_ms=7.5, expand_everything=True, width=12, dropout=0.5)
    assert (recipe.environment().hop_size, recipe.environment().take_ms) == (3, 7.5)
    assert recipe.environment().expand_everything
    assert recipe.network(10) == NetworkSettings(10, width=12, dropout=0.5)
    assert {field.name for field in fields(EnvironmentSettings)} <= set(Recipe.model_fields)


def test_overrides_come_as_text_and_win(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("width = 32\nbeta = 0.5\n")
    recipe = load_recipe(str(path), {"width": "48", "expand_everything": "true", "imitation_learning_rate": "1e-4"})
    assert (recipe.width, recipe.beta, recipe.expand_everything) == (48, 0.5, True)
    assert recipe.imitation_learning_rate == 1e-4
    assert load_recipe("demo", {"ppo_steps": "7"}).ppo_steps == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", "many"),
        ("width", "3"),
        ("width", "12.5"),
        ("max_steps", "0"),
        ("dropout", "1"),
        ("dropout", "-0.1"),
        ("held_out", "0.95"),
        ("price_per_ms", "-1"),
        ("expand_everything", "perhaps"),
        ("minibatch", ""),
    ],
)
def test_an_impossible_setting_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(RecipeError, match=rf"setting {name} = '{value}': "):
        load_recipe(None, {name: value})


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("name", NUMBERS)
def test_no_number_may_be_infinite(name: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"setting {name} ="):
        load_recipe(None, {name: value})


def test_an_unknown_setting_is_named_beside_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no setting 'widht'; a recipe may set .*width"):
        load_recipe(None, {"widht": "3"})
    path = tmp_path / "mine.toml"
    path.write_text("[ppo]\niterations = 3\n")
    with pytest.raises(RecipeError, match="no setting 'ppo'"):
        load_recipe(str(path))


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe 'mine': give a \.toml file or one of demo, "):
        load_recipe("mine")
    with pytest.raises(RecipeError, match=r"no recipe file .*none\.toml"):
        load_recipe(str(tmp_path / "none.toml"))
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RecipeError, match="no recipe file"):
        load_recipe(str(tmp_path / "folder.toml"))


@pytest.mark.parametrize("content", [b"width = ", b"width: 3", b"\xff\xfew", b"width = 3\nwidth = 4\n"])
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"mine\.toml is not TOML"):
        load_recipe(str(path))


def test_a_file_of_any_name_and_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "recipe.txt"
    path.write_bytes(b"\xef\xbb\xbfwidth = 20\r\n")
    assert load_recipe(str(path)).width == 20


@given(st.sampled_from(FRACTIONS), st.floats(allow_nan=True))
def test_what_a_recipe_takes_the_environment_takes_too(name: str, value: float) -> None:
    try:
        recipe = load_recipe(None, {name: repr(value)})
    except RecipeError:
        return
    recipe.environment()


def test_a_recipe_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().width = 3


def test_a_folder_named_like_a_recipe_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever trains into ``demo/`` can still ask for the recipe ``demo`` from there."""
    (tmp_path / "demo").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_recipe("demo") == load_recipe(str(FOLDER / "demo.toml"))

"""What a sweep tries: ranges and lists, what cannot be tried, and the trials that are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound import Recipe
from trailhound.errors import RecipeError
from trailhound.learning.policy._tried import Range, check_comparable, trials_of, values_of

RECIPE = Recipe()


def test_a_range_and_a_list_are_read_by_the_kind_of_the_setting() -> None:
    tried = {"ppo_learning_rate": "1e-4..1e-2", "ppo_passes": "1..4", "width": "32, 64", "thorough": "true,false"}
    assert values_of(tried, RECIPE) == {
        "ppo_learning_rate": Range(1e-4, 1e-2, whole=False),
        "ppo_passes": Range(1, 4, whole=True),
        "width": (32, 64),
        "thorough": (True, False),
    }


@pytest.mark.parametrize(
    ("tried", "about"),
    [
        ({}, "nothing is tried"),
        ({"ppo_learning_rte": "1..2"}, "there is no setting 'ppo_learning_rte'; a recipe may set .*ppo_learning_rate"),
        ({"ppo_learning_rate": "0..1"}, "setting ppo_learning_rate = '0': Input should be greater than 0"),
        ({"dropout": "0.1..1"}, "setting dropout = '1': Input should be less than 1"),
        ({"width": "32..64.5"}, "setting width = '64.5'"),
        ({"width": "32.."}, "setting width = ''"),
        ({"width": "64..32"}, "width = 64..32 is a range that ends below its beginning"),
        ({"width": "64..64"}, "width = 64..64 names a value twice"),
        ({"width": "32,64,32"}, "names a value twice"),
        ({"width": "32"}, "width = 32 tries one value alone"),
        ({"thorough": "false..true"}, "thorough = false..true is a range, and it is either true or false"),
    ],
)
def test_what_cannot_be_tried_is_named(tried: dict[str, str], about: str) -> None:
    with pytest.raises(RecipeError, match=about):
        values_of(tried, RECIPE)


@pytest.mark.parametrize(
    ("name", "supervision", "validation", "goes_on", "about"),
    [
        ("price_per_ms", "passages", True, False, "price_per_ms changes what the validation score measures"),
        ("hop_ms", "passages", True, False, "hop_ms changes what the validation score measures"),
        ("held_out", "passages", True, False, "held_out changes what"),
        ("made_beside", "passages", False, False, "made_beside changes what"),
        ("reader_epochs", "answers", True, False, "reader_epochs changes what"),
        ("reader_epochs", "passages", True, False, "does not depend on reader_epochs"),
        ("ranker_steps", "passages", True, False, "does not depend on ranker_steps"),
        ("width", "passages", True, True, "width is the network's, and trials go on from a policy"),
    ],
)
def test_settings_whose_trials_no_score_compares(
    name: str, supervision: str, validation: bool, goes_on: bool, about: str
) -> None:
    with pytest.raises(RecipeError, match=about):
        check_comparable(["entropy_weight", name], supervision, validation, goes_on)


def test_the_others_may_be_tried() -> None:
    check_comparable(["entropy_weight", "made_beside", "width"], "passages", validation=True, goes_on=False)
    check_comparable(["ppo_iterations"], "answers", validation=False, goes_on=True)


def test_the_first_trial_is_the_recipe_and_a_seed_gives_the_same_trials() -> None:
    values = values_of({"ppo_learning_rate": "1e-4..1e-2", "width": "32,64"}, RECIPE)
    trials = trials_of(values, RECIPE, 8, seed=3)
    assert trials[0] == {"ppo_learning_rate": RECIPE.ppo_learning_rate, "width": RECIPE.width}
    assert trials == trials_of(values, RECIPE, 8, seed=3)
    assert trials[1:] != trials_of(values, RECIPE, 8, seed=4)[1:]
    assert len(trials) == 8


def test_a_range_is_covered_evenly_by_its_logarithm_where_it_is_wide() -> None:
    values = values_of({"ppo_learning_rate": "1e-4..1e-2", "dropout": "0.1..0.5"}, RECIPE)
    drawn = trials_of(values, RECIPE, 9, seed=0)[1:]
    by_logarithm = sorted((math.log10(trial["ppo_learning_rate"]) + 4) / 2 for trial in drawn)
    evenly = sorted((trial["dropout"] - 0.1) / 0.4 for trial in drawn)
    for shares in (by_logarithm, evenly):
        assert all(k / 8 - 0.01 <= share <= (k + 1) / 8 + 0.01 for k, share in enumerate(shares)), "one in each eighth"


def test_numbers_are_such_as_people_write() -> None:
    drawn = trials_of(values_of({"entropy_weight": "0..0.1"}, RECIPE), RECIPE, 20, seed=0)[1:]
    assert all(len(f"{trial['entropy_weight']:g}".lstrip("0.")) <= 3 for trial in drawn)


def test_fewer_trials_where_no_more_differ() -> None:
    trials = trials_of(values_of({"thorough": "true,false", "width": "32,64"}, RECIPE), RECIPE, 50, seed=0)
    assert len(trials) == 4
    assert {(trial["thorough"], trial["width"]) for trial in trials} == {
        (a, b) for a in (True, False) for b in (32, 64)
    }


def test_one_trial_is_no_sweep() -> None:
    with pytest.raises(RecipeError, match="two trials or more, not 1"):
        trials_of(values_of({"width": "32,64"}, RECIPE), RECIPE, 1, seed=0)


@given(st.integers(1, 50), st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_whole_numbers_stay_within_their_range(low: int, length: int, share: float) -> None:
    value = Range(low, low + length, whole=True).at(share)
    assert isinstance(value, int)
    assert low <= value <= low + length


def test_every_whole_number_of_a_short_range_is_as_likely() -> None:
    drawn = [Range(1, 4, whole=True).at(share) for share in np.linspace(0, 1, 400, endpoint=False).tolist()]
    assert {value: drawn.count(value) for value in (1, 2, 3, 4)} == {1: 100, 2: 100, 3: 100, 4: 100}

"""What a sweep tries: ranges and lists of settings of a recipe, and the trials that are drawn from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ...agent._network_settings import NetworkSettings
from ...errors import RecipeError
from .recipe import Recipe, recipe_of

_STREAM = 2**31 + 5
"""Sets the generator of trials apart from those of training's rounds, which are seeded by (seed, round)."""

_WIDE = 10.0
"""A range whose high end is so many times its low end is drawn from by the logarithm."""

_DIGITS = 3
"""Of the numbers drawn, so that people can read and write them."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both among them; by the logarithm where ``high`` is ten times ``low`` or more.

    Attributes:
        low, high: the ends.
        whole: whether there are only whole numbers.
    """

    low: float
    high: float
    whole: bool

    def at(self, share: float) -> float:
        """Return the number that a share of the range lies below; ``share`` is from 0 to 1."""
        # a whole number stands for everything that is rounded to it
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.low > 0 and self.high >= _WIDE * self.low:
            value = math.exp((1 - share) * math.log(low) + share * math.log(high))
        else:
            value = (1 - share) * low + share * high
        value = math.floor(value + 0.5) if self.whole else float(f"{value:.{_DIGITS}g}")
        return min(max(value, self.low), self.high)


Values = Range | tuple[Any, ...]
"""What is tried of one setting."""


def values_of(tried: Mapping[str, str], recipe: Recipe) -> dict[str, Values]:
    """Read what is tried of each setting: ``LOW..HIGH``, or two values or more with commas between them.

    Raises:
        RecipeError: when a setting is unknown or cannot have such a value, or nothing is tried.
    """
    if not tried:
        raise RecipeError("nothing is tried: name a setting with a range or values, as ppo_learning_rate=1e-4..1e-2")
    return {name: _values(name, text, recipe) for name, text in tried.items()}


def _values(name: str, text: str, recipe: Recipe) -> Values:
    low, dots, high = text.partition("..")
    parts = (low, high) if dots else tuple(text.split(","))
    values = tuple(getattr(recipe_of({**recipe.model_dump(), name: part.strip()}), name) for part in parts)
    if len(set(values)) < len(values):
        raise RecipeError(f"{name} = {text} names a value twice: name each once")
    if not dots and len(values) == 1:
        raise RecipeError(f"{name} = {text} tries one value alone: give a range as 1..5, several as 1,3, or set it")
    if not dots:
        return values
    if isinstance(values[0], bool):
        raise RecipeError(f"{name} = {text} is a range, and it is either true or false: write true,false")
    if values[0] > values[1]:
        raise RecipeError(f"{name} = {text} is a range that ends below its beginning: write the smaller end first")
    return Range(values[0], values[1], whole=isinstance(values[0], int))


def check_comparable(tried: Sequence[str], supervision: str, validation: bool, goes_on: bool) -> None:
    """Refuse settings whose trials no score could compare.

    Args:
        tried: names of settings.
        supervision: what teaches: ``passages`` or ``answers``.
        validation: whether there are questions for validation beside those to learn from.
        goes_on: whether trials go on from a policy.

    Raises:
        RecipeError: for the first of them.
    """
    measure = {name for name in Recipe.model_fields if name.endswith("_ms")}  # prices, which the score is less of
    measure |= {"price_per_ms", "held_out", "made_questions"} | (set() if validation else {"made_beside"})
    unseen = {"ranker_steps"}
    (measure if supervision == "answers" else unseen).add("reader_epochs")
    network = {field.name for field in fields(NetworkSettings)} if goes_on else set()
    for name in tried:
        if name in measure:
            raise RecipeError(f"{name} changes what the validation score measures, so its trials cannot be compared")
        if name in unseen:
            raise RecipeError(f"the validation score does not depend on {name}: set it for all trials")
        if name in network:
            raise RecipeError(f"{name} is the network's, and trials go on from a policy: leave it out, or begin anew")


def trials_of(values: Mapping[str, Values], recipe: Recipe, count: int, seed: int) -> list[dict[str, Any]]:
    """Return the settings of each trial, all different: first the recipe as it stands, then such as are drawn.

    The draws are a Latin hypercube: every setting's range is parted evenly, and each part is drawn from once (McKay,
    Beckman and Conover 1979, Technometrics 21(2)). There are fewer than ``count`` where no more can be found.

    Raises:
        RecipeError: when there are fewer than two trials.
    """
    if count < 2:
        raise RecipeError(f"a sweep compares two trials or more, not {count}")
    generator = np.random.default_rng([seed, _STREAM])
    trials = [{name: getattr(recipe, name) for name in values}]
    while len(trials) < count:
        parts = np.array([generator.permutation(count - 1) for _ in values])
        shares = (parts + generator.random(parts.shape)) / (count - 1)
        before = len(trials)
        for column in shares.T:
            drawn = {name: _drawn(values[name], share) for name, share in zip(values, column.tolist(), strict=True)}
            if drawn not in trials:
                trials.append(drawn)
        if len(trials) == before:
            break
    return trials[:count]


def _drawn(values: Values, share: float) -> Any:
    return values.at(share) if isinstance(values, Range) else values[int(share * len(values))]

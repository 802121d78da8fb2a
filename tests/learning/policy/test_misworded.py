"""The same question in other words: labels, vector and word pieces stay, and words find less."""

from __future__ import annotations

import numpy as np
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import SUB_INDEXES
from trailhound.learning.policy._misworded import misworded

LEXICAL, DENSE = SUB_INDEXES.index("lexical"), SUB_INDEXES.index("dense")


def found(worlds: list[QuestionWorld], sub_index: int) -> float:
    """Return the mean share of the labels among the first ten that a sub-index finds."""
    return float(np.mean([len(world.gold & set(world.seen(sub_index, ()).rows[:10].tolist())) for world in worlds]))


def test_words_find_less_and_the_vector_finds_the_same(worlds: list[QuestionWorld]) -> None:
    asked = misworded(worlds, np.random.default_rng(0))
    for world, original in zip(asked, worlds, strict=True):
        np.testing.assert_array_equal(world.view.vector, original.view.vector)
        assert (world.gold, world.meets) == (original.gold, original.meets)
        np.testing.assert_array_equal(world.form, original.form)
    changed = [world.view.text != original.view.text for world, original in zip(asked, worlds, strict=True)]
    assert sum(changed) > len(asked) / 2
    assert found(asked, DENSE) == found(worlds, DENSE)
    assert found(asked, LEXICAL) < found(worlds, LEXICAL) - 0.3


def test_the_generator_decides(worlds: list[QuestionWorld]) -> None:
    texts = [[world.view.text for world in misworded(worlds, np.random.default_rng(seed))] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]

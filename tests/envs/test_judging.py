"""A judge rewards instead of the labels; copied lanes go their own ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound import EnvironmentSettings, Index
from trailhound.envs._batch import SearchBatch
from trailhound.envs._question_set import QuestionSet
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import QUESTION

SETTINGS = EnvironmentSettings()


class Thirds:
    """Holds every passage to be worth a third, and the second one nothing more."""

    def __init__(self, rewards: bool = True) -> None:
        self.rewards = rewards
        self.asked: list[tuple[int, ...]] = []

    def log_likelihood(self, rows: tuple[int, ...]) -> float:
        return -1.0 / (1 + len(rows))

    def value(self, rows: tuple[int, ...]) -> float:
        self.asked.append(rows)
        return [0.0, 1 / 3, 1 / 3, 1.0][min(len(rows), 3)]


@pytest.fixture
def world(small_index: Index, corpus_folder: Path) -> QuestionWorld:
    return QuestionSet.load(small_index, corpus_folder, "train", SETTINGS).world(0)


def take_all(batch: SearchBatch, lane: int, count: int) -> list[float]:
    """Ask the lexical index, then take what stands first; returns the rewards of the takes without their price."""
    batch.act(lane, 1)
    first = batch.layout.take
    return [batch.act(lane, first + k)[0] + SETTINGS.take_ms * SETTINGS.price_per_ms for k in range(count)]


def test_the_reward_is_the_gain_in_what_the_judge_holds_of_the_evidence(world: QuestionWorld) -> None:
    world.judge = judge = Thirds()
    batch = SearchBatch(SETTINGS, 1, len(QUESTION))
    batch.start([0], [world])
    assert take_all(batch, 0, 3) == pytest.approx([1 / 3, 0, 2 / 3])
    taken = batch.lane(0).taken_rows
    assert judge.asked == [taken[:1], taken[:2], taken[:3]]


@pytest.mark.parametrize(("rewards", "judged"), [(False, True), (True, False)], ids=["paths alone", "not looked at"])
def test_otherwise_the_labels_reward(world: QuestionWorld, rewards: bool, judged: bool) -> None:
    world.judge = judge = Thirds(rewards)
    batch = SearchBatch(SETTINGS, 1, len(QUESTION), judged=judged)
    batch.start([0], [world])
    gains = take_all(batch, 0, 3)
    expected = [(row in world.gold) / len(world.gold) for row in batch.lane(0).taken_rows]
    assert gains == pytest.approx(expected)
    assert judge.asked == []


def test_other_gold_counts_from_now_on(world: QuestionWorld) -> None:
    batch = SearchBatch(SETTINGS, 1, len(QUESTION))
    batch.start([0], [world])
    batch.act(0, 1)
    chosen = world.rows[:2].tolist()
    world.set_gold(frozenset(chosen))
    assert world.is_gold.tolist() == [row in chosen for row in world.rows.tolist()]
    batch.start([0], [world])
    gains = take_all(batch, 0, 2)
    assert gains == pytest.approx([0.5 * (row in chosen) for row in batch.lane(0).taken_rows])


def test_a_copied_lane_is_a_search_of_its_own(world: QuestionWorld) -> None:
    batch = SearchBatch(SETTINGS, 3, len(QUESTION))
    for lane in (0, 2):
        batch.start([lane], [world])
        take_all(batch, lane, 1)
    batch.copy_lane(0, 1)
    following = int(np.flatnonzero(batch.mask[1, batch.layout.take :])[0]) + batch.layout.take
    batch.act(1, following)
    batch.act(1, 2)
    for name, array in batch.observation.items():
        np.testing.assert_array_equal(array[0], array[2], err_msg=f"the original was changed: {name}")
    np.testing.assert_array_equal(batch.mask[0], batch.mask[2])
    batch.act(2, following)
    batch.act(2, 2)
    for name, array in batch.observation.items():
        np.testing.assert_array_equal(array[1], array[2], err_msg=f"the copy is not what the actions lead to: {name}")
    assert batch.lane(1).spent == batch.lane(2).spent
    assert batch.lane(0).evidence == batch.lane(1).evidence[:1]

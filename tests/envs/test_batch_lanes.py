"""Episodes side by side do not meet: each sees what it would alone, over worlds that others have explored too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fixtures.searches import SETTINGS, Worlds, pick, same, snapshot, started
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import EnvironmentSettings
from trailhound.envs._batch import SearchBatch

Actions = Sequence[int]


def replay(batch: SearchBatch, lane: int, choices: Actions) -> list[Any]:
    """Act by ``choices``; return every observation, mask and reward as bytes."""
    seen: list[Any] = [snapshot(batch, lane)]
    for choice in choices:
        seen += [batch.act(lane, pick(batch, lane, choice)), snapshot(batch, lane)]
    return seen


def all_same(first: list[Any], second: list[Any]) -> bool:
    return len(first) == len(second) and all(
        same(one, other) if isinstance(one, dict) else one == other for one, other in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("chosen", SETTINGS)
@settings(max_examples=12, deadline=None)
@given(
    number=st.integers(0, 11),
    choices=st.lists(st.integers(0, 10**6), min_size=1, max_size=15),
    others=st.lists(st.lists(st.integers(0, 10**6), max_size=15), max_size=4),
)
def test_an_episode_does_not_depend_on_what_others_made_the_world_hold(
    fresh_worlds: Worlds, chosen: EnvironmentSettings, number: int, choices: Actions, others: list[Actions]
) -> None:
    fresh = replay(started(chosen, fresh_worlds.fresh(number, chosen)), 0, choices)
    used = fresh_worlds.fresh(number, chosen)
    for other in others:
        replay(started(chosen, used), 0, other)
    assert all_same(fresh, replay(started(chosen, used), 0, choices))


@pytest.mark.parametrize("chosen", SETTINGS)
def test_lanes_are_what_each_would_be_alone(fresh_worlds: Worlds, chosen: EnvironmentSettings) -> None:
    generator = np.random.default_rng(0)
    shared = [fresh_worlds.fresh(number % 4, chosen) for number in range(4)]
    numbers = [0, 1, 2, 3, 0, 0, 2]
    batch = started(chosen, *(shared[number] for number in numbers))
    alone = [started(chosen, fresh_worlds.fresh(number, chosen)) for number in numbers]
    for _ in range(chosen.max_steps):
        actions = [pick(batch, lane, int(generator.integers(10**6))) for lane in range(len(numbers))]
        rewards, ended = batch.step(actions)
        for lane, single in enumerate(alone):
            reward, end = single.act(0, actions[lane])
            assert (reward, end) == (rewards[lane], ended[lane])
            assert same(snapshot(batch, lane), snapshot(single, 0))
        for lane in np.flatnonzero(ended):
            batch.start([int(lane)], [shared[numbers[lane]]])
            alone[lane].start([0], [fresh_worlds.fresh(numbers[lane], chosen)])

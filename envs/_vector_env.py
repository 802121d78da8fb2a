"""The batched environment in the form that stable-baselines3 trains on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from ._batch import Observation, SearchBatch
from ._lane import Lane
from ._search_env import observation_space
from ._world import QuestionWorld
from .settings import EnvironmentSettings

READER_ERROR = 0.05
"""Chance that the coverage reader misjudges one supporting passage."""


def coverage_log_likelihood(found: int, missing: int, error: float = READER_ERROR) -> float:
    """Return log p(y | z, q) when the labels judge each supporting passage: right, but by ``error``, when taken."""
    return found * log(1 - error) + missing * log(error)


def log_reader(state: Lane) -> float:
    """Return log p(y | z, q) of the evidence of an episode: from the question's judge, or else from the labels."""
    judge = state.world.judge
    if judge is not None:
        return judge.log_likelihood(state.taken_rows)
    return coverage_log_likelihood(state.found_gold, len(state.world.gold) - state.found_gold)


@dataclass(slots=True)
class Peak:
    """Where an episode's evidence has been worth most so far, to whoever reads it: log p(y | z, q) after ``steps``."""

    log_reader: float
    steps: int = 0

    @classmethod
    def of(cls, state: Lane) -> Peak:
        """Return the peak of an episode that begins."""
        return cls(log_reader(state))

    def update(self, state: Lane) -> None:
        """Look at an episode that has taken a passage."""
        worth = log_reader(state)
        if worth > self.log_reader:
            self.log_reader, self.steps = worth, state.steps


@dataclass(frozen=True, slots=True)
class Finished:
    """Where a finished episode stands in a rollout: steps ``first`` to ``last`` of ``lane``, and what it found.

    ``peak`` is where its evidence was worth most; ``total_reward`` is the return.
    """

    question: int
    lane: int
    first: int
    last: int
    peak: Peak
    total_reward: float


class SearchVecEnv(VecEnv):
    """Lanes of searches; each question is searched ``repeats`` times, so that its paths can be compared."""

    def __init__(
        self,
        worlds: Sequence[QuestionWorld],
        settings: EnvironmentSettings,
        dimension: int,
        lanes: int,
        repeats: int,
    ) -> None:
        self.worlds = worlds
        self.batch = SearchBatch(settings, lanes, dimension)
        self.numbers = np.zeros(lanes, np.int64)
        """Question of each lane, its number among ``worlds``."""
        self.finished: list[Finished] = []
        """Episodes finished since the last reset."""
        self._steps = 0
        self._first = np.zeros(lanes, np.int64)
        self._repeats = repeats
        self._order: Iterator[int] = iter(())
        self._generator = np.random.default_rng(0)
        self._actions = np.zeros(lanes, np.int64)
        self._peaks: dict[int, Peak] = {}
        self._returns = np.zeros(lanes)
        self._lengths = np.zeros(lanes, np.int64)
        passages = max(len(world.index) for world in worlds)
        super().__init__(
            lanes,
            observation_space(settings, dimension, passages),
            spaces.Discrete(self.batch.layout.size),
        )

    def reshuffle(self, seed: int) -> None:
        """Draw a new order of questions; takes effect at the next reset."""
        self._generator = np.random.default_rng(seed)
        self._order = iter(())

    def reset(self) -> Observation:
        """Begin an episode in every lane, and a new rollout."""
        self.finished = []
        self._steps = 0
        self._start(range(self.num_envs))
        return self._observe()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Note the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> tuple[Observation, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Take the noted actions; lanes whose episode ended begin a new one."""
        gains, ended = self.batch.step(self._actions.tolist())
        rewards = gains.astype(np.float32)
        for lane in np.flatnonzero(self._actions >= self.batch.layout.take).tolist():
            self._peaks[lane].update(self.batch.lane(lane))
        self._returns += rewards
        self._lengths += 1
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for lane in np.flatnonzero(ended).tolist():
            infos[lane]["episode"] = {"r": float(self._returns[lane]), "l": int(self._lengths[lane])}
            question, first, total = int(self.numbers[lane]), int(self._first[lane]), float(self._returns[lane])
            self.finished.append(Finished(question, lane, first, self._steps, self._peaks[lane], total))
        self._start(np.flatnonzero(ended).tolist(), self._steps + 1)
        self._steps += 1
        return self._observe(), rewards, ended, infos

    def env_method(
        self, method_name: str, *args: object, indices: Any = None, **kwargs: object
    ) -> list[NDArray[np.bool_]]:
        """Answer ``action_masks``, the one method that sb3-contrib asks of the lanes."""
        if method_name != "action_masks":
            raise AttributeError(f"a lane of SearchVecEnv has no method {method_name!r}")
        return list(self.batch.mask.copy())

    def has_attr(self, attr_name: str) -> bool:
        """Return whether lanes have an attribute; ``action_masks`` is how masking is recognised."""
        return attr_name in {"action_masks", "render_mode"}

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of every lane; only ``render_mode`` (None) is there."""
        if attr_name != "render_mode":
            raise AttributeError(f"a lane of SearchVecEnv has no attribute {attr_name!r}")
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: object, indices: Any = None) -> None:
        """Refuse: lanes have no attributes to set."""
        raise AttributeError(f"a lane of SearchVecEnv has no attribute {attr_name!r}")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Return False for every lane: none is wrapped."""
        return [False] * self.num_envs

    def close(self) -> None:
        """Nothing to release: the indexes belong to whoever opened them."""

    def _start(self, lanes: Sequence[int], step: int = 0) -> None:
        for lane in lanes:
            self.numbers[lane] = self._next_question()
            self._returns[lane] = 0
            self._lengths[lane] = 0
            self._first[lane] = step
        self.batch.start(lanes, [self.worlds[self.numbers[lane]] for lane in lanes])
        for lane in lanes:
            self._peaks[lane] = Peak.of(self.batch.lane(lane))

    def _next_question(self) -> int:
        number = next(self._order, None)
        if number is None:
            order = self._generator.permutation(len(self.worlds)).repeat(self._repeats)
            self._order = iter(order.tolist())
            number = next(self._order)
        return number

    def _observe(self) -> Observation:
        # copies: stable-baselines3 keeps the last observation while the next step changes the arrays
        return {name: array.copy() for name, array in self.batch.observation.items()}

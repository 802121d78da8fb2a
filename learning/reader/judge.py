"""A reader as the judge of a question's evidence: what rewards a search when only the answer is known."""

from __future__ import annotations

from collections.abc import Sequence

from ...agent.reader.protocol import Reader, ReadingTask
from ...envs.world import QuestionWorld

WORST = -2.0
LEAST_DOUBT = 0.5
"""Nats of doubt before any evidence that a gain is measured against at least: a question that gives its answer away
should not make much of little."""


class ReaderJudge:
    """Judges evidence by ``log p(y | z, q)``, each sequence of rows once.

    Args:
        reader: any reader.
        world: of a question with an answer.
        rewards: whether the judge also rewards episodes, in place of recall.
    """

    def __init__(self, reader: Reader, world: QuestionWorld, rewards: bool = True) -> None:
        if world.answer is None:
            raise ValueError(f"the question {world.view.text!r} has no answer to judge evidence by")
        self.rewards = rewards
        self._reader = reader
        self._world = world
        self._answer = world.answer
        self._known: dict[tuple[int, ...], float] = {}

    def log_likelihood(self, rows: tuple[int, ...]) -> float:
        """Return log p(y | z, q) of a path that took ``rows`` in this order; at most 0."""
        if rows not in self._known:
            self.read_all([rows])
        return self._known[rows]

    def read_all(self, sequences: Sequence[tuple[int, ...]]) -> None:
        """Read several sequences of rows in one batch."""
        new = [rows for rows in dict.fromkeys(sequences) if rows not in self._known]
        tasks = [self._task(rows) for rows in new]
        self._known.update(zip(new, self._reader.log_likelihoods(tasks).tolist(), strict=True))

    def value(self, rows: tuple[int, ...]) -> float:
        """Return the share of the doubt without evidence that ``rows`` take away: 1 for all of it, WORST at least."""
        doubt = -self.log_likelihood(())
        gain = doubt + self.log_likelihood(rows)
        return max(gain / max(doubt, LEAST_DOUBT), WORST)

    def _task(self, rows: tuple[int, ...]) -> ReadingTask:
        passages = tuple(self._world.index.store.passages(list(rows)))
        return ReadingTask(self._world.view.text, self._answer, passages)

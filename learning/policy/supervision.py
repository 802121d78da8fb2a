"""What a run learns from: labelled passages, or answers alone; and the reader that it trains and judges paths with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...agent.reader.extractive import has_reader, save_reader
from ...agent.reader.opening import open_reader
from ...agent.reader.protocol import Reader
from ...envs.world import QuestionWorld
from ...errors import QuestionsError, RecipeError
from ...retrievers.protocols import Progress
from ..reader.examples import reading_example
from ..reader.judge import ReaderJudge
from ..reader.reader_training import calibrate, train_reader
from .answer_supervision import AnswerSupervision

SUPERVISIONS = ("passages", "answers")


class Supervision:
    """Prepares the questions of a run.

    Args:
        kind: one of ``SUPERVISIONS``.
        reader: what the user calls the reader that judges paths; None for the default of the kind.
        folder: of the run.
        epochs: that a reader is trained for; 0 trains none.
        seed: of everything random.

    Attributes:
        answers: the likely evidence of every question, where only answers are known.
        labels: whether labels may be looked at.
        wants: what a question must have, in words.

    Raises:
        RecipeError: when there is no such supervision, or it cannot do without what is missing.
    """

    def __init__(self, kind: str, reader: str | None, folder: Path, epochs: int, seed: int) -> None:
        if kind not in SUPERVISIONS:
            raise RecipeError(f"there is no supervision {kind!r}: choose one of {', '.join(SUPERVISIONS)}")
        self.labels = kind == "passages"
        self.wants = "supporting passages in the index" if self.labels else "answers"
        named = None if reader == "coverage" else reader
        if not self.labels and reader == "coverage":
            raise RecipeError("the reader 'coverage' reads labels, and supervision by answers has none: choose another")
        if not self.labels and named is None and not epochs:
            raise RecipeError("supervision by answers needs a reader: set reader_epochs above 0, or give one")
        self._describe = {"supervision": kind, "reader": reader}
        self._reader: Reader | None = None if named is None else open_reader(named)
        self._folder, self._epochs, self._seed = folder, epochs, seed
        self.answers = None if self.labels else AnswerSupervision(folder, epochs, seed, self._reader)

    def describe(self) -> dict[str, Any]:
        """Return what is noted of it in the run's description."""
        return self._describe

    def teaches(self, world: QuestionWorld) -> bool:
        """Return whether a question has what is learned from."""
        return bool(world.gold) if self.labels else bool(world.answer)

    def prepare(
        self, worlds: list[QuestionWorld], held_out: Sequence[QuestionWorld], progress: Progress | None
    ) -> list[QuestionWorld]:
        """Train the run's reader, unless it is there, and set the judges; returns the questions to learn from."""
        if self.answers is not None:
            self.answers.prepare(worlds, held_out, progress)
            known = [world for world in worlds if self.answers.of(world) is not None]
            if not known:
                raise QuestionsError("no passage in reach of the questions holds their answers: nothing can be learned")
            return known
        if self._epochs and not has_reader(self._folder):
            self._train_reader(worlds, held_out, progress)
        for world in worlds:
            if self._reader is not None and world.answer is not None:
                world.judge = ReaderJudge(self._reader, world, rewards=False)
        return worlds

    def drawn(self, worlds: list[QuestionWorld], generator: np.random.Generator) -> list[QuestionWorld]:
        """Return the questions of an epoch of imitation, with evidence drawn for those whose evidence is latent."""
        return worlds if self.answers is None else self.answers.draw(worlds, generator)

    def _train_reader(
        self, worlds: Sequence[QuestionWorld], held_out: Sequence[QuestionWorld], progress: Progress | None
    ) -> None:
        examples = [example for world in worlds if (example := reading_example(world, world.gold)) is not None]
        if not examples:
            return
        done = None if progress is None else (lambda number: progress("reading", number, len(examples)))
        reader = train_reader(examples, self._epochs, self._seed, done=done)
        others = [example for world in held_out if (example := reading_example(world, world.gold)) is not None]
        calibrate(reader, others, self._seed)
        save_reader(self._folder, reader, {**self._describe, "questions": len(examples), "seed": self._seed})

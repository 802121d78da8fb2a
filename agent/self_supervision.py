"""Training without questions: the program makes its own from each corpus, and keeps them in the folder of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..envs.self_questions.files import TRAIN, VALIDATION, are_written, write_questions
from ..envs.self_questions.making import make_questions
from ..errors import QuestionsError
from ..graph.index import Index
from ..retrievers.protocols import Progress
from .recipe import Recipe
from .training_questions import TrainingSource

_FOLDER = "questions"
_STREAM = 2**31 + 1
"""Sets the generator of questions apart from those of training's rounds, which are seeded by (seed, round)."""


def made_sources(
    indexes: Sequence[Index], out: Path, recipe: Recipe, seed: int, progress: Progress | None = None
) -> tuple[list[TrainingSource], list[TrainingSource]]:
    """Make questions over every index, ``recipe.made_questions`` each, and return them for training and validation.

    They are written to ``out/questions`` in BEIR's layout, so that people can read them and a run that goes on
    finds them again; with several indexes to ``out/questions/0`` and so on.

    Raises:
        QuestionsError: when a corpus yields too few questions, or is a knowledge graph.
    """
    sources: list[TrainingSource] = []
    validation: list[TrainingSource] = []
    for number, index in enumerate(indexes):
        if index.facts is not None:
            raise QuestionsError(
                f"{index.path} is a knowledge graph, and its facts are its questions:"
                " train with --questions (the folder of its graph.txt) and --split train"
            )
        folder = out / _FOLDER if len(indexes) == 1 else out / _FOLDER / str(number)
        if not are_written(folder):
            rng = np.random.default_rng([seed, _STREAM, number])
            made = make_questions(index, recipe.made_questions, rng, progress)
            write_questions(made, folder, recipe.held_out, rng)
        sources.append(TrainingSource(index, folder, TRAIN))
        validation.append(TrainingSource(index, folder, VALIDATION))
    return sources, validation

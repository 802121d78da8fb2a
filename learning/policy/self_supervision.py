"""Training without questions, or with more: the program makes its own from each corpus, and keeps them in the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import QuestionsError
from ...index.index import Index
from ...retrievers.protocols import Progress
from ..made_questions.making import LEAST_NAMING, TRAIN, VALIDATION, make_questions
from ..training_questions import TrainingSource
from .recipe import Recipe

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
        _make(index, folder, recipe.made_questions, recipe.held_out, [seed, _STREAM, number], progress)
        sources.append(TrainingSource(index, folder, TRAIN))
        validation.append(TrainingSource(index, folder, VALIDATION))
    return sources, validation


def sources_beside(
    sources: Sequence[TrainingSource], out: Path, recipe: Recipe, seed: int, progress: Progress | None = None
) -> list[TrainingSource]:
    """Make ``recipe.made_beside`` questions over each index of labelled questions, and return them for training.

    They are written to ``out/made-0`` and so on. Indexes whose passages do not name one another are left alone: what
    can be made there has no shape that labelled questions lack.
    """
    made = []
    for number, index in enumerate({id(source.index): source.index for source in sources}.values()):
        if index.facts is None and np.count_nonzero(index.graph.out_degree) / len(index) >= LEAST_NAMING:
            folder = out / f"made-{number}"
            _make(index, folder, recipe.made_beside, recipe.held_out, [seed, _STREAM + 1, number], progress)
            made.append(TrainingSource(index, folder, TRAIN))
    return made


def _make(
    index: Index, folder: Path, count: int, held_out: float, stream: Sequence[int], progress: Progress | None
) -> None:
    """Make questions and write them, unless they are there."""
    if not (folder / "queries.jsonl").is_file():  # it is written last
        rng = np.random.default_rng(stream)
        make_questions(index, count, rng, progress).write(folder, held_out, rng)

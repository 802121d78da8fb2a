"""The questions of a training run: where they come from, which are set aside, how often each is repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..envs._world import QuestionWorld
from ..index.index import Index

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """Labelled questions over an index: ``questions/queries.jsonl`` and ``questions/qrels/SPLIT.tsv``."""

    index: Index
    questions: Path
    split: str

    def describe(self) -> dict[str, Any]:
        """Say what it is, without saying where it lies."""
        return {"questions": Path(self.questions).name, "split": self.split, "passages": len(self.index)}


def drawn_out(questions: Sequence[T], count: int, generator: np.random.Generator) -> tuple[list[T], list[T]]:
    """Draw ``count`` of the questions; returns those that are left, and those drawn, each in their order."""
    drawn = set(generator.permutation(len(questions))[:count].tolist())
    return (
        [question for k, question in enumerate(questions) if k not in drawn],
        [question for k, question in enumerate(questions) if k in drawn],
    )


def balanced(worlds: Sequence[QuestionWorld], most_repeats: int) -> list[QuestionWorld]:
    """Repeat the questions of small sources, each at most ``most_repeats`` times, so that sources weigh more alike."""
    sizes = Counter(id(world.index) for world in worlds)
    largest = max(sizes.values())
    return [world for world in worlds for _ in range(min(most_repeats, round(largest / sizes[id(world.index)])))]

"""What every reader can do: say how likely an answer is, given the question and the evidence in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...retrievers.records import Passage


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """A question, an answer to judge, and the evidence in the order it was found."""

    question: str
    answer: str
    passages: tuple[Passage, ...]


class Reader(Protocol):
    """Judges answers: ``p(y | z, q)`` of a path ``z`` that found some evidence.

    Contract, held by ``tests/agent/reading/test_contract.py``: a log-likelihood is finite and at most 0, does not
    depend on what else is in the batch, and is the same every time.
    """

    name: str
    """What to tell the user."""

    def log_likelihoods(self, tasks: Sequence[ReadingTask]) -> NDArray[np.float64]:
        """Return log p(answer | question, evidence) of every task, float64 [n]."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that a reader found.

    Attributes:
        text: as the passage or the question writes it.
        probability: that the reader gives it among all it considered.
        passage: id of the passage it was read in; None for one that no passage writes out (yes, no, a choice).
        start, end: its place in that passage's text; 0 and 0 without a passage.
    """

    text: str
    probability: float
    passage: str | None = None
    start: int = 0
    end: int = 0


class AnsweringReader(Reader, Protocol):
    """A reader that also answers."""

    def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        """Return the most probable answer, None when there is nothing to choose from."""
        ...

"""The labels as a reader: an answer is as likely as its supporting passages are found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..path_likelihood import coverage_log_likelihood
from .protocol import ReadingTask


class CoverageReader:
    """Knows the supporting passages of every question, and judges a path by how many of them it found.

    Args:
        supporting: ids of the supporting passages, by the question's text.
    """

    name = "coverage of labelled evidence"

    def __init__(self, supporting: Mapping[str, Collection[str]]) -> None:
        self._supporting = {question: frozenset(passages) for question, passages in supporting.items()}

    def log_likelihoods(self, tasks: Sequence[ReadingTask]) -> NDArray[np.float64]:
        """Return log p(answer | question, evidence) of every task, float64 [n]; 0 for a question without labels."""
        out = np.zeros(len(tasks), np.float64)
        for k, task in enumerate(tasks):
            supporting = self._supporting.get(task.question, frozenset())
            found = len(supporting.intersection(passage.id for passage in task.passages))
            out[k] = coverage_log_likelihood(found, len(supporting) - found)
        return out

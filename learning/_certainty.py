"""Fits how sure a reader can be of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..agent.reader._certainty import Certainty, signals_of
from ..agent.reader._extractive import ExtractiveReader
from ..agent.reader._protocol import exact_match
from ..retrievers._calibration import fit_curve
from ..retrievers.records import Passage


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer that was judged: what it looked like, and whether it was right."""

    signals: NDArray[np.float64]
    right: bool


def judge(reader: ExtractiveReader, question: str, passages: Sequence[Passage], answer: str | None) -> Judged | None:
    """Return how a reader answers and whether it is right; never where there is no answer (None)."""
    reading = reader.read(question, passages)
    if not reading.total:
        return None
    at = reading.likeliest
    chosen = reading.candidates.answers[at]
    signals = signals_of(question, reading.candidates, reading.probabilities, reading.total, at)
    return Judged(signals, answer is not None and exact_match(chosen, answer) == 1)


PRIOR = 10.0
"""Precision of the prior of the curve's weights."""


def fit_certainty(judged: Sequence[Judged]) -> Certainty:
    """Fit the chance of being right to answers that were not learned, right ones and wrong ones."""
    signals, right = np.stack([one.signals for one in judged]), np.array([one.right for one in judged])
    return Certainty(fit_curve(signals, _targets(right), PRIOR))


def _targets(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return chances to fit to: some wrong answers do not make it certain that all are (Platt 1999, section 2.2)."""
    count = int(right.sum())
    return np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))

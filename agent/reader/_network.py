"""The reader's network in numpy: small perceptrons that score candidates, and whose scores are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._candidate_features import FEATURES, SLOTS, AnswerCandidates
from ._passage_analysis import DIMENSION

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Sizes of the network.

    Attributes:
        word_width: dimensions in which words of the question and of a candidate's surroundings are compared.
        width: of the hidden layers.
        dropout: share of hidden units left out in training.
    """

    word_width: int = 24
    width: int = 64
    dropout: float = 0.3


@dataclass(frozen=True, slots=True)
class CandidateBatch:
    """The candidates of several questions, n of them all together, as a network wants them.

    Attributes:
        features: float32 [n, len(FEATURES)].
        words: float32 [n, len(SLOTS), DIMENSION].
        questions: word vectors of the questions, float32 [q, DIMENSION].
        owner: question of every candidate, int64 [n].
    """

    features: NDArray[np.float32]
    words: NDArray[np.float32]
    questions: NDArray[np.float32]
    owner: NDArray[np.int64]

    @classmethod
    def of(cls, candidates: Sequence[AnswerCandidates]) -> CandidateBatch:
        """Collect the candidates of several questions."""
        owner = np.repeat(np.arange(len(candidates)), [len(c.answers) for c in candidates])
        features = np.concatenate([c.features for c in candidates])
        words = np.concatenate([c.words for c in candidates]).astype(np.float32)
        return cls(features, words, np.stack([c.question for c in candidates]), owner)


class ReaderNetwork:
    """Scores candidates by their features, their surroundings, and how these agree with the question.

    Its members were trained from different beginnings; what they agree in is right more often than what one says
    (Lakshminarayanan et al. 2017, arXiv:1612.01474).

    Args:
        settings: sizes of every member.
        members: weights of each, as :func:`shapes` names them.
        temperature: that scores are divided by.
    """

    def __init__(self, settings: ReaderSettings, members: Sequence[Weights], temperature: float = 1.0) -> None:
        self.settings = settings
        self.members = tuple(members)
        self.temperature = temperature

    def scores(self, batch: CandidateBatch) -> NDArray[np.float32]:
        """Return the score of every candidate, float32 [n]."""
        total = np.sum([_scores(weights, batch) for weights in self.members], axis=0)
        return np.asarray(total / np.float32(len(self.members) * self.temperature), np.float32)


def _scores(w: Weights, batch: CandidateBatch) -> NDArray[np.float32]:
    asked = np.tanh(_linear(batch.questions, w, "question"))[batch.owner]  # [n, w]
    around = np.tanh(np.matmul(batch.words.transpose(1, 0, 2), w["slots"])).transpose(1, 0, 2)  # [n, s, w]
    agreement = around * asked[:, None]
    flat = (len(asked), -1)
    inputs = ((batch.features - w["mean"]) / w["scale"], asked, around.reshape(flat), agreement.reshape(flat))
    hidden = np.maximum(_linear(np.concatenate(inputs, axis=1), w, "hidden.0"), 0)
    hidden = np.maximum(_linear(hidden, w, "hidden.3"), 0)
    return _linear(hidden, w, "out")[:, 0]


def shapes(settings: ReaderSettings) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of a member."""
    w, features, width = settings.word_width, len(FEATURES), settings.width
    found: dict[str, tuple[int, ...]] = {"slots": (len(SLOTS), DIMENSION, w), "mean": (features,), "scale": (features,)}
    found |= _layer("question", DIMENSION, w)
    found |= _layer("hidden.0", features + w + 2 * len(SLOTS) * w, width)
    return found | _layer("hidden.3", width, width) | _layer("out", width, 1)


def _layer(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _linear(x: NDArray[np.float32], weights: Weights, name: str) -> NDArray[np.float32]:
    return np.asarray(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])


def log_softmax_by_owner(scores: NDArray[np.float32], owner: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the log-probability of every candidate [n] among those of its question; ``owner`` ascends."""
    wide = scores.astype(np.float64)
    firsts = np.flatnonzero(np.diff(owner, prepend=-1))
    counts = np.diff(firsts, append=len(owner))
    shifted = wide - np.repeat(np.maximum.reduceat(wide, firsts), counts)
    return np.asarray(shifted - np.repeat(np.log(np.add.reduceat(np.exp(shifted), firsts)), counts))

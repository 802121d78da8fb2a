"""The reader's network in numpy: a small perceptron that scores candidates, with or without a close reading of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._candidate_features import FEATURES, SLOTS, AnswerCandidates
from ._passage_analysis import DIMENSION

Weights = Mapping[str, NDArray[np.float32]]

STATE = 384
"""Dimensions of the states that the encoder gives to word pieces."""


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Sizes of the network.

    Attributes:
        word_width: dimensions in which words of the question and of a candidate's surroundings are compared.
        width: of the hidden layers.
        dropout: share of hidden units left out in training.
        state_width: dimensions that are read of the states at a candidate's first and last word piece; 0 for a network
            that never reads question and passages together.
    """

    word_width: int = 24
    width: int = 64
    dropout: float = 0.3
    state_width: int = 0


@dataclass(frozen=True, slots=True)
class States:
    """What the encoder makes of a question and its passages when it reads them together.

    Attributes:
        states: of every word piece, [t, STATE]; the first is that of the whole.
        spans: first and last word piece of every candidate, int64 [n, 2]; 0 where it is not among those read.
        read: whether it is, float32 [n].
    """

    states: NDArray[np.floating]
    spans: NDArray[np.int64]
    read: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CandidateBatch:
    """The candidates of several questions, n of them all together, as a network wants them.

    Attributes:
        features: float32 [n, len(FEATURES)].
        words: float32 [n, len(SLOTS), DIMENSION].
        questions: word vectors of the questions, float32 [q, DIMENSION].
        owner: question of every candidate, int64 [n].
        states: of all questions' word pieces, float32 [t, STATE]; None without a close reading.
        spans: places of every candidate's first and last piece among them, and of its question's first, int64 [n, 3].
        read: float32 [n].
    """

    features: NDArray[np.float32]
    words: NDArray[np.float32]
    questions: NDArray[np.float32]
    owner: NDArray[np.int64]
    states: NDArray[np.float32] | None = None
    spans: NDArray[np.int64] | None = None
    read: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, candidates: Sequence[AnswerCandidates], states: Sequence[States] | None = None) -> CandidateBatch:
        """Collect the candidates of several questions, with the states of each where they were read together."""
        owner = np.repeat(np.arange(len(candidates)), [len(c.answers) for c in candidates])
        features = np.concatenate([c.features for c in candidates])
        words = np.concatenate([c.words for c in candidates]).astype(np.float32)
        questions = np.stack([c.question for c in candidates])
        if states is None:
            return cls(features, words, questions, owner)
        firsts = np.cumsum([0, *(len(one.states) for one in states[:-1])])
        spans = [
            np.column_stack((one.spans + first, np.full(len(one.spans), first)))
            for one, first in zip(states, firsts.tolist(), strict=True)
        ]
        pieces = np.concatenate([one.states for one in states]).astype(np.float32)
        read = np.concatenate([one.read for one in states])
        return cls(features, words, questions, owner, pieces, np.concatenate(spans), read)


class ReaderNetwork:
    """Scores candidates by their features, their surroundings, and how these agree with the question.

    With a close reading it also sees the encoder's states at the candidate's ends, and of question and passages as a
    whole.

    Args:
        settings: sizes.
        weights: as :func:`shapes` names them.
    """

    def __init__(self, settings: ReaderSettings, weights: Weights) -> None:
        self.settings = settings
        self.weights = dict(weights)

    def cool(self, temperature: float) -> None:
        """Divide every score by a temperature."""
        self.weights["temperature"] = np.array(temperature, np.float32)

    def scores(self, batch: CandidateBatch) -> NDArray[np.float32]:
        """Return the score of every candidate, float32 [n]."""
        w = self.weights
        asked = np.tanh(_linear(batch.questions, w, "question"))[batch.owner]  # [n, w]
        around = np.tanh(np.matmul(batch.words.transpose(1, 0, 2), w["slots"])).transpose(1, 0, 2)  # [n, s, w]
        agreement = around * asked[:, None]
        flat = (len(asked), -1)
        inputs = [(batch.features - w["mean"]) / w["scale"], asked, around.reshape(flat), agreement.reshape(flat)]
        direct = np.float32(0)
        if self.settings.state_width:
            assert batch.states is not None
            assert batch.spans is not None
            assert batch.read is not None
            for place, name in enumerate(("first", "last", "whole")):
                at = batch.spans[:, place]
                kept, back = np.unique(at, return_inverse=True)  # candidates share their ends
                inputs.append(np.tanh(_linear(batch.states[kept], w, name))[back])
            inputs.append(batch.read[:, None])
            ends = batch.states @ w["ends"]  # [t, 2]
            direct = batch.read * (ends[batch.spans[:, 0], 0] + ends[batch.spans[:, 1], 1])
        hidden = np.maximum(_linear(np.concatenate(inputs, axis=1), w, "hidden.0"), 0)
        hidden = np.maximum(_linear(hidden, w, "hidden.3"), 0)
        scores = (_linear(hidden, w, "out")[:, 0] + direct) / w["temperature"]
        return np.asarray(scores, np.float32)


def shapes(settings: ReaderSettings) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of a network."""
    w, s, inputs = settings.word_width, settings.state_width, len(FEATURES)
    found: dict[str, tuple[int, ...]] = {
        "slots": (len(SLOTS), DIMENSION, w),
        "mean": (inputs,),
        "scale": (inputs,),
        "temperature": (),
        **_layer("question", DIMENSION, w),
    }
    inputs += w + 2 * len(SLOTS) * w
    if s:
        found |= _layer("first", STATE, s) | _layer("last", STATE, s) | _layer("whole", STATE, s) | {"ends": (STATE, 2)}
        inputs += 3 * s + 1
    width = settings.width
    return found | _layer("hidden.0", inputs, width) | _layer("hidden.3", width, width) | _layer("out", width, 1)


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

"""How sure a search is: that its first passages hold all the evidence, and of each that it supports the question.

Whichever system ranked, and whatever the corpus and the encoder: see :mod:`~trailhound.agent._search_signals`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..retrievers._calibration import LogisticCurve, fit_curve
from ._rollout import Outcome
from ._search_signals import SIGNALS

OF_A_PASSAGE = (
    "sure",  # log-odds of the search's confidence
    "rank",  # log(1 + rank), from 0
    "first",  # whether it stands first
    "taken",  # whether the policy took it
    "below",  # how far its score lies below the best; of a fixed system, whose scores are ranks, 0
)
"""What a passage of a ranking is judged by."""

MOSTLY = 0.75
"""Share of the questions asked that a corpus answers. Of those learned from it is about half, so that both kinds are
known equally well; what the curve says is moved to this share (King and Zeng 2001, "Logistic Regression in Rare Events
Data", section 4.1)."""

LISTED = 20
"""Passages of a ranking from which it is learned which ones support a question."""

KEPT = 0.95
"""Share of the questions with an answer in the corpus that lie above the threshold."""

PRECISION = 3.0
"""Of the normal prior of each weight, over standardised signals."""


def listed(outcome: Outcome) -> NDArray[np.float64]:
    """Return the signals of the passages of a policy's ranking, but for how sure the search is: float64 [m, 4]."""
    signals = listed_by_rank(len(outcome.ranking))
    signals[:, 2] = [row in outcome.taken for row in outcome.ranking.tolist()]
    signals[:, 3] = outcome.scores - outcome.scores[:1]
    return signals


def listed_by_rank(count: int) -> NDArray[np.float64]:
    """Return the signals of the passages of a fixed system's ranking, float64 [count, 4]."""
    ranks = np.arange(count)
    return np.column_stack([np.log1p(ranks), ranks == 0, np.zeros((count, 2))]).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a search says of itself.

    Attributes:
        confidence: probability that its first passages hold all the evidence.
        unanswered: whether the corpus probably does not answer the question at all.
    """

    confidence: float
    unanswered: bool


@dataclass(frozen=True, slots=True)
class Examples:
    """Searches of one kind, whose evidence is known.

    Attributes:
        signals: float64 [n, k], by ``SIGNALS``.
        complete: whether the first passages held all the evidence, bool [n].
        answerable: whether the corpus has any, bool [n].
        listed: of each the signals of its first passages, float64 [m, 4]: see :func:`listed`.
        supporting: of each which of those support the question, bool [m].
    """

    signals: NDArray[np.float64]
    complete: NDArray[np.bool_]
    answerable: NDArray[np.bool_]
    listed: Sequence[NDArray[np.float64]] = ()
    supporting: Sequence[NDArray[np.bool_]] = ()


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure a search is that its first passages hold all the evidence.

    It is the probability that the corpus answers the question, times the probability that all evidence stands first if
    it does: two logistic curves for each kind of search. The first does without the policy's signals, which say little
    where there is nothing to find. They are fitted at the end of training on searches for questions that the policy did
    not learn from, and for such as the corpus does not answer: by maximum likelihood with a normal prior (Platt 1999,
    "Probabilistic Outputs for Support Vector Machines", with several scores instead of one).

    Attributes:
        answered: by kind, from the signals of words and vectors to the probability that the corpus answers; empty over
            facts.
        complete: by kind, from its signals to the probability that all evidence stands first if there is any.
        thresholds: by kind, the probability to be answered below which one in twenty answered questions stood.
        searches: how many they were fitted on.
        supports: by kind, from ``OF_A_PASSAGE`` to the probability that a passage supports the question.
    """

    answered: Mapping[str, LogisticCurve]
    complete: Mapping[str, LogisticCurve]
    thresholds: Mapping[str, float]
    searches: int
    supports: Mapping[str, LogisticCurve] = field(default_factory=dict)

    @classmethod
    def fit(cls, examples: Mapping[str, Examples]) -> Confidence:
        """Fit it to examples of each kind, at least one that is answerable."""
        answered, thresholds = {}, {}
        for kind in dict.fromkeys(_BASE.values()):
            of_kind = [one for name, one in examples.items() if _BASE[name] == kind]
            if not of_kind or all(one.answerable.all() for one in of_kind):
                continue
            signals = np.concatenate([one.signals[:, : len(SIGNALS[kind])] for one in of_kind])
            truth = np.concatenate([one.answerable for one in of_kind])
            curve = _fitted(signals, truth)
            moved = curve.bias + np.log(MOSTLY / (1 - MOSTLY)) - np.log(truth.mean() / (1 - truth.mean()))
            answered[kind] = replace(curve, bias=float(moved))
            thresholds[kind] = float(np.quantile(answered[kind](signals[truth]), 1 - KEPT))
        complete = {
            name: _fitted(one.signals[one.answerable], one.complete[one.answerable]) for name, one in examples.items()
        }
        fitted = cls(answered, complete, thresholds, sum(len(one.complete) for one in examples.values()))
        supports = {
            name: _fitted(
                np.concatenate(
                    [
                        _of_passages(fitted.of(name, signals), passages)
                        for signals, passages in zip(one.signals, one.listed, strict=True)
                    ]
                ),
                np.concatenate(one.supporting),
            )
            for name, one in examples.items()
            if len(one.listed)
        }
        return replace(fitted, supports=supports)

    def of(self, kind: str, signals: NDArray[np.float64]) -> Stated:
        """Return what a search of a kind says of itself that has these signals, float64 [k]."""
        base, complete = _BASE[kind], float(self.complete[kind](signals))
        if base not in self.answered:
            return Stated(complete, unanswered=False)
        answered = float(self.answered[base](signals[: len(SIGNALS[base])]))
        return Stated(answered * complete, answered < self.thresholds[base])

    def of_passages(self, kind: str, stated: Stated, passages: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """Return the probability that each passage of a ranking supports the question, float64 [m].

        None where that was not learned.

        Args:
            kind: of the search.
            stated: what the search says of itself.
            passages: their signals, see :func:`listed`, float64 [m, 4].
        """
        return self.supports[kind](_of_passages(stated, passages)) if kind in self.supports else None

    def to_json(self) -> dict[str, Any]:
        """Return it as ``policy.json`` keeps it."""
        curves = {
            what: {kind: {"signals": list(SIGNALS[kind]), **asdict(curve)} for kind, curve in given.items()}
            for what, given in (("answered", self.answered), ("complete", self.complete))
        }
        supports = {kind: {"signals": list(OF_A_PASSAGE), **asdict(curve)} for kind, curve in self.supports.items()}
        return {**curves, "thresholds": dict(self.thresholds), "searches": self.searches, "supports": supports}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Confidence:
        """Read what :meth:`to_json` gave.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: when it is something else.
        """
        answered, complete = (
            {kind: _curve(SIGNALS[kind], fitted) for kind, fitted in values[what].items()}
            for what in ("answered", "complete")
        )
        supports = {kind: _curve(OF_A_PASSAGE, fitted) for kind, fitted in values["supports"].items()}
        thresholds = {kind: float(values["thresholds"][kind]) for kind in answered}
        return cls(answered, complete, thresholds, int(values["searches"]), supports)


_BASE = {"words": "words", "vectors": "vectors", "policy": "vectors"}
"""By the signals of which kind a search judges whether it is answered."""


def _fitted(signals: NDArray[np.float64], truth: NDArray[np.bool_]) -> LogisticCurve:
    # two searches more, one of either kind: all true, or none, must not fit an infinite intercept
    inputs = np.vstack((signals, np.repeat(signals.mean(axis=0, keepdims=True), 2, axis=0)))
    return fit_curve(inputs, np.append(truth.astype(np.float64), [0.0, 1.0]), PRECISION)


def _of_passages(stated: Stated, passages: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inputs of the curve of passages, float64 [m, len(OF_A_PASSAGE)]."""
    sure = min(max(stated.confidence, 1e-4), 1 - 1e-4)
    return np.column_stack([np.full(len(passages), np.log(sure / (1 - sure))), passages])


def _curve(signals: Sequence[str], values: Mapping[str, Any]) -> LogisticCurve:
    names = list(signals)
    if list(values["signals"]) != names:
        raise ValueError(f"the confidence is over the signals {values['signals']}, not {names}")
    weights, means, scales = lists = [
        tuple(float(number) for number in values[name]) for name in ("weights", "means", "scales")
    ]
    if any(len(numbers) != len(names) for numbers in lists) or not np.isfinite(lists).all() or min(scales) <= 0:
        raise ValueError("the confidence has numbers missing, or not finite")
    return LogisticCurve(weights, means, scales, float(values["bias"]))

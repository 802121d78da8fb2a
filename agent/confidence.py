"""How sure the policy is that its evidence is complete: a probability, fitted where the truth is known.

A search ends with signals of how it went: how sure the policy was to stop, its least sure TAKE, what it left. A
logistic regression over them says with what probability every supporting passage was taken::

    confidence(x) = sigmoid(b + sum_k w_k (x_k - mean_k) / scale_k)

It is fitted at the end of training on searches for the validation questions, which the policy did not learn from, by
maximum likelihood with a normal prior on the weights (Platt 1999, "Probabilistic Outputs for Support Vector Machines",
with several scores in place of one). The intercept has no prior, so that the mean confidence there is the share of
complete searches. To see failures too, which a good policy seldom makes, questions are also searched by drawing from
the policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..envs.batch import Lane

SIGNALS = (
    "stop",  # log-odds of STOP at the last decision, within +-8
    "weakest_take",  # log-probability of the least sure TAKE, from -6
    "best_left",  # log-probability of the likeliest TAKE that was left at the last decision, from -12
    "value",  # the value head's expectation of what was still to be gained
    "evidence",  # passages taken / most that can be taken
    "uncovered",  # idf-weighted share of the question's terms that no evidence has
)
"""What a search's end is judged by."""

PRIOR_DEVIATION = 1.0
"""Standard deviation of the prior on each weight, over standardised signals."""

DRAWS = 3
"""Searches of each validation question by drawing from the policy, beside the greedy one."""

_MOST_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Confidence:
    """The fitted regression.

    Attributes:
        weights, means, scales: one for each of ``SIGNALS``.
        bias: the intercept.
        searches, complete: how many searches it was fitted on, and how many of them were complete.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    bias: float
    searches: int
    complete: int

    def of(self, signals: NDArray[np.float64]) -> float:
        """Return the probability that a search with these signals, float64 [len(SIGNALS)], took all evidence."""
        standard = (signals - np.array(self.means)) / np.array(self.scales)
        return float(_sigmoid(self.bias + standard @ np.array(self.weights)))

    def to_json(self) -> dict[str, Any]:
        """Return it as ``policy.json`` keeps it."""
        return {"signals": list(SIGNALS), **{name: _plain(value) for name, value in asdict(self).items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Confidence:
        """Read what :meth:`to_json` gave.

        Raises:
            ValueError, KeyError, TypeError: when it is something else.
        """
        if list(values["signals"]) != list(SIGNALS):
            raise ValueError(f"the confidence is over the signals {values['signals']}, not {list(SIGNALS)}")
        weights, means, scales = lists = [
            tuple(float(number) for number in values[name]) for name in ("weights", "means", "scales")
        ]
        if any(len(numbers) != len(SIGNALS) for numbers in lists) or not np.isfinite(lists).all() or min(scales) <= 0:
            raise ValueError("the confidence has numbers missing, or not finite")
        return cls(weights, means, scales, float(values["bias"]), int(values["searches"]), int(values["complete"]))


def search_signals(
    state: Lane, most: int, stop: float, takes: Sequence[float], left: float, value: float
) -> NDArray[np.float64]:
    """Return the signals of a search that has ended, float64 [len(SIGNALS)].

    Args:
        state: the lane at the end.
        most: passages that can be taken.
        stop: the probability of STOP at the last decision.
        takes: the probability of each TAKE that was done.
        left: the probability of the likeliest TAKE at the last decision, if that was not it.
        value: of the last state, by the value head.
    """
    stop = min(max(stop, 1e-9), 1 - 1e-9)
    covered = float(state.covered.sum())
    return np.array(
        [
            np.clip(np.log(stop / (1 - stop)), -8, 8),
            np.log(max(min(takes, default=1.0), np.exp(-6))),
            np.log(max(left, np.exp(-12))),
            value,
            len(state.evidence) / most,
            1 - covered,
        ]
    )


def fit_confidence(signals: NDArray[np.float64], complete: NDArray[np.bool_]) -> Confidence:
    """Fit the regression by Newton's method.

    Args:
        signals: of each search, [n, len(SIGNALS)], n at least 1.
        complete: whether it took every supporting passage, [n].
    """
    means, scales = signals.mean(axis=0), signals.std(axis=0)
    scales = np.where(scales > 1e-9, scales, 1.0)
    inputs = np.column_stack((np.ones(len(signals)), (signals - means) / scales))
    # two searches more, one of either kind: all complete, or none, must not fit an infinite intercept
    inputs = np.vstack((inputs, np.repeat([[1.0] + [0.0] * len(SIGNALS)], 2, axis=0)))
    truth = np.append(complete.astype(np.float64), [0.0, 1.0])
    prior = np.diag([0.0] + [1 / PRIOR_DEVIATION**2] * len(SIGNALS))
    share = truth.mean()
    weights = np.array([np.log(share / (1 - share))] + [0.0] * len(SIGNALS))
    for _ in range(_MOST_ROUNDS):
        chances = _sigmoid(inputs @ weights)
        gradient = inputs.T @ (truth - chances) - prior @ weights
        hessian = (inputs * (chances * (1 - chances))[:, None]).T @ inputs + prior
        step = np.linalg.solve(hessian + 1e-9 * np.eye(len(weights)), gradient)
        weights = weights + step * min(1.0, 2 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return Confidence(
        tuple(weights[1:].tolist()),
        tuple(means.tolist()),
        tuple(scales.tolist()),
        float(weights[0]),
        len(signals),
        int(complete.sum()),
    )


def calibration_error(confidences: NDArray[np.float64], complete: NDArray[np.bool_], bins: int = 10) -> float:
    """Return the expected calibration error: over bins of equal width, the gap of mean confidence and share complete.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", equation of ECE.
    """
    bands = reliability(confidences, complete, bins)
    return sum(abs(band.confidence - band.complete) * band.count for band in bands) / len(confidences)


def brier_score(confidences: NDArray[np.float64], complete: NDArray[np.bool_]) -> float:
    """Return the mean squared distance of confidence and truth (Brier 1950)."""
    return float(np.mean((confidences - complete) ** 2))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Searches of like confidence: its limits, how many, their mean confidence, and the share that was complete."""

    low: float
    high: float
    count: int
    confidence: float
    complete: float


def reliability(confidences: NDArray[np.float64], complete: NDArray[np.bool_], bins: int = 10) -> list[ReliabilityBin]:
    """Return the bins of equal width that hold searches; a confidence of 1 falls into the last."""
    which = np.minimum((confidences * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            number / bins,
            (number + 1) / bins,
            int((which == number).sum()),
            float(confidences[which == number].mean()),
            float(complete[which == number].mean()),
        )
        for number in np.unique(which).tolist()
    ]


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

"""Probabilities that mean what they say: how to fit them on held-out data, and how to measure whether they do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

_COLDEST, _HOTTEST = -4.0, 4.0
"""Bounds of the logarithm of a temperature."""

_MOST_ROUNDS = 50


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> Scores:
    """Return the shares of scores [n, c] at a temperature, along the last axis."""
    scaled = np.asarray(scores, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def sigmoid(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of log-odds."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)))


def fit_temperature(scores: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Return the temperature at which ``softmax(scores / T)`` has the least cross-entropy with ``targets``.

    Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599), section 4.2.

    Args:
        scores: [n, c] of held-out queries.
        targets: [n, c], shares that add up to 1; rows of zeros are left out.

    Returns:
        the temperature; 1 when no row can be used.
    """
    from scipy.optimize import minimize_scalar

    used = targets.sum(axis=1) > 0
    if not used.any():
        return 1.0
    kept, wanted = np.asarray(scores[used], np.float64), targets[used]

    def loss(logarithm: float) -> float:
        scaled = kept / np.exp(logarithm)
        highest = scaled.max(axis=1, keepdims=True)
        log_shares = scaled - highest - np.log(np.exp(scaled - highest).sum(axis=1, keepdims=True))
        return float(-(wanted * log_shares).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(_COLDEST, _HOTTEST), method="bounded").x))


@dataclass(frozen=True, slots=True)
class LogisticCurve:
    """The curve ``sigmoid(b + sum_k w_k (x_k - mean_k) / scale_k)``.

    Attributes:
        weights, means, scales: one for each of the k inputs.
        bias: b.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    bias: float

    def __call__(self, inputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the probabilities of inputs [..., k]."""
        return sigmoid(self.bias + (inputs - np.array(self.means)) / np.array(self.scales) @ np.array(self.weights))


def fit_curve(
    inputs: NDArray[np.floating], targets: NDArray[np.floating], precision: float, towards: float = 0.0
) -> LogisticCurve:
    """Fit a logistic curve by Newton's method: the greatest posterior under a normal prior of its weights.

    The intercept has no prior, so that the mean probability is the mean target.

    Args:
        inputs: [n, k], n at least 1.
        targets: probabilities [n], 0 and 1 included; not all 0 and not all 1.
        precision: of the prior of each weight, over inputs of standard deviation 1.
        towards: the prior's mean.
    """
    means, scales = inputs.mean(axis=0), inputs.std(axis=0)
    scales = np.where(scales > 1e-9, scales, 1.0)
    standard = np.column_stack((np.ones(len(inputs)), (inputs - means) / scales))
    prior, centre = np.full(standard.shape[1], precision), np.full(standard.shape[1], towards)
    prior[0], share = 0.0, targets.mean()
    weights = centre.copy()
    weights[0] = np.log(share / (1 - share))
    for _ in range(_MOST_ROUNDS):
        chances = sigmoid(standard @ weights)
        gradient = standard.T @ (targets - chances) - prior * (weights - centre)
        hessian = (standard * (chances * (1 - chances))[:, None]).T @ standard + np.diag(prior + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step * min(1.0, 2 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return LogisticCurve(tuple(weights[1:].tolist()), tuple(means.tolist()), tuple(scales.tolist()), float(weights[0]))


def fit_logistic(scores: NDArray[np.floating], right: NDArray[np.bool_], ridge: float = 1e-2) -> tuple[float, float]:
    """Return slope and offset of the curve ``sigmoid(slope * score + offset)`` that says how often a score is right.

    Platt 1999, "Probabilistic outputs for support vector machines", section 2.2: the targets are (n + 1) / (n + 2) and
    1 / (m + 2) for n right and m wrong ones, so that few queries do not make it certain. A ridge draws the slope
    towards one per standard deviation of the scores: with all wrong, a higher score is still the better one.
    """
    count = int(right.sum())
    targets = np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    curve = fit_curve(np.asarray(scores, np.float64)[:, None], targets, 2 * ridge * len(right), 1.0)
    slope = curve.weights[0] / curve.scales[0]
    return slope, curve.bias - slope * curve.means[0]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Cases of like confidence: its limits, how many, their mean confidence, and the share that was right."""

    low: float
    high: float
    count: int
    confidence: float
    right: float


def reliability(
    confidences: NDArray[np.floating], right: NDArray[np.bool_] | NDArray[np.floating], bins: int = 10
) -> list[ReliabilityBin]:
    """Return the bins of equal width that hold cases; a confidence of 1 falls into the last."""
    which = np.minimum((confidences * bins).astype(int), bins - 1)
    return [
        ReliabilityBin(
            number / bins,
            (number + 1) / bins,
            int((which == number).sum()),
            float(confidences[which == number].mean()),
            float(right[which == number].mean()),
        )
        for number in np.unique(which).tolist()
    ]


def calibration_error(
    confidences: NDArray[np.floating], right: NDArray[np.bool_] | NDArray[np.floating], bins: int = 10
) -> float:
    """Return the expected calibration error: over bins of equal width, the gap of mean confidence and share right.

    Source: Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", equation of ECE.
    """
    bands = reliability(confidences, right, bins)
    return sum(abs(band.confidence - band.right) * band.count for band in bands) / len(confidences)


def brier_score(confidences: NDArray[np.floating], right: NDArray[np.bool_] | NDArray[np.floating]) -> float:
    """Return the mean squared distance of confidence and truth (Brier 1950)."""
    return float(np.mean((confidences - right) ** 2))

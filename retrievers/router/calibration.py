"""Probabilities that mean what they say: temperatures and logistic curves fitted on held-out queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

_COLDEST, _HOTTEST = -4.0, 4.0
"""Bounds of the logarithm of a temperature."""


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> Scores:
    """Return the shares of scores [n, c] at a temperature, along the last axis."""
    scaled = np.asarray(scores, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


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


def fit_logistic(scores: NDArray[np.floating], right: NDArray[np.bool_], ridge: float = 1e-2) -> tuple[float, float]:
    """Return slope and offset of the curve ``sigmoid(slope * score + offset)`` that says how often a score is right.

    Platt 1999, "Probabilistic outputs for support vector machines", section 2.2: the targets are (n + 1) / (n + 2) and
    1 / (m + 2) for n right and m wrong ones, so that few queries do not make it certain. A ridge draws the slope
    towards one per standard deviation of the scores: with all wrong, a higher score is still the better one.
    """
    from scipy.optimize import minimize

    values, count = np.asarray(scores, np.float64), int(right.sum())
    targets = np.where(right, (count + 1) / (count + 2), 1 / (len(right) - count + 2))
    centre, spread = float(values.mean()), max(float(values.std()), 1e-6)
    scaled = (values - centre) / spread

    def loss(parameters: NDArray[np.float64]) -> float:
        odds = parameters[0] * scaled + parameters[1]
        likelihood = targets * np.logaddexp(0, -odds) + (1 - targets) * np.logaddexp(0, odds)
        return float(likelihood.mean() + ridge * (parameters[0] - 1) ** 2)

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return float(slope / spread), float(offset - slope * centre / spread)

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

    Platt 1999, "Probabilistic outputs for support vector machines"; a ridge on the slope keeps it finite where scores
    separate right from wrong.
    """
    from scipy.optimize import minimize

    values, signs = np.asarray(scores, np.float64), np.where(right, 1.0, -1.0)
    centre, spread = float(values.mean()), max(float(values.std()), 1e-6)
    scaled = (values - centre) / spread

    def loss(parameters: NDArray[np.float64]) -> float:
        margins = signs * (parameters[0] * scaled + parameters[1])
        return float(np.logaddexp(0, -margins).mean() + ridge * parameters[0] ** 2)

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return float(slope / spread), float(offset - slope * centre / spread)

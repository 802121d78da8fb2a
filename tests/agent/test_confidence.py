"""A stated confidence is a probability: what it says of many searches is what happened to them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from trailhound.agent._rollout import PRIOR_DEVIATION, SIGNALS, Confidence
from trailhound.retrievers._calibration import brier_score, calibration_error

WIDTH = len(SIGNALS)


def sampled(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return signals, truth drawn from a known logistic law of two of them, and the law's probabilities."""
    rng = np.random.default_rng(seed)
    signals = rng.normal(size=(count, WIDTH)) * np.arange(1, WIDTH + 1) + 3
    chances = 1 / (1 + np.exp(-(1.5 + 2.0 * (signals[:, 0] - 3) - 0.5 * (signals[:, 1] - 3))))
    return signals, rng.random(count) < chances, chances


def test_a_known_law_is_found_again() -> None:
    signals, truth, _ = sampled(4000, 0)
    fitted = Confidence.fit(signals, truth)
    new, happened, chances = sampled(2000, 1)
    stated = np.array([fitted.of(one) for one in new])
    assert np.abs(stated - chances).mean() < 0.02
    assert calibration_error(stated, happened) < 0.03
    assert brier_score(stated, happened) == pytest.approx(brier_score(chances, happened), abs=0.003)


def test_the_fit_is_the_greatest_posterior() -> None:
    signals, truth, _ = sampled(60, 2)
    fitted = Confidence.fit(signals, truth)

    def loss(weights: NDArray[np.float64]) -> float:
        scores = weights[0] + ((signals - fitted.curve.means) / fitted.curve.scales) @ weights[1:]
        own = np.where(truth, np.log1p(np.exp(-scores)), np.log1p(np.exp(scores))).sum()
        both = math.log1p(math.exp(-weights[0])) + math.log1p(math.exp(weights[0]))  # the two searches of either kind
        return float(own + both + (weights[1:] ** 2).sum() / 2 / PRIOR_DEVIATION**2)

    best = np.array([fitted.curve.bias, *fitted.curve.weights])
    for k in range(WIDTH + 1):
        for step in (-0.01, 0.01):
            moved = best.copy()
            moved[k] += step
            assert loss(moved) > loss(best)


def test_the_mean_confidence_is_the_share_that_was_complete() -> None:
    signals, truth, _ = sampled(500, 3)
    fitted = Confidence.fit(signals, truth)
    stated = np.mean([fitted.of(one) for one in signals])
    assert stated == pytest.approx(truth.mean(), abs=0.005)
    assert (fitted.searches, fitted.complete) == (500, int(truth.sum()))


@pytest.mark.parametrize("happened", [True, False])
def test_one_kind_of_search_alone_is_neither_certain_nor_an_error(happened: bool) -> None:
    signals, _, _ = sampled(30, 4)
    fitted = Confidence.fit(signals, np.full(30, happened))
    for one in signals:
        assert 0.001 < fitted.of(one) < 0.999
        assert (fitted.of(one) > 0.5) == happened


def test_signals_that_never_change_say_nothing() -> None:
    fitted = Confidence.fit(np.ones((10, WIDTH)), np.arange(10) < 7)
    assert fitted.of(np.ones(WIDTH)) == pytest.approx(8 / 12)
    assert math.isfinite(fitted.of(np.zeros(WIDTH)))


def test_it_comes_back_from_json_equal() -> None:
    signals, truth, _ = sampled(50, 5)
    fitted = Confidence.fit(signals, truth)
    assert Confidence.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted

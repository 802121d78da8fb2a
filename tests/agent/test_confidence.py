"""A stated confidence is a probability: what it says of many searches is what happened to them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from trailhound.agent.confidence import (
    PRIOR_DEVIATION,
    SIGNALS,
    Confidence,
    brier_score,
    calibration_error,
    fit_confidence,
    reliability,
)

WIDTH = len(SIGNALS)


def sampled(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return signals, truth drawn from a known logistic law of two of them, and the law's probabilities."""
    rng = np.random.default_rng(seed)
    signals = rng.normal(size=(count, WIDTH)) * np.arange(1, WIDTH + 1) + 3
    chances = 1 / (1 + np.exp(-(1.5 + 2.0 * (signals[:, 0] - 3) - 0.5 * (signals[:, 1] - 3))))
    return signals, rng.random(count) < chances, chances


def test_a_known_law_is_found_again() -> None:
    signals, truth, _ = sampled(4000, 0)
    fitted = fit_confidence(signals, truth)
    new, happened, chances = sampled(2000, 1)
    stated = np.array([fitted.of(one) for one in new])
    assert np.abs(stated - chances).mean() < 0.02
    assert calibration_error(stated, happened) < 0.03
    assert brier_score(stated, happened) == pytest.approx(brier_score(chances, happened), abs=0.003)


def test_the_fit_is_the_greatest_posterior() -> None:
    signals, truth, _ = sampled(60, 2)
    fitted = fit_confidence(signals, truth)

    def loss(weights: NDArray[np.float64]) -> float:
        scores = weights[0] + ((signals - signals.mean(axis=0)) / signals.std(axis=0)) @ weights[1:]
        own = np.where(truth, np.log1p(np.exp(-scores)), np.log1p(np.exp(scores))).sum()
        both = math.log1p(math.exp(-weights[0])) + math.log1p(math.exp(weights[0]))  # the two searches of either kind
        return float(own + both + (weights[1:] ** 2).sum() / 2 / PRIOR_DEVIATION**2)

    best = np.array([fitted.bias, *fitted.weights])
    for k in range(WIDTH + 1):
        for step in (-0.01, 0.01):
            moved = best.copy()
            moved[k] += step
            assert loss(moved) > loss(best)


def test_the_mean_confidence_is_the_share_that_was_complete() -> None:
    signals, truth, _ = sampled(500, 3)
    fitted = fit_confidence(signals, truth)
    stated = np.mean([fitted.of(one) for one in signals])
    assert stated == pytest.approx(truth.mean(), abs=0.005)
    assert (fitted.searches, fitted.complete) == (500, int(truth.sum()))


@pytest.mark.parametrize("happened", [True, False])
def test_one_kind_of_search_alone_is_neither_certain_nor_an_error(happened: bool) -> None:
    signals, _, _ = sampled(30, 4)
    fitted = fit_confidence(signals, np.full(30, happened))
    for one in signals:
        assert 0.001 < fitted.of(one) < 0.999
        assert (fitted.of(one) > 0.5) == happened


def test_signals_that_never_change_say_nothing() -> None:
    fitted = fit_confidence(np.ones((10, WIDTH)), np.arange(10) < 7)
    assert fitted.of(np.ones(WIDTH)) == pytest.approx(8 / 12)
    assert math.isfinite(fitted.of(np.zeros(WIDTH)))


def test_it_comes_back_from_json_equal() -> None:
    signals, truth, _ = sampled(50, 5)
    fitted = fit_confidence(signals, truth)
    assert Confidence.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


def test_calibration_by_hand() -> None:
    stated = np.array([0.95, 0.91, 1.0, 0.15, 0.11])
    truth = np.array([True, True, False, False, True])
    bins = reliability(stated, truth)
    assert [(one.low, one.high, one.count) for one in bins] == [(0.1, 0.2, 2), (0.9, 1.0, 3)]
    assert bins[0].confidence == pytest.approx(0.13)
    assert bins[1].complete == pytest.approx(2 / 3)
    assert calibration_error(stated, truth) == pytest.approx(2 / 5 * 0.37 + 3 / 5 * abs(2.86 / 3 - 2 / 3))
    expected = (0.05**2 + 0.09**2 + 1 + 0.15**2 + 0.89**2) / 5
    assert brier_score(stated, truth) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_every_search_is_in_one_bin(searches: list[tuple[float, bool]]) -> None:
    stated, truth = (np.array(part) for part in zip(*searches, strict=True))
    bins = reliability(stated, truth)
    assert sum(one.count for one in bins) == len(searches)
    assert sum(one.count * one.complete for one in bins) == pytest.approx(truth.sum())
    assert sum(one.count * one.confidence for one in bins) == pytest.approx(stated.sum())
    assert 0 <= calibration_error(stated, truth) <= 1

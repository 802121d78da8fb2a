"""Temperatures and logistic curves against what the data were drawn from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.retrievers._calibration import (
    brier_score,
    calibration_error,
    fit_logistic,
    fit_temperature,
    reliability,
    softmax,
)


def test_softmax_by_hand() -> None:
    np.testing.assert_allclose(softmax(np.log(np.array([[1.0, 3.0]]))), [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(softmax(2 * np.log(np.array([1.0, 3.0])), 2.0), [0.25, 0.75], rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(4000, 5)) * 2
    labels = np.array([rng.choice(5, p=share / share.sum()) for share in softmax(scores, temperature).astype(float)])
    assert fit_temperature(scores, np.eye(5)[labels]) == pytest.approx(temperature, rel=0.1)


def test_queries_without_a_target_do_not_count() -> None:
    assert fit_temperature(np.ones((3, 2)), np.zeros((3, 2))) == 1.0


def test_the_logistic_curve_that_made_the_labels_is_found() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(20, 3, size=8000)
    right = rng.random(8000) < 1 / (1 + np.exp(-(0.7 * scores - 13)))
    slope, offset = fit_logistic(scores, right, ridge=0)
    assert slope == pytest.approx(0.7, rel=0.1)
    assert -offset / slope == pytest.approx(13 / 0.7, rel=0.02)


def test_scores_that_part_right_from_wrong_give_a_finite_curve() -> None:
    slope, offset = fit_logistic(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]))
    assert 0 < slope < 100
    assert -offset / slope == pytest.approx(2.5, abs=0.1)


def test_with_nothing_right_a_higher_score_is_still_the_better_one() -> None:
    slope, offset = fit_logistic(np.array([10.0, 11.0, 12.0]), np.zeros(3, np.bool_))
    assert slope > 0
    assert -10 < slope * 11 + offset < 0


def test_calibration_by_hand() -> None:
    stated = np.array([0.95, 0.91, 1.0, 0.15, 0.11])
    truth = np.array([True, True, False, False, True])
    bins = reliability(stated, truth)
    assert [(one.low, one.high, one.count) for one in bins] == [(0.1, 0.2, 2), (0.9, 1.0, 3)]
    assert bins[0].confidence == pytest.approx(0.13)
    assert bins[1].right == pytest.approx(2 / 3)
    assert calibration_error(stated, truth) == pytest.approx(2 / 5 * 0.37 + 3 / 5 * abs(2.86 / 3 - 2 / 3))
    expected = (0.05**2 + 0.09**2 + 1 + 0.15**2 + 0.89**2) / 5
    assert brier_score(stated, truth) == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=50))
def test_every_case_is_in_one_bin(searches: list[tuple[float, bool]]) -> None:
    stated, truth = (np.array(part) for part in zip(*searches, strict=True))
    bins = reliability(stated, truth)
    assert sum(one.count for one in bins) == len(searches)
    assert sum(one.count * one.right for one in bins) == pytest.approx(truth.sum())
    assert sum(one.count * one.confidence for one in bins) == pytest.approx(stated.sum())
    assert 0 <= calibration_error(stated, truth) <= 1

"""Chance, counted: p-values and intervals are those known by hand and those of scipy, in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from trailhound.measuring._resampling import bootstrap_interval, holm, randomisation_test

Array = NDArray[np.float64]
GRADES = np.array([-1, -0.5, -0.25, 0, 0.25, 0.5, 1])


def drawn(count: int, metrics: int, seed: int) -> Array:
    """Return differences as recall has them: often none, and many ties; the second system is a little better."""
    shares = [0.1, 0.1, 0.1, 0.3, 0.15, 0.1, 0.15]
    return np.random.default_rng(seed).choice(GRADES, size=(count, metrics), p=shares)


def p_of(differences: Array, resamples: int = 10_000, seed: int = 0) -> float:
    p, _ = randomisation_test(differences[:, None], resamples, np.random.default_rng(seed))
    return float(p[0])


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([0.0, 0.0, 0.0], 1.0),
        ([0.3], 1.0),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 2 / 32),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0], 2 / 32),
        ([1.0, 1.0, -1.0], 1.0),
        ([3.0, 2.0, 1.0], 2 / 8),
        ([3.0, 2.0, -1.0], 4 / 8),
        ([0.1, 0.2, -0.3], 1.0),
    ],
)
def test_p_values_known_by_hand(differences: list[float], p: float) -> None:
    values, exact = randomisation_test(np.array(differences)[:, None], 10_000, np.random.default_rng(0))
    assert values.tolist() == [pytest.approx(p, abs=1e-12)]
    assert exact == [True]


@pytest.mark.parametrize("seed", range(4))
def test_few_differences_are_counted_exactly_as_scipy_does(seed: int) -> None:
    differences = drawn(12, 2, seed)
    p, exact = randomisation_test(differences, 10_000, np.random.default_rng(0))
    assert exact == [True, True]
    for metric in range(2):
        oracle = stats.permutation_test(
            (differences[:, metric],),
            lambda values, axis: values.mean(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=np.inf,
        )
        assert p[metric] == pytest.approx(oracle.pvalue, abs=1e-12)


def test_many_differences_come_near_scipy_and_near_the_exact_distribution() -> None:
    differences = drawn(80, 1, 1)[:, 0]
    p, exact = randomisation_test(differences[:, None], 20_000, np.random.default_rng(0))
    oracle = stats.permutation_test(
        (differences,),
        lambda values, axis: values.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    # the distribution itself: steps of a quarter, convolved sign by sign
    reach = int(4 * np.abs(differences).sum())
    shares = np.zeros(2 * reach + 1)
    shares[reach] = 1
    for step in (4 * np.abs(differences)).astype(int):
        shares = (np.roll(shares, step) + np.roll(shares, -step)) / 2
    sums = np.abs(np.arange(-reach, reach + 1))
    truth = shares[sums >= abs(round(4 * differences.sum()))].sum()
    error = 5 * np.sqrt(truth * (1 - truth) / 20_000)
    assert exact == [False]
    assert 0.001 < truth < 0.2, "a p-value that the test can tell from 0"
    assert p[0] == pytest.approx(truth, abs=error)
    assert p[0] == pytest.approx(oracle.pvalue, abs=2 * error)


def test_a_p_value_is_never_0_where_signs_are_drawn() -> None:
    assert p_of(np.ones(100), 500) == 1 / 501


@given(st.lists(st.sampled_from(GRADES.tolist()), min_size=1, max_size=40), st.integers(0, 5))
def test_swapping_the_systems_changes_the_sign_and_nothing_else(values: list[float], seed: int) -> None:
    differences = np.array(values)[:, None]
    assert p_of(differences[:, 0], 500, seed) == p_of(-differences[:, 0], 500, seed)
    low, high = bootstrap_interval(differences, 500, np.random.default_rng(seed))
    other_low, other_high = bootstrap_interval(-differences, 500, np.random.default_rng(seed))
    assert other_low == pytest.approx(-high)
    assert other_high == pytest.approx(-low)
    assert low[0] <= high[0]


@given(st.integers(1, 60), st.integers(1, 4))
def test_a_system_is_not_apart_from_itself(count: int, metrics: int) -> None:
    nothing = np.zeros((count, metrics))
    p, exact = randomisation_test(nothing, 200, np.random.default_rng(0))
    assert p.tolist() == [1.0] * metrics
    assert exact == [True] * metrics
    low, high = bootstrap_interval(nothing, 200, np.random.default_rng(0))
    assert np.concatenate((low, high)).tolist() == [0.0] * (2 * metrics)


def test_p_values_are_even_where_there_is_nothing_but_chance() -> None:
    """Of many comparisons of systems that are alike, one in twenty has a p below 0.05, and half one below 0.5."""
    generator = np.random.default_rng(11)
    differences = generator.normal(size=(50, 1000))
    p, _ = randomisation_test(differences, 1000, generator)
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert (p < 0.5).mean() == pytest.approx(0.5, abs=0.07)


def test_the_interval_is_that_of_scipy() -> None:
    differences = drawn(120, 3, 2)
    low, high = bootstrap_interval(differences, 20_000, np.random.default_rng(0))
    for metric in range(3):
        oracle = stats.bootstrap(
            (differences[:, metric],),
            np.mean,
            n_resamples=20_000,
            batch=1000,
            method="percentile",
            rng=np.random.default_rng(1),
        ).confidence_interval
        width = oracle.high - oracle.low
        assert low[metric] == pytest.approx(oracle.low, abs=0.05 * width)
        assert high[metric] == pytest.approx(oracle.high, abs=0.05 * width)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    differences = generator.normal(0.3, 1.0, size=(80, 600))
    low, high = bootstrap_interval(differences, 600, generator)
    assert ((low <= 0.3) & (high >= 0.3)).mean() == pytest.approx(0.94, abs=0.03)
    low, high = bootstrap_interval(differences, 600, generator, level=0.5)
    assert ((low <= 0.3) & (high >= 0.3)).mean() == pytest.approx(0.5, abs=0.08)


def test_ten_thousand_questions_take_little_memory() -> None:
    differences = np.random.default_rng(0).normal(size=(10_000, 2))
    tracemalloc.start()
    try:
        randomisation_test(differences, 2000, np.random.default_rng(0))
        bootstrap_interval(differences, 2000, np.random.default_rng(0))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * 2**20, "all 20 million numbers at a time would be 160 MB"


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.2])).tolist() == [0.2]
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_nor_changes_their_order(values: list[float]) -> None:
    p = np.array(values)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(1, p * len(p)) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()

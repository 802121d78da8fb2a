"""What chance alone would do to the paired differences of two systems: randomisation test, bootstrap and Holm.

n questions, m metrics. Memory stays bounded: resamples are drawn in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log2

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BLOCK = 1 << 18
"""Numbers that are drawn at a time: as many as the cache of a processor holds."""

_TIE = 1e-11
"""Two sums are equal within this share of the sum of all absolute differences: they were added in other orders."""


def randomisation_test(differences: Array, resamples: int, generator: np.random.Generator) -> tuple[Array, list[bool]]:
    """Return the two-sided p-value of each metric, and whether it is exact.

    If both systems were alike, which of them a question's two results belong to would be chance. So each difference
    may have either sign, and p is the share of all choices of signs with a sum as far from 0. Where there are at most
    ``resamples`` choices, all are counted; else as many are drawn, and p is (1 + count) / (1 + resamples).

    Source: Smucker, Allan and Carterette 2007, "A Comparison of Statistical Significance Tests for Information
    Retrieval Evaluation", section 3.2; Phipson and Smyth 2010 (arXiv:1603.05766) for the 1.

    Args:
        differences: [n, m].
        resamples: how many choices of signs to draw.
        generator: of everything random.
    """
    differing = differences[np.any(differences != 0, axis=1)]
    observed, bounds = np.abs(differences.sum(axis=0)), _TIE * np.abs(differences).sum(axis=0)
    as_far = np.zeros(differences.shape[1])
    for signs in _signs(len(differing), resamples, generator):
        as_far += (np.abs(_signed_sums(signs, differing)) >= observed - bounds).sum(axis=0)
    p, exact = (1 + as_far) / (1 + resamples), []
    for metric, column in enumerate(differing.T):
        own = column[column != 0]
        exact.append(len(own) <= log2(resamples))
        if exact[-1]:
            sums = np.abs(_signed_sums(_all_signs(len(own)), own[:, None])[:, 0])
            p[metric] = (sums >= observed[metric] - bounds[metric]).mean()
    return p, exact


def bootstrap_interval(
    differences: Array, resamples: int, generator: np.random.Generator, level: float = 0.95
) -> tuple[Array, Array]:
    """Return the lower and upper bound of the mean difference of each metric, by the percentile bootstrap.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3. Questions are drawn with
    replacement, each with both of its results.

    Args:
        differences: [n, m], n at least 1.
        resamples: how often to draw n questions.
        generator: of everything random.
        level: share of the bootstrap's means that lie between the bounds.
    """
    count = len(differences)
    means = np.empty((resamples, differences.shape[1]))
    columns = [np.ascontiguousarray(column) for column in differences.T]
    for start, size in _blocks(count, resamples):
        drawn = generator.integers(0, count, (size, count), np.uint32).astype(np.intp)
        for metric, column in enumerate(columns):
            means[start : start + size, metric] = column.take(drawn).sum(axis=1) / count
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def holm(p: Array) -> Array:
    """Return p-values [k], corrected for being k: where everything is chance, a share of at most a of all such sets
    has any that is below a.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".
    """
    order = np.argsort(p, kind="stable")
    weighed = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(weighed, 1.0)
    return corrected


def _signs(count: int, resamples: int, generator: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """Yield choices of signs, in blocks: 1 for a difference as it is, 0 for the other sign, uint8 [., count]."""
    for _, size in _blocks(count, resamples):
        words = generator.integers(0, 256, (size, (count + 7) // 8), np.uint8)
        yield np.unpackbits(words, axis=1, count=count)


def _all_signs(count: int) -> NDArray[np.uint8]:
    """Return every choice of signs, uint8 [2^count, count]."""
    numbers = np.arange(2**count)[:, None]
    return (numbers >> np.arange(count) & 1).astype(np.uint8)


def _signed_sums(signs: NDArray[np.uint8], differences: Array) -> Array:
    return np.asarray(2 * (signs.astype(np.float64) @ differences) - differences.sum(axis=0))


def _blocks(width: int, resamples: int) -> Iterator[tuple[int, int]]:
    """Yield (start, size) of blocks of resamples of ``width`` numbers each."""
    most = max(1, _BLOCK // max(width, 1))
    for start in range(0, resamples, most):
        yield start, min(most, resamples - start)

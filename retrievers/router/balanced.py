"""Clusters of nearly equal size: spherical k-means with a price on crowded clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import Vectors

SLACK = 1.15
"""How far a cluster's size may lie above the mean, and below it: the bounds are ceil(mean * SLACK) and
floor(mean / SLACK)."""

_ROUNDS = 12
_PRICINGS = 25
_STEP = 0.02
"""Of the prices, in units of cosine similarity."""


def balanced_clusters(
    vectors: Vectors, clusters: int, rng: np.random.Generator, slack: float = SLACK
) -> tuple[NDArray[np.int64], Vectors]:
    """Part unit vectors [n, d] into clusters whose sizes lie within a bounded factor of each other.

    Spherical k-means (Dhillon and Modha 2001) whose assignment maximises similarity minus a price per cluster; the
    prices rise where a cluster is too large and fall where it is too small (an auction, Bertsekas 1988). What the
    prices leave uneven is settled vector by vector, those first that lose most by not having their way.

    Args:
        vectors: float32 [n, d], rows of length 1.
        clusters: how many, from 1 to n.
        rng: draws the first centroids; the same state gives the same clusters.
        slack: 1 for sizes that differ by at most one.

    Returns:
        cluster of each vector, int64 [n]; unit centroids, float32 [clusters, d].

    Raises:
        ValueError: when there are fewer vectors than clusters.
    """
    count = len(vectors)
    if not 1 <= clusters <= count:
        raise ValueError(f"{count} vectors cannot be parted into {clusters} clusters: ask for 1 to {count}")
    if clusters == 1:
        return np.zeros(count, np.int64), _centroids(vectors, np.zeros(count, np.int64), 1)
    centroids = vectors[_spread_out(vectors, clusters, rng)]
    prices = np.zeros(clusters, np.float32)
    for _ in range(_ROUNDS):
        similarity = vectors @ centroids.T  # [n, clusters]
        prices = _priced(similarity, prices)
        centroids = _centroids(vectors, (similarity - prices).argmax(axis=1), clusters, centroids)
    similarity = vectors @ centroids.T - prices
    assigned = _settled(similarity, slack)
    return assigned, _centroids(vectors, assigned, clusters, centroids)


def _spread_out(vectors: Vectors, clusters: int, rng: np.random.Generator) -> list[int]:
    """Draw rows far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = [int(rng.integers(len(vectors)))]
    distance = np.maximum(1 - vectors @ vectors[chosen[0]], 0).astype(np.float64)
    while len(chosen) < clusters:
        distance[chosen] = 0
        total = distance.sum()
        if total <= 0:  # only copies of chosen vectors are left
            free = np.setdiff1d(np.arange(len(vectors)), chosen)
            chosen += free[: clusters - len(chosen)].tolist()
            break
        place = int(np.searchsorted(np.cumsum(distance), rng.random() * total, side="right"))
        chosen.append(min(place, len(vectors) - 1))
        distance = np.minimum(distance, np.maximum(1 - vectors @ vectors[chosen[-1]], 0))
    return chosen


def _priced(similarity: NDArray[np.float32], prices: NDArray[np.float32]) -> NDArray[np.float32]:
    count, clusters = similarity.shape
    prices = prices.copy()
    for pricing in range(_PRICINGS):
        sizes = np.bincount((similarity - prices).argmax(axis=1), minlength=clusters)
        excess = np.clip(sizes * clusters / count - 1, -1, 1)
        prices += (_STEP * excess / (1 + pricing / 8)).astype(np.float32)
    return prices


def _centroids(vectors: Vectors, assigned: NDArray[np.int64], clusters: int, before: Vectors | None = None) -> Vectors:
    """Return the unit means; an empty cluster, or one whose vectors cancel out, keeps the centroid it had."""
    order = np.argsort(assigned, kind="stable")
    sizes = np.bincount(assigned, minlength=clusters)
    there = np.flatnonzero(sizes)
    sums = np.zeros((clusters, vectors.shape[1]), np.float32)
    begins = (np.cumsum(sizes) - sizes)[there]
    sums[there] = np.add.reduceat(vectors[order], begins, axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    unit = sums / np.maximum(lengths, 1e-12)
    if before is not None:
        unit = np.where(lengths > 1e-6, unit, before)
    return np.asarray(unit, np.float32)


def _settled(similarity: NDArray[np.float32], slack: float) -> NDArray[np.int64]:
    """Assign every row to a cluster within the bounds, those that lose most by a second choice first."""
    count, clusters = similarity.shape
    mean = count / clusters
    high, low = int(np.ceil(mean * slack)), int(np.floor(mean / slack))
    ranked = np.argsort(-similarity, axis=1, kind="stable")
    ordered = np.take_along_axis(similarity, ranked, axis=1)
    regret = ordered[:, 0] - ordered[:, 1]
    assigned = np.full(count, -1, np.int64)
    sizes = [0] * clusters
    missing, left = low * clusters, count
    for row in np.argsort(-regret, kind="stable").tolist():
        for cluster in ranked[row].tolist():
            short = sizes[cluster] < low
            # What is left must still suffice to bring every cluster to the lower bound.
            if sizes[cluster] < high and (short or left > missing):
                assigned[row] = cluster
                sizes[cluster] += 1
                missing -= short
                left -= 1
                break
    return assigned

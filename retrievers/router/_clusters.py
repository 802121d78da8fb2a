"""Clusters of nearly equal size, of vectors that links may draw together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import Vectors

_BLOCK = 1 << 14

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
    prices leave uneven is settled vector by vector, those first that lose most by not having their way. With a slack of
    1 the sizes differ by at most one.

    Returns:
        cluster of each vector, int64 [n]; unit centroids, float32 [clusters, d].

    Raises:
        ValueError: when there are fewer vectors than clusters.
    """
    count = len(vectors)
    if not 1 <= clusters <= count:
        raise ValueError(f"{count} vectors cannot be parted into {clusters} clusters: ask for 1 to {count}")
    if clusters == 1:
        return np.zeros(count, np.int64), centroids_of(vectors, np.zeros(count, np.int64), 1)
    centroids = vectors[_spread_out(vectors, clusters, rng)]
    prices = np.zeros(clusters, np.float32)
    for _ in range(_ROUNDS):
        similarity = vectors @ centroids.T  # [n, clusters]
        prices = priced(similarity, prices)
        centroids = centroids_of(vectors, (similarity - prices).argmax(axis=1), clusters, centroids)
    similarity = vectors @ centroids.T - prices
    assigned = settled(similarity, slack)
    return assigned, centroids_of(vectors, assigned, clusters, centroids)


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


def priced(
    similarity: NDArray[np.float32], prices: NDArray[np.float32], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Return prices [clusters] at which about as many rows choose every cluster, by similarity minus price.

    Args:
        similarity: float32 [n, clusters].
        prices: to begin with, float32 [clusters].
        weights: what every row weighs, [n]; all the same when None.
    """
    clusters = similarity.shape[1]
    prices = prices.copy()
    for pricing in range(_PRICINGS):
        sizes = np.bincount((similarity - prices).argmax(axis=1), weights, minlength=clusters)
        excess = np.clip(sizes * clusters / sizes.sum() - 1, -1, 1)
        prices += (_STEP * excess / (1 + pricing / 8)).astype(np.float32)
    return prices


def centroids_of(
    vectors: Vectors, assigned: NDArray[np.int64], clusters: int, before: Vectors | None = None
) -> Vectors:
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


def settled(similarity: NDArray[np.float32], slack: float) -> NDArray[np.int64]:
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


def smoothed(vectors: Vectors, source: NDArray[np.integer], target: NDArray[np.integer], weight: float) -> Vectors:
    """Return unit vectors [n, d] mixed with the mean of those that each is linked with, either way, of a weight."""
    from scipy.sparse import csr_array

    ends = np.concatenate([source, target]), np.concatenate([target, source])
    linked = csr_array((np.ones(len(ends[0]), np.float32), ends), shape=(len(vectors), len(vectors)))
    linked.sum_duplicates()
    linked.data[:] = 1
    degree: NDArray[np.float32] = np.asarray(linked.sum(axis=1), np.float32).reshape(-1, 1)
    mixed: Vectors = np.asarray(linked @ vectors, np.float32)
    # In place: of a million passages one copy of the vectors is 1.5 GB.
    mixed *= weight / np.maximum(degree, 1)
    for first in range(0, len(mixed), _BLOCK):
        block = slice(first, first + _BLOCK)
        mixed[block] += (1 - weight) * vectors[block]
        mixed[block] /= np.maximum(np.linalg.norm(mixed[block], axis=1, keepdims=True), 1e-12)
    return mixed

"""Balanced clusters: bounded sizes, like with like, the same for a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.router.shards import balanced_clusters


def unit(rng: np.random.Generator, count: int, dimension: int = 8) -> Vectors:
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.data(), st.sampled_from([1.0, 1.15, 2.0]))
def test_sizes_lie_within_the_bounds(count: int, data: st.DataObject, slack: float) -> None:
    clusters = data.draw(st.integers(1, count))
    rng = np.random.default_rng(count)
    vectors = unit(rng, count)
    if data.draw(st.booleans()):
        vectors[:] = vectors[0]  # copies alone: nothing to tell them apart by
    assigned, centroids = balanced_clusters(vectors, clusters, rng, slack)
    sizes = np.bincount(assigned, minlength=clusters)
    assert sizes.min() >= np.floor(count / clusters / slack)
    assert sizes.max() <= np.ceil(count / clusters * slack)
    assert centroids.shape == (clusters, 8)
    assert np.isfinite(centroids).all()


def test_two_clumps_are_two_clusters() -> None:
    rng = np.random.default_rng(0)
    first, second = np.eye(8, dtype=np.float32)[0], np.eye(8, dtype=np.float32)[1]
    vectors = np.concatenate([first + 0.05 * unit(rng, 10), second + 0.05 * unit(rng, 10)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assigned, centroids = balanced_clusters(vectors, 2, rng)
    assert len(set(assigned[:10].tolist())) == len(set(assigned[10:].tolist())) == 1
    assert assigned[0] != assigned[10]
    assert centroids[assigned[0]] @ first > 0.95


def test_a_seed_gives_the_same_clusters() -> None:
    vectors = unit(np.random.default_rng(1), 60)
    first, second = (balanced_clusters(vectors, 7, np.random.default_rng(5))[0] for _ in range(2))
    assert first.tolist() == second.tolist()


def test_more_clusters_than_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="3 vectors cannot be parted into 4"):
        balanced_clusters(unit(np.random.default_rng(0), 3), 4, np.random.default_rng(0))

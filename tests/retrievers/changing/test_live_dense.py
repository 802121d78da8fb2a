"""The dense index with changes finds what is nearest among all that are left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound.errors import EncoderError
from trailhound.retrievers.changing.live_dense import LiveDense
from trailhound.retrievers.changing.snapshot import GrowingArray, Snapshot
from trailhound.retrievers.records import Query
from trailhound.retrievers.vectors.dense import KINDS, DenseIndex, DenseKind


def unit(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, 16)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def live(folder: Path, kind: DenseKind, died: dict[int, int]) -> tuple[LiveDense, np.ndarray]:
    base, added = unit(120, 0), unit(30, 1)
    DenseIndex.build(folder, base, kind)
    growing = GrowingArray(np.float32, 16)
    growing.extend(added)
    growing.extend(unit(1, 2))  # later than the snapshot
    snapshot = Snapshot(120, 150, 1, 150 - len(died), 150, died)
    return LiveDense(DenseIndex(folder, kind), growing, snapshot), np.concatenate([base, added])


@pytest.mark.parametrize("died", [{}, {3: 1, 121: 1, **dict.fromkeys(range(10, 100), 1)}], ids=["all", "some"])
def test_exact_search_is_that_of_a_scan(tmp_path: Path, died: dict[int, int]) -> None:
    index, vectors = live(tmp_path / "dense", "exact", died)
    rows = np.array([row for row in range(150) if row not in died])
    for query in unit(20, 3):
        scores = vectors[rows] @ query
        found = index.search(Query("", query), 12)
        assert found.rows.tolist() == rows[np.argsort(-scores, kind="stable")][:12].tolist()
        np.testing.assert_allclose(found.scores, np.sort(scores)[::-1][:12], rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_additions_are_found_beside_every_kind_of_base(tmp_path: Path, kind: DenseKind) -> None:
    index, vectors = live(tmp_path / "dense", kind, {})
    for row in (120, 137, 149):
        assert index.search(Query("", vectors[row]), 1).rows.tolist() == [row]
    assert len(index) == 150


def test_vectors_of_base_and_additions(tmp_path: Path) -> None:
    index, vectors = live(tmp_path / "dense", "exact", {})
    rows = np.array([149, 0, 120, 119])
    np.testing.assert_array_equal(index.reconstruct(rows), vectors[rows])
    np.testing.assert_array_equal(index.reconstruct(np.array([5, 6])), vectors[[5, 6]])
    np.testing.assert_array_equal(index.vectors, vectors)


def test_a_query_without_its_vector_is_refused(tmp_path: Path) -> None:
    index, _ = live(tmp_path / "dense", "exact", {})
    with pytest.raises(EncoderError, match="16 numbers"):
        index.search(Query("words"), 3)

"""Snapshots see what was there when they were made, and nothing of what comes later."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.retrievers.changing.snapshot import GrowingArray, Snapshot, living_hits, merged
from trailhound.retrievers.records import Hits


def snapshot(rows: int, version: int, died: dict[int, int]) -> Snapshot:
    return Snapshot(4, rows, version, rows, rows, died)


def test_a_row_is_seen_from_its_coming_to_its_going() -> None:
    died = {1: 2, 5: 3}
    before, after = snapshot(5, 1, died), snapshot(6, 3, died)
    assert [before.sees(row) for row in range(-1, 7)] == [False, True, True, True, True, True, False, False]
    assert [after.sees(row) for row in range(-1, 7)] == [False, True, False, True, True, True, False, False]
    assert after.living(np.arange(-1, 7)).tolist() == [after.sees(row) for row in range(-1, 7)]


@settings(deadline=None)  # a busy machine takes its time
@given(st.lists(st.lists(st.integers(0, 99), max_size=30), max_size=8))
def test_views_of_a_growing_array_never_change(parts: list[list[int]]) -> None:
    array, expected, views = GrowingArray(np.int64), list[int](), []
    for part in parts:
        array.extend(part)
        expected += part
        views.append((array.first(len(array)), list(expected)))
    for view, numbers in views:
        assert view.tolist() == numbers
        with pytest.raises(ValueError, match="read-only"):
            view[:] = 0


def test_rows_of_a_growing_array_have_a_width() -> None:
    array = GrowingArray(np.float32, 3)
    array.extend(np.ones((20, 3), np.float32))
    array.extend(np.zeros((0, 3), np.float32))
    assert array.first(20).shape == (20, 3)


@settings(deadline=None)  # a busy machine takes its time
@given(st.sets(st.integers(0, 39)), st.integers(0, 45))
def test_the_best_of_the_living_are_found_however_many_died(dead: set[int], limit: int) -> None:
    rows = np.random.default_rng(1).permutation(40)
    asked = []

    def search(wanted: int) -> Hits:
        asked.append(wanted)
        return Hits(rows[:wanted], -np.arange(wanted, dtype=np.float32))

    seen = Snapshot(40, 40, 1, 40 - len(dead), 40, dict.fromkeys(dead, 1))
    found = living_hits(search, min(limit, 40), 40, seen)
    assert found.rows.tolist() == [row for row in rows.tolist() if row not in dead][:limit]
    if not dead:
        assert asked == [min(limit, 40)]


def test_merging_ranks_by_score_then_row() -> None:
    one = Hits(np.array([2, 5]), np.array([3, 1], np.float32))
    other = Hits(np.array([9, 1]), np.array([3, 2], np.float32))
    assert merged(one, other, 3).rows.tolist() == [2, 9, 1]
    assert merged(one, other, 0).rows.tolist() == []

"""Reciprocal rank fusion, by hand and by brute force."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers._fusion import K, reciprocal_rank_fusion
from trailhound.retrievers.records import Hits


def ranking(*rows: int) -> Hits:
    return Hits(np.array(rows, np.int64), np.linspace(1, 0, len(rows), dtype=np.float32))


def test_by_hand() -> None:
    fused = reciprocal_rank_fusion([ranking(7, 3, 5), ranking(3, 9)], 10)
    # 3: 1/62 + 1/61; 7: 1/61; 9: 1/62; 5: 1/63
    assert fused.rows.tolist() == [3, 7, 9, 5]
    assert fused.scores == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63])
    assert (fused.rows.dtype, fused.scores.dtype) == (np.int64, np.float32)


def test_equal_scores_go_by_row_and_the_limit_cuts() -> None:
    assert reciprocal_rank_fusion([ranking(9), ranking(4), ranking(6)], 2).rows.tolist() == [4, 6]


@pytest.mark.parametrize(("rankings", "limit"), [([], 5), ([ranking()], 5), ([ranking(1, 2)], 0), ([ranking(1)], -3)])
def test_nothing_to_fuse(rankings: list[Hits], limit: int) -> None:
    fused = reciprocal_rank_fusion(rankings, limit)
    assert len(fused) == 0
    assert (fused.rows.dtype, fused.scores.dtype) == (np.int64, np.float32)


@given(st.lists(st.lists(st.integers(0, 12), unique=True, max_size=8), max_size=4), st.integers(0, 15))
def test_it_is_the_sum_of_the_formula_in_any_order_of_rankings(lists: list[list[int]], limit: int) -> None:
    exact: dict[int, Fraction] = {}
    for rows in lists:
        for rank, row in enumerate(rows, start=1):
            exact[row] = exact.get(row, Fraction(0)) + Fraction(1, K + rank)
    expected = sorted(exact, key=lambda row: (-float(np.float32(float(exact[row]))), row))[:limit]
    for order in permutations(lists):
        fused = reciprocal_rank_fusion([ranking(*rows) for rows in order], limit)
        assert fused.rows.tolist() == expected
        assert fused.scores.tolist() == [np.float32(float(exact[row])) for row in expected]

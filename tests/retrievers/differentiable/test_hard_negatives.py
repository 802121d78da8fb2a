import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.errors import RecipeError
from trailhound.retrievers.differentiable.objectives import hard_negatives

QUERY = np.array([[1.0, 0.0]], np.float32)
VECTORS = np.array([[0.2, 0], [0.9, 0], [0.7, 0], [0.7, 0], [0.5, 0]], np.float32)


def test_the_best_that_are_no_positives_ties_by_row() -> None:
    assert [rows.tolist() for rows in hard_negatives(QUERY, VECTORS, [[1]], 3)] == [[2, 3, 4]]
    assert [rows.tolist() for rows in hard_negatives(QUERY, VECTORS, [[4, 2]], 9)] == [[1, 3, 0]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_mining_is_what_sorting_everything_gives(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = np.round(generator.normal(size=(30, 3)), 1).astype(np.float32)  # rounded: ties happen
    queries = np.round(generator.normal(size=(4, 3)), 1).astype(np.float32)
    positives = [generator.choice(30, 2, replace=False).tolist() for _ in range(4)]
    scores = queries @ vectors.T
    for row, own, mined in zip(scores, positives, hard_negatives(queries, vectors, positives, count), strict=True):
        expected = [k for k in sorted(range(30), key=lambda k: (-row[k], k)) if k not in own]
        assert mined.tolist() == expected[:count]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(RecipeError, match="not 0"):
        hard_negatives(QUERY, VECTORS, [[1]], 0)
    with pytest.raises(RecipeError, match="positives of 2"):
        hard_negatives(QUERY, VECTORS, [[1], [2]], 1)

"""Signs after a rotation: short, and close to what they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.retrievers.protocols import TokenVectors
from trailhound.retrievers.vectors._piece_codes import AskedPieces, CodedPieces, decode, encode, rotation, width_of


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def coded(vectors: np.ndarray) -> CodedPieces:
    return encode(TokenVectors(np.array([0, len(vectors)], np.int64), vectors.astype(np.float16)))


@pytest.mark.parametrize("dimension", [1, 7, 64, 384])
def test_the_rotation_keeps_lengths_and_angles(dimension: int) -> None:
    turn = rotation(dimension)
    assert turn.dtype == np.float32
    np.testing.assert_allclose(turn @ turn.T, np.eye(dimension), atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.sampled_from([64, 100, 384]), st.floats(0, 3))
def test_what_a_code_says_points_where_the_vector_does(seed: int, dimension: int, shared: float) -> None:
    """The cosine of a random vector with its signs is sqrt(2 / pi), 0.80, whatever all vectors have in common.

    Vectors that have nearly everything in common err alike, so their mean spreads as one vector's cosine does: by 0.02
    at 64 dimensions. The bounds are six such spreads away.
    """
    rng = np.random.default_rng(seed)
    common = rng.normal(size=dimension)
    vectors = unit(rng.normal(size=(50, dimension)) + shared * common)
    said = decode(coded(vectors).codes, dimension)
    np.testing.assert_allclose(np.linalg.norm(said, axis=1), 1, atol=1e-4)
    cosines = (vectors * said).sum(axis=1)
    assert cosines.mean() > 0.68
    assert cosines.min() > 0.55


@given(st.integers(0, 2**32 - 1), st.sampled_from([5, 64, 384]), st.integers(1, 9), st.integers(0, 30))
def test_similarity_is_the_inner_product_with_what_codes_say(seed: int, dimension: int, asked: int, said: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = unit(rng.normal(size=(asked, dimension))).astype(np.float32)
    codes = coded(rng.normal(size=(said, dimension))).codes
    assert codes.shape == (said, width_of(dimension))
    found = AskedPieces(pieces).similarity(codes)
    np.testing.assert_allclose(found, pieces @ decode(codes, dimension).T, atol=1e-5)


def test_texts_are_taken_in_the_order_asked() -> None:
    codes = np.arange(12, dtype=np.uint8).reshape(6, 2)
    some = CodedPieces(np.array([2, 0, 3, 1]), codes)
    assert len(some) == 4
    taken = some.take(np.array([3, 1, 0]))
    assert taken.counts.tolist() == [1, 0, 2]
    assert taken.codes.tolist() == [[10, 11], [0, 1], [2, 3]]
    joined = CodedPieces.joined([taken, some.take(np.array([2]))])
    assert joined.of(3).tolist() == [[4, 5], [6, 7], [8, 9]]

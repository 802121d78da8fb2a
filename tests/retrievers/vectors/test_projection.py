"""Shorter vectors: inner products are kept as well as can be, the map belongs to the name, damage is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound.errors import DamagedIndexError, EncoderError
from trailhound.index.index import Index
from trailhound.retrievers.protocols import Encoder, TokenCounter
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._encoder import PROJECTION, ProjectedEncoder, learn_projection
from trailhound.retrievers.vectors._piece_codes import PieceEncoder

TEXTS = [f"the {thing} of town {n}" for n in range(40) for thing in ("harbour", "baker", "bridge", "old gate")]


def in_a_plane(count: int, seed: int = 0) -> Vectors:
    """Unit vectors of 10 numbers that lie in 3 directions of them."""
    generator = np.random.default_rng(seed)
    frame, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(10, 3)))
    vectors = generator.normal(size=(count, 3)) @ frame.T
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_where_the_vectors_lie_in_few_directions_nothing_is_lost() -> None:
    vectors, asked = in_a_plane(50), in_a_plane(8, 1)
    projection = learn_projection(vectors, 3)
    np.testing.assert_allclose((vectors @ projection) @ (asked @ projection).T, vectors @ asked.T, atol=1e-5)


def test_no_map_of_that_rank_keeps_inner_products_better() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32) * np.linspace(
        2, 0.1, 12, dtype=np.float32
    )

    def lost(projection: Vectors) -> float:
        short = vectors @ projection
        return float(((short @ short.T - vectors @ vectors.T) ** 2).sum())

    best = lost(learn_projection(vectors, 5))
    generator = np.random.default_rng(1)
    for _ in range(30):
        nearby = learn_projection(vectors, 5) + 0.1 * generator.normal(size=(12, 5))
        assert lost(np.linalg.qr(nearby)[0].astype(np.float32)) >= best


def test_it_is_an_encoder_of_short_unit_vectors(hashing_encoder: Encoder, tmp_path: Path) -> None:
    vectors = hashing_encoder.encode(TEXTS)
    short = ProjectedEncoder(hashing_encoder, learn_projection(vectors, 16))
    assert isinstance(short, Encoder)
    assert short.dimension == 16
    found = short.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(short.encode(TEXTS[7:8])[0], found[7])
    np.testing.assert_array_equal(short.shortened(vectors), found)
    short.save(tmp_path)
    again = ProjectedEncoder.over(hashing_encoder, np.load(tmp_path / PROJECTION))
    assert again.name == short.name
    np.testing.assert_array_equal(again.encode(TEXTS[:3]), found[:3])
    other = ProjectedEncoder(hashing_encoder, learn_projection(vectors[:9], 16))
    assert other.name != short.name
    assert not isinstance(short, PieceEncoder)
    assert isinstance(short, TokenCounter)


def test_word_pieces_stay_as_they_are(late_index: Index) -> None:
    encoder = late_index.encoder
    assert isinstance(encoder, PieceEncoder)
    short = ProjectedEncoder(encoder, learn_projection(encoder.encode(TEXTS), 8))
    assert isinstance(short, PieceEncoder)
    vectors, pieces = short.encode_with_pieces(TEXTS[:4])
    np.testing.assert_array_equal(vectors, short.encode(TEXTS[:4]))
    np.testing.assert_array_equal(pieces.vectors, encoder.encode_with_pieces(TEXTS[:4])[1].vectors)


def test_tokens_are_counted_as_the_encoder_counts_them(hashing_encoder: Any) -> None:
    class Counting:
        name, dimension, max_tokens = "counting", hashing_encoder.dimension, 77
        encode = hashing_encoder.encode

        def count_tokens(self, text: str) -> int:
            return len(text.split())

    short = ProjectedEncoder(Counting(), learn_projection(hashing_encoder.encode(TEXTS), 8))
    assert isinstance(short, TokenCounter)
    assert (short.max_tokens, short.count_tokens("one two three")) == (77, 3)


@pytest.mark.parametrize("dimension", [0, -3, 64, 65])
def test_longer_vectors_are_refused(hashing_encoder: Encoder, dimension: int) -> None:
    with pytest.raises(EncoderError, match=f"64 numbers and cannot be made shorter to {dimension}"):
        learn_projection(hashing_encoder.encode(TEXTS), dimension)


@pytest.mark.parametrize("projection", [np.zeros((63, 8), np.float32), np.zeros((64, 8)), np.zeros(64, np.float32)])
def test_a_map_that_is_not_of_the_encoder_is_noticed(hashing_encoder: Encoder, projection: Vectors) -> None:
    with pytest.raises(DamagedIndexError, match="build the index again"):
        ProjectedEncoder.over(hashing_encoder, projection)

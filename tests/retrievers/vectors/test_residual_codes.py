"""Residual codes: the nearest words, more bits lose less, damage is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from trailhound.errors import DamagedIndexError
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._residual_codes import BITS, WORDS, ResidualCodec


def directions(count: int, dimension: int = 20, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)) + np.arange(dimension) / 5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_code_is_read_as_its_centre_and_its_word() -> None:
    """Two numbers at four bits, one byte: the words are corners of a square around the centre."""
    words = np.array([[-0.25, -0.5], [-0.25, 0.5], [0.25, -0.5], [0.25, 0.5]], np.float32)
    codec = ResidualCodec(np.array([[1, 0], [0, 1]], np.float32), np.resize(words, (1, WORDS, 2)))
    coded = codec.encode(np.array([[0.9, -0.1], [0.1, 1.1]], np.float32))
    assert (codec.bits, codec.width) == (4, 1)
    assert coded.cells.tolist() == [0, 1]
    assert (coded.codes % 4).tolist() == [[0], [3]]  # of words that are equal any may be taken
    expected = np.array([[0.75, -0.5], [0.25, 1.5]])
    lengths = np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(coded.lengths, lengths, rtol=1e-3)
    np.testing.assert_allclose(codec.decode(coded), expected / lengths[:, None], atol=1e-3)


@pytest.mark.parametrize("dimension", [3, 20, 64])
@pytest.mark.parametrize("bits", BITS)
def test_every_byte_is_the_nearest_word(bits: int, dimension: int) -> None:
    """Against words that are compared one by one."""
    vectors = directions(400, dimension)
    codec = ResidualCodec.learn(vectors, bits, 8)
    coded = codec.encode(vectors)
    assert (coded.cells.dtype, coded.codes.dtype, coded.lengths.dtype) == (np.uint16, np.uint8, np.float16)
    assert coded.codes.shape == (400, -(-dimension * bits // 8))
    together = 8 // bits
    left = np.zeros((400, codec.width * together))
    left[:, :dimension] = vectors - codec.centres[coded.cells]
    slow = np.zeros_like(left)
    for byte in range(codec.width):
        place = slice(byte * together, (byte + 1) * together)
        distances = ((left[:, None, place] - codec.books[byte]) ** 2).sum(axis=2)
        slow[:, place] = codec.books[byte][distances.argmin(axis=1)]
    said = codec.centres[coded.cells] + slow[:, :dimension]
    said /= np.linalg.norm(said, axis=1, keepdims=True)
    np.testing.assert_allclose(codec.decode(coded), said, atol=1e-3)


@pytest.mark.parametrize("dimension", [3, 20])
@pytest.mark.parametrize("bits", BITS)
def test_tables_say_the_inner_products_of_what_is_decoded(bits: int, dimension: int) -> None:
    vectors, pieces = directions(500, dimension), directions(7, dimension, seed=1)
    codec = ResidualCodec.learn(vectors, bits, 8)
    coded = codec.encode(vectors)
    asked = codec.asked(pieces)
    np.testing.assert_allclose(asked.similarity(coded), codec.decode(coded) @ pieces.T, atol=1e-5)
    np.testing.assert_allclose(asked.centres, codec.centres @ pieces.T, atol=1e-6)
    some = np.array([3, 77, 5])
    np.testing.assert_array_equal(asked.similarity(coded[some]), asked.similarity(coded)[some])


def test_more_bits_lose_less() -> None:
    vectors = directions(2000)
    lost = []
    for bits in BITS:
        codec = ResidualCodec.learn(vectors, bits, 16)
        lost.append(float(((codec.decode(codec.encode(vectors)) - vectors) ** 2).sum(axis=1).mean()))
    assert lost[0] > 2 * lost[1] > 8 * lost[2]
    assert lost[2] < 0.01


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_vectors_is_kept_exactly(count: int, capfd: pytest.CaptureFixture[str]) -> None:
    vectors = directions(count)
    codec = ResidualCodec.learn(vectors, 1, 64)
    np.testing.assert_allclose(codec.decode(codec.encode(vectors)), vectors, atol=1e-3)
    output = capfd.readouterr()
    assert output.out + output.err == ""


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    vectors = directions(200)
    codec = ResidualCodec.learn(vectors, 4, 8)
    codec.save(tmp_path / "codec")
    again = ResidualCodec.load(tmp_path / "codec")
    np.testing.assert_array_equal(again.decode(again.encode(vectors)), codec.decode(codec.encode(vectors)))


@pytest.mark.parametrize(
    "changes",
    [
        {"books": np.zeros((5, 128, 4), np.float32)},
        {"books": np.zeros((4, WORDS, 4), np.float32)},
        {"books": np.zeros((5, WORDS, 4))},
        {"centres": np.zeros((8, 20), np.float32)},
        {"centres": None},
        {"centres": np.zeros((8, 0), np.float16)},
    ],
    ids=["words", "bytes", "float64", "float32 centres", "no centres", "no numbers"],
)
def test_arrays_that_do_not_fit_are_noticed(tmp_path: Path, changes: dict[str, Vectors | None]) -> None:
    codec = ResidualCodec.learn(directions(200), 2, 8)
    arrays = {"centres": codec.centres.astype(np.float16), "books": codec.books, **changes}
    save_file({name: array for name, array in arrays.items() if array is not None}, str(tmp_path / "codec"))
    with pytest.raises(DamagedIndexError, match="do not fit together"):
        ResidualCodec.load(tmp_path / "codec")

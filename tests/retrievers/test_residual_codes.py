"""Residual codes: packing loses nothing, more bits lose less, buckets hold equal shares, damage is noticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from trailhound.errors import DamagedIndexError
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.residual_codes import BITS, ResidualCodec


def directions(count: int, dimension: int = 20, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)) + np.arange(dimension) / 5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_code_is_read_as_its_centre_and_its_buckets() -> None:
    """Two numbers at one bit each, worked by hand."""
    codec = ResidualCodec(
        np.array([[1, 0], [0, 1]], np.float32),
        np.zeros((2, 1), np.float32),
        np.array([[-0.25, 0.25], [-0.5, 0.5]], np.float32),
    )
    cells, codes = codec.encode(np.array([[0.9, -0.1], [0.1, 1.1]], np.float32))
    assert cells.tolist() == [0, 1]
    assert codes.tolist() == [[0b00], [0b11]]
    expected = np.array([[0.75, -0.5], [0.25, 1.5]])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(codec.decode(cells, codes), expected, atol=1e-6)


@pytest.mark.parametrize("dimension", [3, 20, 64])
@pytest.mark.parametrize("bits", BITS)
def test_packing_loses_nothing(bits: int, dimension: int) -> None:
    """Against buckets that are looked up one by one."""
    vectors = directions(300, dimension)
    codec = ResidualCodec.learn(vectors, bits, 8)
    cells, codes = codec.encode(vectors)
    assert (cells.dtype, codes.dtype) == (np.uint16, np.uint8)
    assert codes.shape == (300, -(-dimension * bits // 8))
    left = vectors - codec.centres[cells]
    slow = np.array(
        [[codec.values[d, np.searchsorted(codec.limits[d], left[t, d])] for d in range(dimension)] for t in range(300)]
    )
    slow += codec.centres[cells]
    slow /= np.linalg.norm(slow, axis=1, keepdims=True)
    np.testing.assert_allclose(codec.decode(cells, codes), slow, atol=1e-6)


def test_more_bits_lose_less() -> None:
    vectors = directions(2000)
    lost = []
    for bits in BITS:
        codec = ResidualCodec.learn(vectors, bits, 16)
        lost.append(float(((codec.decode(*codec.encode(vectors)) - vectors) ** 2).sum(axis=1).mean()))
    assert lost[0] > 2 * lost[1] > 8 * lost[2]
    assert lost[2] < 0.01


def test_every_bucket_holds_its_share() -> None:
    vectors = directions(4000)
    codec = ResidualCodec.learn(vectors, 2, 4)
    left = vectors - codec.centres[codec.encode(vectors)[0]]
    shares = [(left[:, 7] > limit).mean() for limit in codec.limits[7]]
    np.testing.assert_allclose(shares, [0.75, 0.5, 0.25], atol=0.02)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_vectors_is_kept_exactly(count: int, capfd: pytest.CaptureFixture[str]) -> None:
    vectors = directions(count)
    codec = ResidualCodec.learn(vectors, 1, 64)
    np.testing.assert_allclose(codec.decode(*codec.encode(vectors)), vectors, atol=1e-5)
    output = capfd.readouterr()
    assert output.out + output.err == ""


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    vectors = directions(200)
    codec = ResidualCodec.learn(vectors, 4, 8)
    codec.save(tmp_path / "codec")
    again = ResidualCodec.load(tmp_path / "codec")
    np.testing.assert_array_equal(again.decode(*again.encode(vectors)), codec.decode(*codec.encode(vectors)))


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": np.zeros((20, 2), np.float32)},
        {"values": np.zeros((19, 4), np.float32)},
        {"values": np.zeros((20, 4))},
        {"centres": None},
        {"centres": np.zeros((8, 0), np.float32)},
    ],
    ids=["limits", "values", "float64", "no centres", "no numbers"],
)
def test_arrays_that_do_not_fit_are_noticed(tmp_path: Path, changes: dict[str, Vectors | None]) -> None:
    codec = ResidualCodec.learn(directions(200), 2, 8)
    arrays = {"centres": codec.centres, "limits": codec.limits, "values": codec.values, **changes}
    save_file({name: array for name, array in arrays.items() if array is not None}, str(tmp_path / "codec"))
    with pytest.raises(DamagedIndexError, match="do not fit together"):
        ResidualCodec.load(tmp_path / "codec")

"""Nothing is encoded twice: vectors come from the index that is replaced, and from builds that were interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from trailhound.errors import EncoderError
from trailhound.retrievers._folder import SEGMENTS, SegmentEntry, commit, seal
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors import _vector_cache as vector_cache
from trailhound.retrievers.vectors._dense import VECTORS
from trailhound.retrievers.vectors._vector_cache import DENSE, KEYS, VectorCache, clear_vectors

TEXTS = [f"text number {n}" for n in range(23)]


class LetterEncoder:
    """Counts the letters of texts; breaks off after ``patience`` texts, as a killed process would."""

    def __init__(self, name: str = "letters", patience: int = 10**9) -> None:
        self.name = name
        self.dimension = 26
        self.encoded: list[str] = []
        self._patience = patience

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        if len(self.encoded) + len(texts) > self._patience:
            raise KeyboardInterrupt
        self.encoded += texts
        vectors = np.array([[text.count(chr(97 + k)) + 1 for k in range(26)] for text in texts], np.float32)
        if progress is not None:
            progress("encoding passages", len(texts), len(texts))
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "SHARD", 5)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.index"


def interrupt(place: Path, patience: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        VectorCache(place, LetterEncoder(patience=patience)).encode(TEXTS)


def encoded(place: Path) -> list[str]:
    """Encode all texts, forget them again, and return those that the encoder was asked for."""
    encoder = LetterEncoder()
    cache = VectorCache(place, encoder)
    _, vectors = cache.encode(TEXTS)
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))
    clear_vectors(place)
    return encoder.encoded


def shards(place: Path) -> list[Path]:
    return sorted((place.parent / ".x.index.vectors").glob("*.npz"))


def put_index(place: Path, encoder: str, keys: object, vectors: object, kept: str = VECTORS) -> None:
    """Write what the cache reads of an index of two segments; the vectors are in the second."""
    shutil.rmtree(place, ignore_errors=True)
    segments = []
    for name in ("s000001", "s000002"):
        (folder := place / SEGMENTS / name / DENSE).mkdir(parents=True)
        (folder / "other").touch()
        if name == "s000002":
            np.save(folder / KEYS, keys)
            np.save(folder / kept, vectors)
        segments.append(SegmentEntry(name, seal(folder.parent, {}), 23))
    numbers = dict.fromkeys(("generation", "dimension", "documents", "passages", "serials"), 1)
    commit(place, {"encoder": encoder, "settings": {}, "compiler": [], **numbers}, segments)


def test_equal_texts_are_encoded_once_and_stand_in_order(place: Path) -> None:
    encoder = LetterEncoder()
    texts = ["b", "a", "b", "", "a"]
    keys, vectors = VectorCache(place, encoder).encode(texts)
    assert encoder.encoded == ["b", "a", ""]
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(texts))
    assert keys.shape == (5, 16)
    assert (keys[0] == keys[2]).all()
    assert not (keys[0] == keys[1]).all()


def test_an_interrupted_encoding_goes_on_where_it_was(place: Path) -> None:
    interrupt(place, 17)
    encoder = LetterEncoder()
    cache = VectorCache(place, encoder)
    _, vectors = cache.encode(TEXTS)
    assert encoder.encoded == TEXTS[15:]
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))
    clear_vectors(place)
    assert list(place.parent.iterdir()) == []


def test_progress_speaks_of_what_is_new(place: Path) -> None:
    interrupt(place, 12)
    heard: list[tuple[str, int, int]] = []
    VectorCache(place, LetterEncoder()).encode(TEXTS, lambda *stage: heard.append(stage))
    assert heard == [("encoding passages", done, 13) for done in (5, 10, 13)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"PK nonsense" * 40,
        lambda content: content[:400] + bytes([content[400] ^ 1]) + content[401:],
    ],
    ids=["truncated", "empty", "nonsense", "flipped"],
)
def test_a_damaged_shard_is_encoded_again(place: Path, damage: Callable[[bytes], bytes]) -> None:
    interrupt(place, 17)
    first = shards(place)[0]
    first.write_bytes(damage(first.read_bytes()))
    encoder = LetterEncoder()
    _, vectors = VectorCache(place, encoder).encode(TEXTS)
    assert len(encoder.encoded) == 13
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))


def test_every_flipped_byte_of_a_shard_is_harmless(place: Path) -> None:
    interrupt(place, 7)
    (shard,) = shards(place)
    whole, expected = shard.read_bytes(), LetterEncoder().encode(TEXTS[:5])
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        shard.write_bytes(damaged)
        _, vectors = VectorCache(place, LetterEncoder()).encode(TEXTS[:5])
        np.testing.assert_array_equal(vectors, expected)


def test_shards_whose_arrays_do_not_fit_are_ignored(place: Path) -> None:
    interrupt(place, 7)
    (shard,) = shards(place)
    keys = np.zeros((5, 16), np.uint8)
    for vectors in (np.zeros((5, 25), np.float32), np.zeros((4, 26), np.float32), np.zeros(5, np.float32)):
        checksum = np.frombuffer(vector_cache._checksum(keys, vectors), np.uint8)
        shard.parent.mkdir(exist_ok=True)
        np.savez(shard, keys=keys, vectors=vectors, checksum=checksum)
        assert encoded(place) == TEXTS


def test_vectors_of_another_encoder_are_not_taken(place: Path) -> None:
    interrupt(place, 17)
    other = LetterEncoder("other letters")
    VectorCache(place, other).encode(TEXTS)
    assert other.encoded == TEXTS


def test_the_index_that_is_replaced_gives_its_vectors(place: Path) -> None:
    keys, vectors = VectorCache(place, LetterEncoder()).encode(TEXTS[:9])
    put_index(place, "letters", keys, vectors)
    encoder = LetterEncoder()
    _, again = VectorCache(place, encoder).encode([*TEXTS[5:12], "new"])
    assert encoder.encoded == [*TEXTS[9:12], "new"]
    np.testing.assert_array_equal(again, LetterEncoder().encode([*TEXTS[5:12], "new"]))


def test_codes_give_none_and_neither_do_another_encoder_or_damage(place: Path) -> None:
    keys, vectors = VectorCache(place, LetterEncoder()).encode(TEXTS)
    clear_vectors(place)
    put_index(place, "letters", keys, vectors, "codes.npy")
    assert encoded(place) == TEXTS
    put_index(place, "other letters", keys, vectors)
    assert encoded(place) == TEXTS
    put_index(place, "letters", keys[1:], vectors)
    assert encoded(place) == TEXTS
    put_index(place, "letters", keys, vectors)
    assert encoded(place) == []
    path = place / SEGMENTS / "s000002" / DENSE / VECTORS
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert encoded(place) == TEXTS


def test_vectors_that_are_not_finite_are_not_kept(place: Path) -> None:
    class BrokenEncoder(LetterEncoder):
        def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
            vectors = super().encode(texts, progress)
            vectors[[text.endswith("13") for text in texts]] = np.nan
            return vectors

    with pytest.raises(EncoderError, match="not finite for 'text number 13'"):
        VectorCache(place, BrokenEncoder()).encode(TEXTS)
    assert len(shards(place)) == 2
    encoder = LetterEncoder()
    VectorCache(place, encoder).encode(TEXTS)
    assert encoder.encoded == TEXTS[10:]


def test_another_build_may_clear_the_cache_meanwhile(place: Path) -> None:
    class ClearingEncoder(LetterEncoder):
        def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
            clear_vectors(place)
            return super().encode(texts, progress)

    _, vectors = VectorCache(place, ClearingEncoder()).encode(TEXTS)
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))

"""Nothing is encoded twice: vectors come from the index that is replaced, and from builds that were interrupted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from trailhound.errors import EncoderError
from trailhound.retrievers._folder import SEGMENTS, SegmentEntry, commit, seal
from trailhound.retrievers.protocols import Progress, TokenVectors
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors import _vector_cache as vector_cache
from trailhound.retrievers.vectors._dense import VECTORS
from trailhound.retrievers.vectors._late_interaction import PIECES, PieceIndex
from trailhound.retrievers.vectors._piece_codes import CodedPieces, encode
from trailhound.retrievers.vectors._vector_cache import DENSE, KEYS, VectorCache, clear_vectors
from trailhound.retrievers.vectors._vector_log import Record, VectorLog

TEXTS = [f"text number {n}" for n in range(25)]


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
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "PART", 5)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.index"


def interrupt(place: Path, patience: int) -> list[str]:
    """Break off encoding, and return what was encoded by then."""
    encoder = LetterEncoder(patience=patience)
    with pytest.raises(KeyboardInterrupt):
        VectorCache(place, encoder).encode(TEXTS)
    return encoder.encoded


def encoded(place: Path) -> list[str]:
    """Encode all texts, forget them again, and return those that the encoder was asked for."""
    encoder = LetterEncoder()
    cache = VectorCache(place, encoder)
    _, vectors, _ = cache.encode(TEXTS)
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))
    clear_vectors(place)
    return encoder.encoded


def log_of(place: Path) -> Path:
    return place.parent / ".x.index.vectors" / "vectors.log"


def put_index(
    place: Path, encoder: str, keys: object, vectors: object, kept: str = VECTORS, pieces: CodedPieces | None = None
) -> None:
    """Write what the cache reads of an index of two segments; the vectors are in the second."""
    shutil.rmtree(place, ignore_errors=True)
    segments = []
    for name in ("s000001", "s000002"):
        (folder := place / SEGMENTS / name / DENSE).mkdir(parents=True)
        (folder / "other").touch()
        if name == "s000002":
            np.save(folder / KEYS, keys)
            np.save(folder / kept, vectors)
            if pieces is not None:
                PieceIndex.write(folder.parent / PIECES, pieces)
        segments.append(SegmentEntry(name, seal(folder.parent, {}), 25))
    numbers = dict.fromkeys(("generation", "dimension", "documents", "passages", "serials"), 1)
    commit(place, {"encoder": encoder, "settings": {}, "compiler": [], **numbers}, segments)


def test_equal_texts_are_encoded_once_and_stand_in_order(place: Path) -> None:
    encoder = LetterEncoder()
    texts = ["b", "a", "b", "", "a"]
    keys, vectors, _ = VectorCache(place, encoder).encode(texts)
    assert sorted(encoder.encoded) == ["", "a", "b"]
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(texts))
    assert keys.shape == (5, 16)
    assert (keys[0] == keys[2]).all()
    assert not (keys[0] == keys[1]).all()


def test_an_interrupted_encoding_goes_on_where_it_was(place: Path) -> None:
    before = interrupt(place, 17)
    encoder = LetterEncoder()
    cache = VectorCache(place, encoder)
    _, vectors, _ = cache.encode(TEXTS)
    assert len(before) == 15
    assert sorted(encoder.encoded + before) == sorted(TEXTS)
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))
    cache.clear()
    assert list(place.parent.iterdir()) == []


def test_a_small_change_leaves_what_an_interrupted_build_encoded(place: Path) -> None:
    interrupt(place, 17)
    cache = VectorCache(place, LetterEncoder(), of_index=False)
    cache.encode(["another", "text"])
    cache.clear()
    assert VectorLog(place).count() == 15


def test_it_may_be_interrupted_again_and_again(place: Path) -> None:
    encoded = [text for patience in (6, 5, 11) for text in interrupt(place, patience)]
    assert len(set(encoded)) == len(encoded) == 20
    assert VectorLog(place).count() == 20
    encoder = LetterEncoder()
    VectorCache(place, encoder).encode(TEXTS)
    assert sorted(encoder.encoded + encoded) == sorted(TEXTS)


def test_texts_of_about_one_length_are_encoded_together(place: Path) -> None:
    encoder = LetterEncoder()
    VectorCache(place, encoder).encode(["x" * (7 * n % 40) for n in range(40)])
    lengths = [len(text) for text in encoder.encoded]
    parts = [lengths[first : first + 5] for first in range(0, 40, 5)]
    assert sorted(lengths) == list(range(40))
    assert all(max(part) - min(part) == 4 for part in parts)
    assert parts != sorted(parts)  # mixed, so that the time left can be told


def test_progress_speaks_of_what_is_new(place: Path) -> None:
    interrupt(place, 12)
    heard: list[tuple[str, int, int]] = []
    VectorCache(place, LetterEncoder()).encode(TEXTS, lambda *stage: heard.append(stage))
    assert heard == [("encoding passages", done, 15) for done in (5, 10, 15)]


RECORD = 40 + 5 * (16 + 4 * 26)


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda content: content[: len(content) - 1], 10),
        (lambda content: content[: RECORD + 20], 5),
        (lambda content: content[:10], 0),
        (lambda content: b"", 0),
        (lambda content: b"nonsense" * 400, 0),
        (lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:], 10),
        (lambda content: content + content[:50], 15),
        (lambda content: content + b"\0" * 500, 15),
        (lambda content: content[: 2 * RECORD] + b"thv2" + b"\xff" * 60, 10),
    ],
    ids=["torn", "torn head", "torn first", "empty", "nonsense", "flipped", "half behind", "zeros", "huge"],
)
def test_what_a_kill_or_a_disk_damages_is_encoded_again(
    place: Path, damage: Callable[[bytes], bytes], kept: int
) -> None:
    interrupt(place, 17)
    path = log_of(place)
    assert len(path.read_bytes()) == 3 * RECORD
    path.write_bytes(damage(path.read_bytes()))
    encoder = LetterEncoder(patience=6)
    cache = VectorCache(place, encoder)
    if kept < 15:  # what is encoded now is kept although something damaged was before it
        with pytest.raises(KeyboardInterrupt):
            cache.encode(TEXTS)
        kept += len(encoder.encoded)
    encoder = LetterEncoder()
    _, vectors, _ = VectorCache(place, encoder).encode(TEXTS)
    assert len(encoder.encoded) == len(TEXTS) - kept
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))


def test_every_flipped_byte_of_the_log_is_harmless(place: Path) -> None:
    known = interrupt(place, 7)
    path = log_of(place)
    whole, expected = path.read_bytes(), LetterEncoder().encode(known)
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        encoder = LetterEncoder()
        _, vectors, _ = VectorCache(place, encoder).encode(known)
        assert encoder.encoded
        np.testing.assert_array_equal(vectors, expected)


def test_vectors_of_another_length_are_ignored(place: Path) -> None:
    keys = VectorCache(place, LetterEncoder()).encode(TEXTS[:5])[0]
    VectorLog(place).append(Record(keys, np.ones((5, 25), np.float32)))
    assert sorted(encoded(place)) == sorted(TEXTS)


def test_vectors_of_another_encoder_are_not_taken(place: Path) -> None:
    interrupt(place, 17)
    other = LetterEncoder("other letters")
    VectorCache(place, other).encode(TEXTS)
    assert sorted(other.encoded) == sorted(TEXTS)


def test_the_index_that_is_replaced_gives_its_vectors(place: Path) -> None:
    keys, vectors, _ = VectorCache(place, LetterEncoder()).encode(TEXTS[:9])
    put_index(place, "letters", keys, vectors)
    encoder = LetterEncoder()
    _, again, _ = VectorCache(place, encoder).encode([*TEXTS[5:12], "new"])
    assert sorted(encoder.encoded) == sorted([*TEXTS[9:12], "new"])
    np.testing.assert_array_equal(again, LetterEncoder().encode([*TEXTS[5:12], "new"]))


def test_codes_give_none_and_neither_do_another_encoder_or_damage(place: Path) -> None:
    keys, vectors, _ = VectorCache(place, LetterEncoder()).encode(TEXTS)
    clear_vectors(place)
    put_index(place, "letters", keys, vectors, "codes.npy")
    assert sorted(encoded(place)) == sorted(TEXTS)
    put_index(place, "other letters", keys, vectors)
    assert sorted(encoded(place)) == sorted(TEXTS)
    put_index(place, "letters", keys[1:], vectors)
    assert sorted(encoded(place)) == sorted(TEXTS)
    put_index(place, "letters", keys, vectors)
    assert encoded(place) == []
    path = place / SEGMENTS / "s000002" / DENSE / VECTORS
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert sorted(encoded(place)) == sorted(TEXTS)


def test_vectors_that_are_not_finite_are_not_kept(place: Path) -> None:
    class BrokenEncoder(LetterEncoder):
        def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
            vectors = super().encode(texts, progress)
            vectors[[text.endswith("13") for text in texts]] = np.nan
            return vectors

    with pytest.raises(EncoderError, match="not finite for 'text number 13'"):
        VectorCache(place, BrokenEncoder()).encode(TEXTS)
    kept = VectorLog(place).count()
    encoder = LetterEncoder()
    VectorCache(place, encoder).encode(TEXTS)
    assert "text number 13" in encoder.encoded
    assert len(encoder.encoded) == len(TEXTS) - kept


def test_another_build_may_clear_the_cache_meanwhile(place: Path) -> None:
    class ClearingEncoder(LetterEncoder):
        def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
            clear_vectors(place)
            return super().encode(texts, progress)

    _, vectors, _ = VectorCache(place, ClearingEncoder()).encode(TEXTS)
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(TEXTS))


class WordEncoder(LetterEncoder):
    """Also gives the letters of every word."""

    def encode_with_pieces(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[Vectors, TokenVectors]:
        words = [text.split() for text in texts]
        flat = [word for some in words for word in some]
        offsets = np.cumsum([0, *map(len, words)]).astype(np.int64)
        pieces = np.array([[word.count(chr(97 + k)) + k / 26 for k in range(26)] for word in flat]).reshape(-1, 26)
        lengths = np.linalg.norm(pieces, axis=1, keepdims=True)
        return self.encode(texts, progress), TokenVectors(offsets, (pieces / lengths).astype(np.float16))

    def piece_spans(self, text: str) -> NDArray[np.int64]:
        return np.array([match.span() for match in re.finditer(r"\S+", text)], np.int64).reshape(-1, 2)


def test_word_pieces_come_with_the_vectors_and_neither_is_encoded_twice(place: Path) -> None:
    texts = ["one", "", "two words", "one", *TEXTS]
    expected = encode(WordEncoder().encode_with_pieces(texts)[1])
    before = WordEncoder(patience=17)
    with pytest.raises(KeyboardInterrupt):
        VectorCache(place, before, pieces=True).encode(texts)
    encoder = WordEncoder()
    keys, vectors, pieces = VectorCache(place, encoder, pieces=True).encode(texts)
    assert sorted(encoder.encoded + before.encoded) == sorted(set(texts))
    assert pieces is not None
    np.testing.assert_array_equal(pieces.counts, expected.counts)
    np.testing.assert_array_equal(pieces.codes, expected.codes)
    np.testing.assert_array_equal(vectors, LetterEncoder().encode(texts))
    clear_vectors(place)
    put_index(place, "letters", keys, vectors)
    again = WordEncoder()
    VectorCache(place, again).encode(texts)
    assert again.encoded == [], "vectors are there, and nobody asks for more"
    VectorCache(place, again, pieces=True).encode(texts[:3])
    assert sorted(again.encoded) == ["", "one", "two words"], "an index without word pieces has none to give"


def test_the_index_that_is_replaced_gives_its_word_pieces(place: Path) -> None:
    keys, vectors, pieces = VectorCache(place, WordEncoder(), pieces=True).encode(TEXTS)
    assert pieces is not None
    clear_vectors(place)
    put_index(place, "letters", keys, vectors, pieces=pieces)
    encoder = WordEncoder()
    _, _, again = VectorCache(place, encoder, pieces=True).encode(TEXTS[::-1])
    assert encoder.encoded == []
    assert again is not None
    np.testing.assert_array_equal(again.codes, pieces.take(np.arange(25)[::-1]).codes)


def test_an_encoder_without_word_pieces_cannot_keep_them(place: Path) -> None:
    with pytest.raises(EncoderError, match="letters gives no word pieces"):
        VectorCache(place, LetterEncoder(), pieces=True)

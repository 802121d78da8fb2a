"""Scores by word pieces: MaxSim as it is defined over what codes say, and files that belong together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import DamagedIndexError, EncoderError
from trailhound.index.index import Index
from trailhound.retrievers.protocols import TokenVectors
from trailhound.retrievers.vectors._late_interaction import LOWEST, PieceIndex
from trailhound.retrievers.vectors._piece_codes import decode, encode

D = 40


def directions(rng: np.random.Generator, count: int) -> np.ndarray:
    drawn = rng.normal(size=(count, D))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def written(folder: Path, counts: list[int], seed: int) -> PieceIndex:
    offsets = np.cumsum([0, *counts]).astype(np.int64)
    vectors = directions(np.random.default_rng(seed), int(offsets[-1])).astype(np.float16)
    PieceIndex.write(folder, encode(TokenVectors(offsets, vectors)))
    return PieceIndex(folder)


@given(
    st.lists(st.integers(0, 700), min_size=1, max_size=12),
    st.lists(st.integers(0, 11), max_size=20),
    st.integers(1, 6),
    st.integers(0, 999),
)
def test_scores_are_maxsim_over_what_the_codes_say(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], chosen: list[int], asked: int, seed: int
) -> None:
    index = written(tmp_path_factory.mktemp("late") / "pieces", counts, seed)
    pieces = directions(np.random.default_rng(seed + 1), asked)
    rows = np.array([row for row in chosen if row < len(counts)], np.int64)
    expected = [
        float((pieces @ decode(index.coded.of(row), D).T).max(axis=1).mean()) if counts[row] else LOWEST
        for row in rows.tolist()
    ]
    np.testing.assert_allclose(index.score(pieces, rows), np.array(expected, np.float32), atol=1e-5)
    assert (index.score(pieces[:0], rows) == LOWEST).all()


def test_passages_are_found_by_their_own_words(tmp_path: Path) -> None:
    """As whole vectors find them: of those a word of the passage has a cosine of 1."""
    rng = np.random.default_rng(0)
    words = directions(rng, 300)
    passages = [rng.permutation(300)[:20] for _ in range(60)]
    offsets = np.arange(0, 61 * 20, 20)
    PieceIndex.write(
        tmp_path / "pieces", encode(TokenVectors(offsets, words[np.concatenate(passages)].astype(np.float16)))
    )
    index = PieceIndex(tmp_path / "pieces")
    found = [int(index.score(words[some[::4]], np.arange(60)).argmax()) for some in passages]
    assert sum(best == row for row, best in enumerate(found)) >= 57


def test_threads_share_it(late_index: Index) -> None:
    scorer, rows = late_index.pieces, late_index.store.rows()
    assert scorer is not None
    asked = [late_index.query(late_index.store.passage(row).text).pieces for row in range(0, 150, 10)]
    alone = [scorer.score(pieces, rows) for pieces in asked if pieces is not None]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pieces: scorer.score(pieces, rows), asked))
    np.testing.assert_array_equal(alone, together)


def test_pieces_of_another_length_are_refused(tmp_path: Path) -> None:
    index = written(tmp_path / "pieces", [2, 3], 0)
    with pytest.raises(EncoderError, match="have 64 numbers, and those of the index 40: ask with the encoder"):
        index.score(np.ones((1, 64), np.float32), np.array([0]))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "codes.npy").unlink(),
        lambda folder: (folder / "counts.npy").write_bytes(b"no array"),
        lambda folder: np.save(folder / "counts.npy", np.array([2, 4])),
        lambda folder: np.save(folder / "counts.npy", np.array([2.0, 3.0])),
        lambda folder: np.save(folder / "codes.npy", np.zeros((5, 5), np.int8)),
        lambda folder: np.save(folder / "codes.npy", np.zeros(25, np.uint8)),
    ],
    ids=["none", "no array", "more", "numbers", "type", "flat"],
)
def test_files_that_do_not_belong_together_are_damage(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    written(tmp_path / "pieces", [2, 3], 0)
    damage(tmp_path / "pieces")
    with pytest.raises(DamagedIndexError, match="build the index again"):
        PieceIndex(tmp_path / "pieces")

"""A change comes back from its bytes as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document
from trailhound.errors import DamagedIndexError
from trailhound.retrievers.changing.changes import Change
from trailhound.retrievers.compiling.chunking import chunk
from trailhound.retrievers.vectors.residual_codes import Coded, CodedTexts

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
documents = st.builds(
    Document,
    texts,
    texts,
    texts,
    source=texts,
    atomic=st.booleans(),
    metadata=st.dictionaries(texts, st.integers() | texts | st.none() | st.lists(st.booleans()), max_size=3),
)


@settings(deadline=None)  # a busy machine takes its time
@given(st.lists(documents, max_size=3), st.lists(texts, max_size=3))
def test_there_and_back(some: list[Document], removed: list[str]) -> None:
    passages = tuple(tuple(chunk(document)) for document in some)
    count = sum(map(len, passages))
    vectors = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
    mentions = {row: [(3, 0, 1, 5), (9, 1, 7, 8)] for row in range(count)}
    change = Change(tuple(removed), tuple(some), passages, vectors, mentions, [(0, 1, 0.1), (2, 7, 12.5)])
    again = Change.from_bytes(change.to_bytes())
    np.testing.assert_array_equal(again.vectors, vectors)
    assert again.vectors.dtype == np.float32
    assert (again.removed, again.documents, again.passages) == (tuple(removed), tuple(some), passages)
    assert (again.mentions, again.shares) == (mentions, [(0, 1, 0.1), (2, 7, 12.5)])


def test_lines_word_pieces_and_duplicates_come_back_too() -> None:
    document = Document("d", "T", "One. Two.")
    [passage] = chunk(document)
    generator = np.random.default_rng(1)
    coded = Coded(
        np.array([3, 65535, 0], np.uint16),
        generator.integers(0, 256, (3, 5)).astype(np.uint8),
        np.array([0.5, 1, 1.25], np.float16),
    )
    pieces = CodedTexts(np.array([2, 0, 1]), coded)
    left_out = {"document": "d", "passage": "d#1", "reason": "equal", "found_as": "e#0"}
    vectors = np.ones((1, 4), np.float32)
    change = Change((), (document,), ((passage,),), vectors, {}, (), ("A > B",), pieces, (left_out,))
    again = Change.from_bytes(change.to_bytes())
    assert (again.lines, again.dropped) == (("A > B",), (left_out,))
    assert again.pieces is not None
    assert again.pieces.counts.tolist() == [2, 0, 1]
    for name in ("cells", "codes", "lengths"):
        one, other = getattr(again.pieces.coded, name), getattr(coded, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.vectors, vectors)
    too_many = replace(change, lines=("A > B", "A > C"))
    for content in (change.to_bytes() + b"x", change.to_bytes()[:-1], too_many.to_bytes()):
        with pytest.raises(DamagedIndexError, match="cannot be read"):
            Change.from_bytes(content)


@pytest.mark.parametrize("content", [b"", b"12345678", (5).to_bytes(8, "little") + b"[1,2]", b"\xff" * 40])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        Change.from_bytes(content)

"""A change comes back from its bytes as it was."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document
from trailhound.errors import DamagedIndexError
from trailhound.retrievers.changes import Change
from trailhound.retrievers.chunking import chunk

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


@pytest.mark.parametrize("content", [b"", b"12345678", (5).to_bytes(8, "little") + b"[1,2]", b"\xff" * 40])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        Change.from_bytes(content)

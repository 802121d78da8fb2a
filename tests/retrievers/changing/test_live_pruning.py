"""What repeats a passage of an index is found as if all passages had passed through one sieve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document
from trailhound.errors import DamagedIndexError, UpdateError
from trailhound.retrievers.changing.live_pruning import BaseMarks, KnownPassages, standing_behind
from trailhound.retrievers.changing.live_store import LiveStore, StoreAdditions
from trailhound.retrievers.changing.snapshot import Snapshot
from trailhound.retrievers.compiling.chunking import chunk, sentence_spans
from trailhound.retrievers.compiling.pruning import MARKS, Sieve
from trailhound.retrievers.records import Passage
from trailhound.retrievers.store import FILE_NAME, EvidenceStore, StoreWriter

TEXT = "the gate of the harbour was built by an engineer who had quarrelled with the owners of the quay"
WORDS = TEXT.split()


def passages_of(texts: list[str]) -> list[Passage]:
    return [passage for k, text in enumerate(texts) for passage in chunk(Document(f"d{k}", "", text, atomic=True))]


def known(folder: Path, base: list[Passage], added: list[Passage], gone: list[int]) -> KnownPassages:
    """Return what is known of passages that were let through, the last of the additions not yet marked."""
    sieve = Sieve()
    assert sieve.pass_through(base) == base
    sieve.save(folder)
    writer, additions = StoreWriter(folder / FILE_NAME), StoreAdditions()
    for passage in base:
        writer.add(Document(passage.document_id, "", passage.text, atomic=True), [passage])
    writer.close()
    for row, passage in enumerate(added, len(base)):
        additions.add(Document(passage.document_id, "", passage.text, atomic=True), [passage], row, 1)
    rows = len(base) + len(added)
    store = LiveStore(EvidenceStore(folder / FILE_NAME), additions, Snapshot(len(base), rows, 1, rows, rows, {}))
    return KnownPassages(BaseMarks(folder, len(base)), [], store, rows, len(base), gone)


@settings(max_examples=60, deadline=None)
@given(
    left_out=st.lists(st.sets(st.sampled_from(range(len(WORDS))), max_size=3), min_size=4, max_size=9), data=st.data()
)
def test_it_is_as_if_all_had_passed_through_one_sieve(
    left_out: list[set[int]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Texts are the same words without some: alike, equal, or different."""
    every = passages_of([" ".join(w for k, w in enumerate(WORDS) if k not in some) for some in left_out])
    cut = data.draw(st.integers(0, len(every)))
    whole = Sieve()
    let_through = whole.pass_through(every[:cut])
    base = data.draw(st.integers(0, len(let_through)))
    first = len(whole.dropped)
    expected = whole.pass_through(every[cut:])
    folder = tmp_path_factory.mktemp("known")
    sieve = Sieve(known(folder, let_through[:base], let_through[base:], []))
    assert sieve.pass_through(every[cut:]) == expected
    assert sieve.dropped == whole.dropped[first:]


def test_what_goes_keeps_nothing_out(tmp_path: Path) -> None:
    before = passages_of(["bread", TEXT, "water", "salt"])
    again = Passage("n", "n", "", TEXT.upper(), 0, len(TEXT), sentence_spans(TEXT.upper()))
    entry = {"document": "n", "passage": "n", "reason": "equal", "found_as": "d1"}
    for gone, let_through in (([], []), ([0, 3], []), ([1], [again])):
        folder = tmp_path / str(gone)
        folder.mkdir()
        sieve = Sieve(known(folder, before[:2], before[2:], gone))
        assert sieve.pass_through([again]) == let_through
        assert sieve.dropped == ([] if let_through else [entry])


def test_who_stands_behind() -> None:
    dropped = [
        {"document": "b", "passage": "b#1", "reason": "near", "found_as": "a#0"},
        {"document": "a", "passage": "a#3", "reason": "equal", "found_as": "a#0"},
        {"document": "c", "passage": "c#0", "reason": "equal", "found_as": "b#0"},
    ]
    assert standing_behind(dropped, ["a"], ["a#0", "a#1"]) == {"b"}
    assert standing_behind(dropped, ["a"], ["a#1"]) == set()
    with pytest.raises(UpdateError, match="built by an earlier version"):
        standing_behind([{"passage": "b#1", "reason": "near", "found_as": "a#0"}], ["a"], ["a#0"])


def test_marks_that_are_not_the_index_s(tmp_path: Path) -> None:
    with pytest.raises(UpdateError, match="build it again, and from then on it can be changed"):
        BaseMarks(tmp_path, 3)
    for content in (np.zeros((2, 18), np.uint64), np.zeros((3, 18), np.int64), np.zeros(3, np.uint64)):
        np.save(tmp_path / MARKS, content)
        with pytest.raises(DamagedIndexError, match="of 3 passages"):
            BaseMarks(tmp_path, 3)
    (tmp_path / MARKS).write_bytes(b"no array")
    with pytest.raises(DamagedIndexError, match="cannot be read"):
        BaseMarks(tmp_path, 3)

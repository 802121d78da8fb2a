"""Terms and their frequencies are those of a term index over all passages that are left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.retrievers.changing.live_terms import LiveTerms, Shift, TermAdditions
from trailhound.retrievers.changing.snapshot import Snapshot
from trailhound.retrievers.words.terms import TermIndex, term_hashes

texts = st.lists(
    st.lists(st.sampled_from(["ship", "town", "baker", "river", "stone", "the"]), max_size=5).map(" ".join), max_size=5
)


@settings(deadline=None)  # a busy machine takes its time
@given(texts, texts, st.sets(st.integers(0, 9)))
def test_as_a_term_index_over_what_is_left(base: list[str], added: list[str], dead: set[int]) -> None:
    everything = base + added
    died = {row: 2 for row in dead if row < len(everything)}
    rows = [row for row in range(len(everything)) if row not in died]
    additions, index, shift = TermAdditions(), TermIndex.build(base), Shift()
    for text in added:
        additions.add(term_hashes(text))
        shift = shift.moved([term_hashes(text)], [])
    shift = shift.moved([], [term_hashes(everything[row]) for row in died])
    additions.add(term_hashes("later"))
    live = LiveTerms(index, additions, shift, Snapshot(len(base), len(everything), 2, len(rows), len(rows), died))
    anew = TermIndex.build([everything[row] for row in rows])
    asked = term_hashes("ship town baker river stone later nowhere")
    np.testing.assert_array_equal(live.document_frequency(asked), anew.document_frequency(asked))
    np.testing.assert_array_equal(live.idf(asked), anew.idf(asked))
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(live.terms(row), anew.terms(place))
    hashes, owner = live.terms_of(np.array(rows, np.int64))
    expected_hashes, expected_owner = anew.terms_of(np.arange(len(rows)))
    np.testing.assert_array_equal(hashes, expected_hashes)
    np.testing.assert_array_equal(owner, expected_owner)


def test_rows_that_are_gone_or_not_yet_there_have_no_terms() -> None:
    live = LiveTerms(TermIndex.build(["a ship", "a town"]), TermAdditions(), Shift(), Snapshot(2, 2, 1, 1, 1, {0: 1}))
    assert live.terms(1).tolist() == term_hashes("town").tolist()
    for row in (0, 2, -1):
        with pytest.raises(IndexError, match=f"row {row} "):
            live.terms(row)

"""Documents that no run found: counted by document, and runs of another index are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound.errors import QuestionsError
from trailhound.index.index import Index
from trailhound.measuring._metrics import documents_never_retrieved, write_run


def test_a_document_stays_when_any_run_found_any_of_its_passages(small_index: Index, tmp_path: Path) -> None:
    store = small_index.store
    found = [store.passage(row) for row in (3, 4, 40)]
    one, other = tmp_path / "one.trec", tmp_path / "other.trec"
    write_run(one, {"q1": {found[0].id: 2.0}, "q2": {found[1].id: 1.0, found[0].id: 0.5}}, "tag")
    write_run(other, {"q1": {found[2].id: 1.0}}, "tag")
    kept = {passage.document_id for passage in found}
    expected = [document for document in store.document_ids() if document not in kept]
    assert documents_never_retrieved(small_index, [one, other]) == expected
    assert len(expected) == store.documents - len(kept)


def test_what_says_nothing_removes_nothing(small_index: Index, tmp_path: Path) -> None:
    empty, foreign = tmp_path / "empty.trec", tmp_path / "foreign.trec"
    empty.write_text("")
    write_run(foreign, {"q": {"elsewhere": 1.0}}, "tag")
    with pytest.raises(QuestionsError, match="no run file"):
        documents_never_retrieved(small_index, [])
    with pytest.raises(QuestionsError, match="ranks no passage"):
        documents_never_retrieved(small_index, [empty])
    with pytest.raises(QuestionsError, match="'elsewhere', which"):
        documents_never_retrieved(small_index, [foreign])

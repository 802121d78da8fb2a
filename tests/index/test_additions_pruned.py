"""Duplicates while an index changes: what repeats stays out, what stood behind a document that goes comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document, Index, IndexSettings
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._pruning import DUPLICATES, MARKS, DuplicateFilter
from trailhound.retrievers.protocols import Encoder

GATE = "The gate of the harbour was built by Brun Oller, who had long quarrelled with the owners of the quay."
BREAD = "Bread is baked from flour, water and salt, and was sold to the crews of the ships in winter."
PRUNED = IndexSettings(drop_duplicates=True, chunk_tokens=20)


def built(folder: Path, encoder: Encoder, *documents: Document) -> Index:
    return Index.build(documents, folder / "x", settings=PRUNED, encoder=encoder)


def by_the_filter(documents: list[Document]) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    """Return passages and duplicates of an index that is built from documents."""
    duplicates = DuplicateFilter()
    kept = [passage for document in documents for passage in duplicates.pass_through(chunk(document, 20))]
    return [(passage.id, passage.text) for passage in kept], duplicates.dropped


def state(index: Index) -> tuple[list[tuple[str, str]], list[dict[str, str]]]:
    by_document = [index.store.passages(index.store.rows_of(some)) for some in index.store.document_ids()]
    return [(passage.id, passage.text) for some in by_document for passage in some], index.dropped


def test_a_passage_that_repeats_one_is_left_out_and_said(tmp_path: Path, word_encoder: Encoder) -> None:
    index = built(tmp_path, word_encoder, Document("a", "", GATE))
    report = index.add([Document("b", "", f"{GATE.upper()} {BREAD}"), Document("c", "", BREAD + "!")])
    assert (report.added, report.passages) == (2, 1)
    expected = [
        {"document": "b", "passage": "b#0", "reason": "equal", "found_as": "a#0"},
        {"document": "c", "passage": "c#0", "reason": "equal", "found_as": "b#1"},
    ]
    assert list(report.dropped) == index.dropped == expected
    assert not index.store.has("c#0")
    assert index.store.document("c").text == BREAD + "!"
    assert Index.open(index.path, encoder=word_encoder).dropped == expected
    assert index.compact()
    assert index.dropped == expected


def test_deleting_a_document_brings_back_what_stood_behind_it(tmp_path: Path, word_encoder: Encoder) -> None:
    index = built(tmp_path, word_encoder, Document("a", "", GATE), Document("b", "", GATE), Document("c", "", BREAD))
    index.add([Document("d", "", GATE)])
    report = index.delete(["a"])
    assert (report.deleted, report.passages, report.restored) == (1, 0, ("b#0",))
    assert report.dropped == ()
    assert index.dropped == [{"document": "d", "passage": "d#0", "reason": "equal", "found_as": "b#0"}]
    assert index.store.document_ids() == ["c", "b", "d"]
    hits = index.lexical.search(index.query("Brun Oller"), 5).rows.tolist()
    assert [passage.id for passage in index.store.passages(hits)] == ["b#0"]
    assert state(Index.open(index.path, encoder=word_encoder)) == state(index)
    assert index.delete(["d", "b"]).restored == ()
    assert index.dropped == []


def test_replacing_a_document_brings_it_back_too(tmp_path: Path, word_encoder: Encoder) -> None:
    index = built(tmp_path, word_encoder, Document("a", "", GATE), Document("b", "", GATE))
    report = index.add([Document("a", "", BREAD)], replace=True)
    assert (report.replaced, report.passages, report.restored, report.dropped) == (1, 1, ("b#0",), ())
    report = index.add([Document("a", "", GATE)], replace=True)
    assert (report.replaced, report.passages, report.restored) == (1, 0, ())
    assert [entry["found_as"] for entry in report.dropped] == ["b#0"]


TEXTS = [GATE, GATE + " It leaks.", GATE.replace("long ", ""), BREAD, f"{GATE} {BREAD}", f"{BREAD} {GATE}", "Salt."]
STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([*TEXTS, None])), min_size=1, max_size=8)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=4), STEPS)
def test_it_is_always_what_a_build_of_the_same_documents_lets_through(
    tmp_path: Path, word_encoder: Encoder, base: list[str], steps: list[tuple[str, str | None]]
) -> None:
    index = built(tmp_path, word_encoder, *(Document("abcdef"[k], "", text) for k, text in enumerate(base)))
    for identifier, text in steps:
        if text is not None:
            index.add([Document(identifier, "", text)], replace=True)
        elif index.store.having([identifier]):
            index.delete([identifier])
        documents = [index.store.document(some) for some in index.store.document_ids()]
        assert state(index) == by_the_filter(documents)
    assert state(Index.open(index.path, encoder=word_encoder)) == state(index)


def test_compacted_it_is_the_index_that_is_built_from_all_documents(
    tmp_path: Path, word_encoder: Encoder, files_of: Callable[[Index], dict[str, Any]]
) -> None:
    index = built(tmp_path, word_encoder, Document("a", "", GATE), Document("b", "", GATE), Document("c", "", BREAD))
    index.add([Document("d", "", BREAD), Document("e", "", "Salt.")])
    index.delete(["a"])
    assert index.compact()
    documents = [index.store.document(identifier) for identifier in index.store.document_ids()]
    anew = Index.build(documents, tmp_path / "y", settings=PRUNED, encoder=word_encoder)
    assert files_of(index) == files_of(anew)
    assert {DUPLICATES, MARKS} < set(files_of(index))

"""What every evidence store does alike: one in a file, in several segments, in a database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Passage
from trailhound.errors import CorpusError
from trailhound.index._segment_rows import new_rows, open_store
from trailhound.index._segment_views import Column, SegmentedStore
from trailhound.retrievers._store import FILE_NAME, EvidenceStore
from trailhound.retrievers.compiling._chunking import chunk

DOCUMENTS = [
    Document("a", "Ada Lovelace", "Ada Lovelace wrote notes. They were long.", "a.txt", metadata={"year": 1843}),
    Document("b", "", "No title here; an emoji 🦊, a \\ and a %s?\ttab.", "b.txt:7", metadata={"file_hash": "f"}),
    Document("c", "Long", "  First sentence here.\n\nSecond sentence there.  Third one is last.\n", "c.md"),
    Document("d", "Delivered", "Passages come as they are.", atomic=True, metadata={"tags": ["x", "ö"], "a": {"b": 1}}),
    Document("e", "Empty", ""),
    Document("f", "Last", "It has " + "many words, " * 400, metadata={"corpus_root": 1}),
]
KINDS = ["file", "segments", "database"]
Store = EvidenceStore | SegmentedStore


def written(folder: Path, documents: list[Document], url: str) -> EvidenceStore:
    """Write a segment, and return its store."""
    folder.mkdir()
    rows = new_rows(folder, url)
    writer = rows.writer()
    for document in documents:
        writer.add(document, chunk(document, 4))
    writer.close()
    store = open_store(folder, {**rows.about(), "files": {FILE_NAME: None}})
    assert store is not None
    return store


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = request.getfixturevalue("database") if request.param == "database" else ""
    if request.param != "segments":
        yield (one := written(tmp_path / "one", DOCUMENTS, url))
        one.close()
        return
    parts = [written(tmp_path / name, some, "") for name, some in (("x", DOCUMENTS[:2]), ("y", DOCUMENTS[2:]))]
    columns = [part.columns() for part in parts]
    offsets = np.cumsum([0, *map(len, parts)]).tolist()
    names = (Column([one[side] for one in columns], offsets) for side in (0, 1))
    stores = [(part, len(part), np.zeros(part.documents, np.bool_)) for part in parts]
    title_of, document_of = names
    yield SegmentedStore(stores, np.ones(offsets[-1], np.bool_), (title_of, document_of))
    for part in parts:
        part.close()


PASSAGES: list[Passage] = [passage for document in DOCUMENTS for passage in chunk(document, 4)]


def test_passages_come_back_whole_and_in_order(store: Store) -> None:
    assert list(store) == PASSAGES
    assert len(store) == len(PASSAGES)
    assert store.passages([3, 0, 3]) == [PASSAGES[3], PASSAGES[0], PASSAGES[3]]
    assert store.rows().tolist() == list(range(len(PASSAGES)))
    for row, passage in enumerate(PASSAGES):
        assert store.row_of(passage.id) == row
    assert store.has(PASSAGES[0].id)
    assert not store.has("nothing")
    assert store.alive(0)
    assert not store.alive(len(PASSAGES))


def test_documents_come_back_whole(store: Store) -> None:
    assert store.documents == len(DOCUMENTS)
    assert store.document_ids() == [document.id for document in DOCUMENTS]
    for document in DOCUMENTS:
        assert store.document(document.id) == document
        rows = [row for row, passage in enumerate(PASSAGES) if passage.document_id == document.id]
        assert store.rows_of(document.id) == rows
    assert store.having(["f", "nothing", "a"]) == ["f", "a"]


def test_what_documents_say_of_themselves_is_read_column_by_column(store: Store) -> None:
    assert [(one.source, one.file_hash, one.root) for one in store.origins()] == [
        (document.source, document.metadata.get("file_hash"), document.metadata.get("corpus_root"))
        for document in DOCUMENTS
    ]
    if isinstance(store, EvidenceStore):  # segments are asked one by one
        assert store.metadata_column("a.b") == [None, None, None, 1, None, None]
        assert store.metadata_column("title") == [document.title for document in DOCUMENTS]
        assert store.numbers(["c", "nothing"]) == {"c": 2}
        assert store.columns() == ([one.title for one in PASSAGES], [one.document_id for one in PASSAGES])
        places = {document.id: place for place, document in enumerate(DOCUMENTS)}
        assert store.document_numbers().tolist() == [places[one.document_id] for one in PASSAGES]


def test_what_is_not_there_is_said(store: Store) -> None:
    for asked in (store.document, store.rows_of, store.row_of):
        with pytest.raises(KeyError, match="nothing"):
            asked("nothing")
    for row in (-1, len(PASSAGES)):
        with pytest.raises(IndexError, match=str(row)):
            store.passage(row)


def test_threads_share_one(store: Store) -> None:
    rows = list(range(len(PASSAGES)))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(store.passage, rows * 3))
    assert found == PASSAGES * 3


@pytest.mark.parametrize("kind", ["file", "database"])
@pytest.mark.parametrize(
    ("document", "passages", "said"),
    [
        (Document("a", "Again", "Another text."), None, "must be unique"),
        (Document("n", "New", "One."), [Passage("a#0", "n", "New", "One.", 0, 4, ())], "must be unique"),
        (Document("s", "Lone \ud800", "One."), None, "surrogates"),
        (Document("m", "New", "One.", metadata={"x": object()}), None, "metadata is JSON"),
    ],
)
def test_what_cannot_be_stored_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, document: Document, passages: Any, said: str
) -> None:
    (tmp_path / "one").mkdir()
    writer = new_rows(tmp_path / "one", request.getfixturevalue("database") if kind == "database" else "").writer()
    writer.add(DOCUMENTS[0], chunk(DOCUMENTS[0], 4))
    with pytest.raises(CorpusError, match=said):
        writer.add(document, chunk(document, 4) if passages is None else passages)
    writer.abandon()


def test_a_character_that_the_database_cannot_hold_is_named(tmp_path: Path, database: str) -> None:
    (tmp_path / "one").mkdir()
    writer = new_rows(tmp_path / "one", database).writer()
    with pytest.raises(CorpusError, match="'z' holds a NUL character"):
        writer.add(Document("z", "Zero", "A \0 in it."), [])
    writer.abandon()

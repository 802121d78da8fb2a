"""The evidence store keeps every passage exactly, notices damage, and lets threads read side by side."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document, Passage
from trailhound.errors import CorpusError, DamagedIndexError
from trailhound.retrievers._store import FILE_NAME, EvidenceStore, StoreWriter
from trailhound.retrievers.compiling._chunking import chunk

DOCUMENTS = [
    Document("a", "Ada Lovelace", "Ada Lovelace wrote notes. They were long.", "a.txt", metadata={"year": 1843}),
    Document("b", "", "No title here; an emoji 🦊 and a NUL \0 inside.", "b.txt:7"),
    Document("c", "Long", "  First sentence here.\n\nSecond sentence there.  Third one is last.\n", "c.md"),
    Document("d", "Delivered", "Passages come as they are. Never cut.", atomic=True, metadata={"tags": ["x", "ö"]}),
    Document("e", "Empty", ""),
]


def write(path: Path, documents: Sequence[Document], words: int = 4) -> list[Passage]:
    writer = StoreWriter(path)
    passages = []
    for document in documents:
        parts = chunk(document, words)
        writer.add(document, parts)
        passages += parts
    writer.close()
    return passages


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


@pytest.fixture
def store(place: Path) -> Iterator[EvidenceStore]:
    write(place, DOCUMENTS)
    opened = EvidenceStore(place)
    yield opened
    opened.close()


def change(place: Path, statement: str) -> None:
    """Change the database behind the store's back."""
    connection = sqlite3.connect(place)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_passages_come_back_as_they_were_written(place: Path) -> None:
    written = write(place, DOCUMENTS)
    store = EvidenceStore(place)
    assert len(store) == len(written) > len(DOCUMENTS)
    assert list(store) == written
    assert store.passages([3, 0, 3]) == [written[3], written[0], written[3]]
    assert [store.row_of(passage.id) for passage in written] == list(range(len(written)))
    titles, documents = store.columns()
    assert titles == [passage.title for passage in written]
    assert documents == [passage.document_id for passage in written]


@pytest.mark.parametrize("length", [65_535, 65_536])
def test_the_places_of_sentences_are_kept_in_texts_of_any_length(place: Path, length: int) -> None:
    text = f"Short. {'X' * (length - 11)}. Z."
    (passage,) = write(place, [Document("a", "", text, atomic=True)])
    assert len(passage.sentences) == 3
    assert passage.sentences[-1] == (length - 2, length)
    assert EvidenceStore(place).passage(0).sentences == passage.sentences


def test_documents_come_back_whole_with_exact_offsets(store: EvidenceStore) -> None:
    assert store.documents == len(DOCUMENTS)
    assert [store.document(document.id) for document in DOCUMENTS] == DOCUMENTS
    for passage in store:
        assert passage.text == store.document(passage.document_id).text[passage.start : passage.end]


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=120), max_size=4),
    words=st.integers(1, 9),
)
def test_any_text_survives(texts: list[str], words: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    documents = [Document(f"d{n}", text[:9], text, metadata={"text": text}) for n, text in enumerate(texts)]
    place = tmp_path_factory.mktemp("any") / FILE_NAME
    written = write(place, documents, words)
    store = EvidenceStore(place)
    assert list(store) == written
    assert [store.document(document.id) for document in documents] == documents


def test_unknown_ids_and_rows_are_said(store: EvidenceStore) -> None:
    assert store.has("a#0")
    assert not store.has("a")
    for ask in (store.row_of, store.document):
        with pytest.raises(KeyError):
            ask("nobody")
    for row in (-1, len(store)):
        with pytest.raises(IndexError, match=f"row {row} is not one of"):
            store.passage(row)


def test_thousands_of_rows_in_one_call(place: Path) -> None:
    count = 3000
    write(place, [Document(str(n), "", f"text number {n}", atomic=True) for n in range(count)])
    store = EvidenceStore(place)
    backwards = list(range(count - 1, -1, -1))
    assert [passage.id for passage in store.passages(backwards)] == [str(n) for n in backwards]
    assert sum(1 for _ in store) == count


@pytest.mark.parametrize(
    "second", [Document("a", "", "other"), Document("b#0", "", "x", atomic=True)], ids=["document", "passage"]
)
def test_ids_are_unique(place: Path, second: Document) -> None:
    first = [Document("a", "", "one"), Document("b", "", "two")]
    with pytest.raises(CorpusError, match="ids must be unique"):
        write(place, [*first, second])


@pytest.mark.parametrize(
    "document",
    [
        Document("a", "", "half a character \ud800"),
        Document("a\udfff", "", "text"),
        Document("a", "", "text", metadata={"when": object()}),
        Document("a", "", "text", metadata={"\ud800": 1}),
    ],
    ids=["text", "id", "metadata", "metadata text"],
)
def test_what_cannot_be_stored_is_a_corpus_error(place: Path, document: Document) -> None:
    writer = StoreWriter(place)
    with pytest.raises(CorpusError, match="cannot be stored"):
        writer.add(document, chunk(document))
    writer.abandon()


def test_a_closed_store_leaves_one_file(place: Path) -> None:
    write(place, DOCUMENTS)
    list(EvidenceStore(place))
    assert [path.name for path in place.parent.iterdir()] == [FILE_NAME]


def test_what_was_not_closed_is_not_there(place: Path) -> None:
    writer = StoreWriter(place)
    writer.add(DOCUMENTS[0], chunk(DOCUMENTS[0]))
    writer.abandon()
    assert len(EvidenceStore(place)) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE passages SET text = replace(text, 'notes', 'poems') WHERE row = 0",
        "UPDATE passages SET title = 'Someone else' WHERE row = 0",
        "UPDATE passages SET id = 'a#9' WHERE row = 0",
        "UPDATE passages SET start = start + 1 WHERE row = 0",
        "UPDATE passages SET sentences = zeroblob(4) WHERE row = 0",
        "UPDATE passages SET metadata = '{}' WHERE row = 0",
        "UPDATE passages SET hash = zeroblob(16) WHERE row = 0",
        "UPDATE passages SET hash = 'text' WHERE row = 0",
        "UPDATE passages SET document = 1 WHERE row = 0",
        "UPDATE passages SET row = row + 1000 WHERE row = 0",
        "DELETE FROM passages WHERE row = 0",
        "DELETE FROM documents WHERE number = 0",
    ],
)
def test_a_row_changed_behind_its_back_is_noticed(place: Path, statement: str) -> None:
    write(place, DOCUMENTS)
    change(place, statement)
    store = EvidenceStore(place)
    with pytest.raises(DamagedIndexError, match=r"row 0"):
        store.passage(0)
    assert store.passage(store.row_of("d")).document_id == "d"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET text = 'Ada' WHERE id = 'a'",
        "UPDATE documents SET title = 'Ada' WHERE id = 'a'",
        "UPDATE documents SET metadata = '{\"year\": 1844}' WHERE id = 'a'",
        "UPDATE documents SET text = NULL WHERE id = 'a'",
    ],
)
def test_a_document_changed_behind_its_back_is_noticed(place: Path, statement: str) -> None:
    write(place, DOCUMENTS)
    change(place, statement)
    with pytest.raises(DamagedIndexError, match="document 'a'"):
        EvidenceStore(place).document("a")


def test_a_document_that_lost_its_passage_is_damaged(place: Path) -> None:
    write(place, DOCUMENTS)
    change(place, "DELETE FROM passages WHERE id = 'd'")
    with pytest.raises(DamagedIndexError, match="0 passages for document 'd'"):
        EvidenceStore(place).document("d")


def test_every_flipped_byte_of_a_text_is_noticed(place: Path) -> None:
    write(place, DOCUMENTS)
    whole = place.read_bytes()
    at = whole.index(b"Delivered" + b"Passages come as they are.") + len("Delivered")
    for offset in range(at, at + 20):
        damaged = bytearray(whole)
        damaged[offset] ^= 0x81  # no longer UTF-8 either
        place.write_bytes(damaged)
        with pytest.raises(DamagedIndexError):
            EvidenceStore(place).document("d")


@pytest.mark.parametrize("content", [None, b"", b"not a database at all, but long enough" * 99, b"SQLite format 3\0"])
def test_what_is_no_store_is_refused(place: Path, content: bytes | None) -> None:
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(DamagedIndexError, match="build the index again"):
        EvidenceStore(place)


def test_a_truncated_store_is_damaged(place: Path) -> None:
    write(place, [Document(str(n), "", f"text number {n} " * 20, atomic=True) for n in range(300)])
    os.truncate(place, place.stat().st_size // 2)
    with pytest.raises(DamagedIndexError):
        list(EvidenceStore(place))


def test_threads_share_one_store(place: Path) -> None:
    written = write(place, [Document(str(n), "", f"text number {n}", atomic=True) for n in range(400)])
    store = EvidenceStore(place)

    def read(thread: int) -> bool:
        rows = [(thread * 37 + step * 11) % len(written) for step in range(200)]
        return all(store.passage(row) == written[row] for row in rows)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))


def test_a_closed_store_says_so_rather_than_damage(store: EvidenceStore) -> None:
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        store.passage(0)


def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    place = tmp_path / "a ?mode=rw#[x]%20ü" / FILE_NAME
    place.parent.mkdir()
    written = write(place, DOCUMENTS)
    assert list(EvidenceStore(place)) == written


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can become somebody without rights")
def test_a_store_that_may_only_be_read(place: Path) -> None:
    write(place, DOCUMENTS)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from trailhound.retrievers._store import EvidenceStore\n"
        "handle = os.open(sys.argv[1], os.O_RDONLY)\n"
        "os.geteuid() or os.setuid(65534)\n"
        "print(len(list(EvidenceStore(Path('evidence.sqlite')))))\n"
    )
    for folder in (place.parent, *place.parent.parents):
        if folder.stat().st_uid == 0 and folder.name.startswith(("pytest-", "popen-", "test_")):
            folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", script, str(place.parent)], cwd=place.parent, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == sum(len(chunk(document, 4)) for document in DOCUMENTS)

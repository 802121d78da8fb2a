"""An index whose rows are in PostgreSQL answers as one of files, and loses nothing when client or server are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HashingEncoder
from fixtures.postgres import Server
from trailhound import Document, Index, IndexSettings
from trailhound.cli import main
from trailhound.errors import DamagedIndexError, DatabaseError, IndexFolderError
from trailhound.index import _writing
from trailhound.index.where import Where
from trailhound.retrievers._postgres_store import PostgresSegment, PostgresStore
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._postgres_dense import PostgresDense

psycopg = pytest.importorskip("psycopg", reason="the extra postgresql is not installed")

DOCUMENTS = [
    Document(
        f"d{number}",
        f"Title {number}",
        f"Text {number} is about thing{number % 7}. It mentions Title {(number + 1) % 40}.",
        metadata={"parity": number % 2},
    )
    for number in range(40)
]
QUESTIONS = ("thing3 text", "what does Title 7 mention", "thing1")


def asked(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def build(place: Path, encoder: HashingEncoder, store: str = "", dense: Any = "exact") -> Index:
    return Index.build(DOCUMENTS, place, encoder=encoder, settings=IndexSettings(store=store, dense=dense))


def named(index: Index) -> set[int]:
    """Return the keys of the rows that the manifest of an index names."""
    keys = set()
    for entry in index.manifest["segments"]:
        about = json.loads((index.path / "segments" / entry["name"] / "segment.json").read_text())
        keys |= {about["store"]["key"]} if "store" in about else set()
    return keys


def stored(url: str) -> set[int]:
    return {key for (key,) in asked(url, "SELECT key FROM trailhound_segments")}


def new(number: int) -> Document:
    return Document(f"new{number}", f"New {number}", f"Text about thing3 and Title 7, added as {number}.")


def same_hits(one: Index, other: Index) -> None:
    for text in QUESTIONS:
        question = one.query(text)
        for name, index in one.sub_indexes.items():
            expected, found = index.search(question, 12), other.sub_indexes[name].search(question, 12)
            np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
            assert [one.store.passage(row).id for row in expected.rows.tolist()] == [
                other.store.passage(row).id for row in found.rows.tolist()
            ]


def in_child(do: Callable[[], None]) -> int:
    """Do something in a forked process; returns how it ended."""
    child = os.fork()
    if child == 0:
        try:
            do()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


@pytest.fixture
def index(tmp_path: Path, database: str, hashing_encoder: HashingEncoder) -> Iterator[Index]:
    made = build(tmp_path / "rows.index", hashing_encoder, database)
    yield made
    made.close()


@pytest.mark.parametrize("dense", ["exact", "hnsw"])
def test_it_finds_what_an_index_of_files_finds(
    tmp_path: Path, database: str, hashing_encoder: HashingEncoder, dense: str
) -> None:
    files = build(tmp_path / "files.index", hashing_encoder, "", dense)
    rows = build(tmp_path / "rows.index", hashing_encoder, database, dense)
    assert isinstance(rows.store, PostgresStore)
    assert isinstance(rows.dense, PostgresDense)
    assert not list(rows.path.rglob("evidence.sqlite"))
    assert not list(rows.path.rglob("vectors.npy"))
    same_hits(files, rows)
    for one in (files, rows):
        one.add([new(1), new(2)])
        one.delete(["d3", "new1"])
        one.add([Document("d5", "Title 5", "Replaced, and still about thing3.")], replace=True)
    same_hits(files, rows)
    assert list(files.store) == list(rows.store)
    with files.snapshot(Where(metadata={"parity": 1})), rows.snapshot(Where(metadata={"parity": 1})):
        same_hits(files, rows)
        assert {passage.document_id for passage in rows.store} == {passage.document_id for passage in files.store}
    encoded = hashing_encoder.encoded
    for one in (files, rows):
        assert one.compact()
    assert hashing_encoder.encoded == encoded  # vectors are taken over from the database too
    same_hits(files, rows)
    rows.close()
    with Index.open(rows.path, encoder=hashing_encoder) as again:
        assert list(again.store) == list(files.store)
        np.testing.assert_array_equal(again.dense.vectors, files.dense.vectors)


def test_what_was_merged_goes_when_nobody_reads_it(
    index: Index, database: str, hashing_encoder: HashingEncoder
) -> None:
    reader = Index.open(index.path, encoder=hashing_encoder)
    before, keys = list(reader.store), named(reader)
    index.add([new(1)])
    index.compact()
    index.add([new(2)])
    assert list(Index.open(index.path, encoder=hashing_encoder).store)[:40] == before
    assert keys <= stored(database)  # its state is read to the end
    assert list(PostgresStore(index.path, reader.parts.segments[0].store.about)) == before  # nothing kept in memory
    np.testing.assert_array_equal(reader.dense.reconstruct(np.array([5])), reader.dense.vectors[[5]])
    reader.close()
    del reader
    index.close()
    with Index.open(index.path, encoder=hashing_encoder) as again:
        again.add([new(3)])
    with Index.open(index.path, encoder=hashing_encoder) as again:
        again.add([new(4)])
        assert stored(database) == named(again)
        assert len(asked(database, "SELECT 1 FROM trailhound_passages")) == len(again) == 44


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("moment", ["before the vectors", "before the commit", "after the commit"])
def test_a_client_that_is_killed_leaves_nothing_half(
    index: Index, database: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    before = list(index.store)
    with monkeypatch.context() as patched:
        if moment == "before the vectors":
            patched.setattr(PostgresSegment, "write_vectors", killed)
        elif moment == "before the commit":
            patched.setattr(_writing, "commit", killed)
        else:
            patched.setattr(_writing, "remove_garbage", killed)
        assert in_child(lambda: void(index.add([new(1)]))) == signal.SIGKILL
    assert len(stored(database)) == 2
    index.refresh()
    done = moment == "after the commit"
    assert list(index.store)[:40] == before
    assert index.store.having(["new1"]) == (["new1"] if done else [])
    index.add([new(2)])
    assert stored(database) == named(index)
    assert len(asked(database, "SELECT 1 FROM trailhound_passages")) == len(index) == (42 if done else 41)


def void(_: object) -> None:
    """Forget a result."""


def test_a_failed_addition_takes_its_rows_along(index: Index, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: PostgresSegment, vectors: Vectors, kind: str) -> None:
        raise OSError("no more")

    with monkeypatch.context() as patched:
        patched.setattr(PostgresSegment, "write_vectors", fails)
        with pytest.raises(OSError, match="no more"):
            index.add([new(1)])
    index.add([new(1)])
    assert stored(database) == named(index)


def test_what_was_acknowledged_outlives_a_server_that_is_killed(
    postgres: Server, index: Index, hashing_encoder: HashingEncoder
) -> None:
    index.add([new(1), new(2)])
    before = list(index.store)
    postgres.kill()
    with pytest.raises(DatabaseError, match="is the server running"):
        Index.open(index.path, encoder=hashing_encoder).add([new(3)])
    postgres.start()
    with Index.open(index.path, encoder=hashing_encoder) as again:  # every hash is held
        assert list(again.store) == before
    assert index.dense.search(index.query("thing3"), 5).rows.size == 5  # connects again
    index.add([new(3)])
    assert index.store.having(["new1", "new2", "new3"]) == ["new1", "new2", "new3"]


def test_eight_writers_lose_nothing(index: Index, database: str) -> None:
    children = []
    for writer in range(8):
        child = os.fork()
        if child == 0:
            ended = 1
            try:
                for number in range(2):
                    index.add([new(10 * writer + number)])
                ended = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(ended)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    index.refresh()
    wanted = [f"new{10 * writer + number}" for writer in range(8) for number in range(2)]
    assert index.store.having(wanted) == wanted
    assert len(index) == 56
    assert {passage.id for passage in index.store} >= {f"{name}#0" for name in wanted}
    assert named(index) <= stored(database)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trailhound_passages SET hash = 'x' WHERE \"row\" = 7",
        'DELETE FROM trailhound_passages WHERE "row" = 39',
        "DELETE FROM trailhound_documents WHERE number = 3",
        'UPDATE trailhound_vectors SET vector = vector + vector WHERE "row" = 1',
        "DELETE FROM trailhound_segments",
    ],
)
def test_rows_that_changed_are_noticed_when_it_is_opened(
    index: Index, database: str, hashing_encoder: HashingEncoder, damage: str
) -> None:
    index.close()
    asked(database, damage)
    with pytest.raises(DamagedIndexError, match="build"):
        Index.open(index.path, encoder=hashing_encoder)


def test_a_changed_text_is_noticed_when_it_is_read(index: Index, database: str) -> None:
    asked(database, "UPDATE trailhound_passages SET text = 'Other.' WHERE \"row\" = 7")
    with pytest.raises(DamagedIndexError, match="row 7 does not match"):
        index.store.passage(7)


def test_a_copy_of_the_folder_leaves_the_rows_of_the_first_alone(
    index: Index, database: str, hashing_encoder: HashingEncoder, tmp_path: Path
) -> None:
    shutil.copytree(index.path, tmp_path / "copy.index")
    index.close()
    for number in range(2):
        with Index.open(tmp_path / "copy.index", encoder=hashing_encoder) as copy:
            copy.add([new(number)])
            copy.compact()
    with Index.open(index.path, encoder=hashing_encoder) as again:
        assert len(again) == 40
        assert named(again) <= stored(database)


def test_the_store_goes_back_into_the_folder_when_it_is_built_so(
    index: Index, database: str, hashing_encoder: HashingEncoder
) -> None:
    index.close()
    build(index.path, hashing_encoder).close()
    with Index.open(index.path, encoder=hashing_encoder) as files:
        files.add([new(1)])
        assert not named(files)
        assert list(files.path.rglob("evidence.sqlite"))
    assert not stored(database)


def test_the_command_line_keeps_rows_in_a_database(
    tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "harbour.txt").write_text("The harbour of Elmsby was built in 1911.")
    (tmp_path / "docs" / "mill.txt").write_text("The mill of Elmsby burned down.")
    place = str(tmp_path / "docs.index")
    assert main(["index", str(tmp_path / "docs"), "--out", place, "--store", database, "--quiet"]) == 0
    assert asked(database, "SELECT id FROM trailhound_documents ORDER BY id") == [("harbour.txt",), ("mill.txt",)]
    assert main(["search", place, "When was the harbour built?", "--system", "dense", "--json", "--quiet"]) == 0
    assert "1911" in capsys.readouterr().out
    assert main(["index", str(tmp_path / "docs"), "--out", place, "--store", "postgresql://x:secret@host/d"]) == 1
    said = capsys.readouterr().err
    assert "PGPASSWORD" in said
    assert "secret" not in said


def test_a_password_is_never_taken_into_an_index() -> None:
    for url in ("postgresql://me:secret@host/db", "postgresql://host/db?password=secret"):
        with pytest.raises(IndexFolderError, match="PGPASSWORD") as caught:
            IndexSettings(store=url)
        assert "secret" not in str(caught.value)


def test_what_a_database_does_not_offer_is_refused() -> None:
    with pytest.raises(IndexFolderError, match="exact or hnsw"):
        IndexSettings(store="postgresql://host/db", dense="opq")
    with pytest.raises(IndexFolderError, match="give postgresql://"):
        IndexSettings(store="mysql://host/db")

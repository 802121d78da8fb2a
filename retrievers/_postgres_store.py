"""Segments whose evidence and vectors are rows of PostgreSQL: written, read, and removed when nothing names them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CorpusError, DamagedIndexError, EncoderError, TrailhoundError
from ._atomic_file import synchronise
from ._postgres import MARK, Database, index_name, shared_database
from ._store import EvidenceStore, Origin, not_storable, not_unique
from ._store_rows import document_row, passage_row
from .records import Document, Passage, Vectors

_AT_ONCE = 2000
_MANY = 2000
"""Passages from which on the server is told at once how its tables have grown, so that it plans searches well."""

_LARGEST_HNSW = 2000
_LINKS, _BUILD = 16, 100
"""Links of a vector and candidates for them in pgvector's graph: 99.8 % of the ten nearest are found in 2Wiki."""

_DOCUMENTS = "number, id, title, text, source, metadata, markup, atomic, hash"
_PASSAGES = '"row", id, document, title, text, start, "end", sentences, source, metadata, lead, hash'


class PostgresSegment:
    """A segment in the making: its rows go into a database, and are garbage until a manifest names the segment.

    Args:
        url: of the database.
        folder: of the segment, which is there; a mark in it says which rows are its own.

    Raises:
        DatabaseError: when the database cannot be used.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._database = Database(url)
        self._folder = folder
        self._hash = hashlib.sha256()
        self._counts: dict[str, Any] = {}
        self._vectors: dict[str, Any] = {}
        key = self._database.fetch("SELECT nextval('trailhound_segments_key_seq')")[0][0]
        self.key = int(key)
        mark = {"url": url, "key": self.key, "inode": _inode(folder.parent)}
        with (folder / MARK).open("w", encoding="utf-8") as file:
            json.dump(mark, file)
            file.flush()
            os.fsync(file.fileno())
        synchronise(folder)
        synchronise(folder.parent)
        self._database.execute("INSERT INTO trailhound_segments VALUES (%s, %s)", (self.key, str(folder)))

    def writer(self) -> PostgresStoreWriter:
        """Return what writes the evidence."""
        return PostgresStoreWriter(self._database, self.key, self._written)

    def _written(self, documents: int, passages: int, digest: str) -> None:
        self._counts = {"documents": documents, "passages": passages, "rows": digest}

    def write_vectors(self, vectors: Vectors, kind: str) -> None:
        """Write the vectors of all passages, float32 [N, d], and for ``hnsw`` the index over them.

        Raises:
            EncoderError: when a vector is not finite, or is longer than pgvector's index takes.
            DatabaseError: when the database cannot store them.
        """
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            raise EncoderError(f"the vector of passage row {bad[0]} is not finite: check the encoder")
        count, dimension = vectors.shape
        if kind == "hnsw" and dimension > _LARGEST_HNSW:
            raise EncoderError(
                f"pgvector's hnsw takes vectors of at most {_LARGEST_HNSW} numbers, these have {dimension}: choose"
                " exact, or a smaller --dimension"
            )
        digest = hashlib.sha256()
        statement = b'COPY trailhound_vectors (segment, "row", vector) FROM STDIN (FORMAT BINARY)'
        with self._database.writing() as connection, connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(["int4", "int4", "bytea"])
            for row in range(count):
                sent = _sent(vectors[row])
                digest.update(hashlib.sha256(sent).digest())
                copy.write_row((self.key, row, sent))
        if kind == "hnsw":
            self._database.execute(
                f"CREATE INDEX CONCURRENTLY {index_name(self.key)} ON trailhound_vectors USING hnsw"
                f" ((vector::vector({dimension})) vector_ip_ops) WITH (m = {_LINKS}, ef_construction = {_BUILD})"
                f" WHERE segment = {self.key}"
            )
        if count >= _MANY:
            self._database.execute("ANALYZE trailhound_vectors")
        self._vectors = {"dimension": dimension, "vectors": digest.hexdigest()}

    def about(self) -> dict[str, Any]:
        """Return what is written of the rows beside the segment's files, and close the connection."""
        self._database.close()
        return {"store": {"url": self._database.url, "key": self.key, **self._counts, **self._vectors}}


class PostgresStoreWriter:
    """Writes evidence as rows; offers what :class:`StoreWriter` offers.

    Args:
        database: where.
        segment: key of the rows.
        written: called with the number of documents, of passages, and the hash over the hashes of all rows.
    """

    def __init__(self, database: Database, segment: int, written: Callable[[int, int, str], None]) -> None:
        self._database, self._segment, self._written = database, segment, written
        self._documents: list[tuple[Any, ...]] = []
        self._passages: list[tuple[Any, ...]] = []
        self._ids, self._passage_ids = set[str](), set[str]()
        self._hashes = (hashlib.sha256(), hashlib.sha256())

    def add(self, document: Document, passages: Sequence[Passage]) -> None:
        """Add a document with its passages; rows follow the order of calls.

        Raises:
            CorpusError: when an id is there already, or something cannot be stored.
            DatabaseError: when the database cannot store it.
        """
        number = len(self._ids)
        taken = document.id if document.id in self._ids else None
        self._ids.add(document.id)
        try:
            rows = [document_row(document, passages)]
            for passage in passages:
                place = len(self._passage_ids)
                taken = passage.id if passage.id in self._passage_ids else taken
                self._passage_ids.add(passage.id)
                rows.append((place, passage.id, number, *passage_row(place, document.id, passage)))
            _check_storable(rows, document)
        except (UnicodeEncodeError, TypeError) as error:
            raise not_storable(document, error) from error
        if taken is not None:
            raise not_unique(document, repr(taken))
        self._documents.append((number, *rows[0]))
        self._passages += rows[1:]
        if len(self._documents) + len(self._passages) >= _AT_ONCE:
            self._send()

    def _send(self) -> None:
        """Send what was gathered, in one transaction."""
        with self._database.writing() as connection, connection.transaction(), connection.cursor() as cursor:
            tables = (("documents", _DOCUMENTS, self._documents), ("passages", _PASSAGES, self._passages))
            for (table, columns, rows), digest in zip(tables, self._hashes, strict=True):
                statement = f"COPY trailhound_{table} (segment, {columns}) FROM STDIN"
                with cursor.copy(statement.encode()) as copy:
                    for row in rows:
                        digest.update(row[-1])
                        copy.write_row((self._segment, *row))
        self._documents, self._passages = [], []

    def close(self) -> None:
        """Send the rest; then all of it is on the server's disk.

        Raises:
            DatabaseError: when the database cannot store it.
        """
        self._send()
        if len(self._passage_ids) >= _MANY:
            self._database.execute("ANALYZE trailhound_documents")
            self._database.execute("ANALYZE trailhound_passages")
        digest = "".join(one.hexdigest() for one in self._hashes)
        self._written(len(self._ids), len(self._passage_ids), digest)

    def abandon(self) -> None:
        """Send nothing more; what was sent goes with the folder of the segment."""
        self._database.close()


class PostgresStore(EvidenceStore):
    """Reads the evidence of a segment from a database; see :class:`EvidenceStore`.

    Args:
        folder: of the segment, for messages.
        about: what is written of its rows beside its files.

    Raises:
        DamagedIndexError: when the rows are no longer there.
        DatabaseError: when the database cannot be used.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.about = about
        self.held = HeldRows(folder, about)
        self._with = (
            f"WITH documents AS NOT MATERIALIZED (SELECT * FROM trailhound_documents WHERE segment = {self.held.key}),"
            f" passages AS NOT MATERIALIZED (SELECT * FROM trailhound_passages WHERE segment = {self.held.key}) "
        )
        super().__init__(folder)

    def _opened(self) -> tuple[int, int]:
        return int(self.about["passages"]), int(self.about["documents"])

    def _fetch(self, statement: str, values: Iterable[Any]) -> list[Any]:
        return self.held.database.fetch(self._with + statement.replace("?", "%s"), list(values))

    def origins(self) -> list[Origin]:
        """Return where all documents came from, in the order they were added."""
        found = self._fetch("SELECT id, source, metadata FROM documents ORDER BY number", [])
        read = [(identifier, source, json.loads(metadata)) for identifier, source, metadata in found]
        return [Origin(name, source, of.get("file_hash"), of.get("corpus_root")) for name, source, of in read]

    def close(self) -> None:
        """Let the rows go."""
        self.held.close()

    def __del__(self) -> None:
        """Let the rows go."""
        with suppress(AttributeError, TypeError):
            self.held.close()


class HeldRows:
    """The rows of a segment, kept from being removed while they are read.

    Raises:
        DamagedIndexError: when they are gone.
        DatabaseError: when the database cannot be used.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.key = int(about["key"])
        self.database = shared_database(str(about["url"]))
        self.database.hold(self.key)
        self._open = True
        if not self.database.fetch("SELECT 1 FROM trailhound_segments WHERE key = %s", (self.key,)):
            self.close()
            raise DamagedIndexError(f"{folder}: its rows {self.key} are no longer in {about['url']}: build it again")

    def close(self) -> None:
        """Let them go; a second call does nothing."""
        if self._open:
            self._open = False
            self.database.let_go(self.key)


def check_rows(folder: Path, about: Mapping[str, Any]) -> None:
    """Hold the rows of a segment to what is written of them beside its files.

    Raises:
        DamagedIndexError: when some are missing, or are others.
    """
    held = HeldRows(folder, about)
    fetch, key = held.database.fetch, held.key
    try:
        digest = "encode(sha256(coalesce(string_agg({}, ''::bytea ORDER BY {}), ''::bytea)), 'hex')"
        found = "".join(
            fetch(f"SELECT {digest.format('hash', order)} FROM trailhound_{table} WHERE segment = {key}")[0][0]
            for table, order in (("documents", "number"), ("passages", '"row"'))
        )
        of_vectors = digest.format("sha256(vector_send(vector))", '"row"')
        vectors = fetch(f"SELECT {of_vectors} FROM trailhound_vectors WHERE segment = {key}")[0][0]
    finally:
        held.close()
    none = hashlib.sha256().hexdigest()
    if found != about.get("rows") or vectors != about.get("vectors", none):
        raise DamagedIndexError(f"{folder}: its rows in {about['url']} do not match their hash: build the index again")


def forget_rows(mark: Path) -> bool:
    """Remove the rows that a mark names; returns whether it is of no more use.

    It is while the rows are read, or where the database does not answer. Rows of another index, of which this one is
    a copy, stay.
    """
    try:
        said = json.loads(mark.read_text("utf-8"))
        url, key, inode = str(said["url"]), int(said["key"]), int(said["inode"])
    except (OSError, ValueError, KeyError, TypeError):
        return True
    if inode != _inode(mark.parent):
        return True
    try:
        database = Database(url)
        try:
            return database.remove(key)
        finally:
            database.close()
    except TrailhoundError:
        return False


def _inode(segments: Path) -> int:
    """Return what tells an index from its copies, wherever it is moved to."""
    return segments.stat().st_ino


def _check_storable(rows: Iterable[tuple[Any, ...]], document: Document) -> None:
    """Refuse what PostgreSQL's text cannot hold."""
    for row in rows:
        for value in row:
            if isinstance(value, str):
                value.encode()
                if "\0" in value:
                    raise CorpusError(
                        f"document {document.id!r} holds a NUL character, which PostgreSQL cannot store: take it out",
                        document.source or None,
                    )
            elif value is not None and not isinstance(value, int | bytes):
                raise TypeError(f"{value!r} is a {type(value).__name__}")


def _sent(vector: Vectors) -> bytes:
    """Return a vector as pgvector sends and receives it."""
    return len(vector).to_bytes(2, "big") + b"\0\0" + vector.astype(">f4").tobytes()

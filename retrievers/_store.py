"""The evidence store: documents and passages in SQLite, each row with a hash of its content."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import CorpusError, DamagedIndexError
from ._bounded import Bounded
from ._forks import PerProcess, Uncut
from ._store_rows import document_row, passage_row, row_hash, unpacked
from .records import Document, Passage, Rows

FILE_NAME = "evidence.sqlite"

_SCHEMA = """
CREATE TABLE documents (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    text TEXT,  -- NULL: its one passage holds it
    source TEXT NOT NULL,
    metadata TEXT NOT NULL,
    markup TEXT NOT NULL,
    atomic INTEGER NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE passages (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    document INTEGER NOT NULL REFERENCES documents,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    sentences BLOB NOT NULL,
    source TEXT NOT NULL,
    metadata TEXT NOT NULL,
    lead TEXT NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX passages_document ON passages (document);
"""
_PASSAGE = (
    "SELECT p.row, p.id, d.id, p.title, p.text, p.start, p.end, p.sentences, p.source, p.metadata, p.lead, p.hash"
    " FROM passages p JOIN documents d ON d.number = p.document"
)
_MOST_VARIABLES = 500
_KEPT = 16 << 20
"""Bytes of the passages that an opened store keeps, those read last: to read one anew costs more than its uses."""


class Origin(NamedTuple):
    """Where a document came from: its id and source, the hash of its file, the number of its corpus root."""

    id: str
    source: str
    file_hash: str | None
    root: int | None


class Documents(Protocol):
    """The documents that are stored somewhere."""

    def having(self, document_ids: Iterable[str]) -> list[str]:
        """Return those of the ids that are stored, in their order."""
        ...

    def document_ids(self) -> list[str]:
        """Return the ids of all documents."""
        ...

    def document(self, document_id: str) -> Document:
        """Return a document."""
        ...

    def origins(self) -> list[Origin]:
        """Return where every document came from."""
        ...


class StoreWriter:
    """Writes a new evidence store; it is complete after :meth:`close`.

    Args:
        path: the file to make, in a folder that is there; whoever publishes it synchronises it to the disk.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        # No journal: until it is published whole, the file is of no use to anyone.
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("BEGIN")
        self._documents = 0
        self._passages = 0

    def add(self, document: Document, passages: Sequence[Passage]) -> None:
        """Add a document with its passages; rows follow the order of calls.

        Raises:
            CorpusError: when an id is there already, or something cannot be stored.
        """
        try:
            self._connection.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self._documents, *document_row(document, passages)),
            )
            for passage in passages:
                self._add_passage(document.id, passage)
        except (UnicodeEncodeError, TypeError, sqlite3.InterfaceError, sqlite3.ProgrammingError) as error:
            raise not_storable(document, error) from error
        except sqlite3.IntegrityError as error:
            raise not_unique(document, error) from error
        self._documents += 1

    def _add_passage(self, document_id: str, passage: Passage) -> None:
        values = passage_row(self._passages, document_id, passage)
        self._connection.execute(
            "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (self._passages, passage.id, self._documents, *values),
        )
        self._passages += 1

    def close(self) -> None:
        """Commit and close the file."""
        self._connection.execute("COMMIT")
        self._connection.close()

    def abandon(self) -> None:
        """Close the file without committing."""
        self._connection.close()


class EvidenceStore:
    """Reads an evidence store; every row is held against its hash. Threads may share one.

    Args:
        path: the file.

    Raises:
        DamagedIndexError: when it is not a store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = Bounded[int, Passage](_KEPT, _weight)
        self._count, self._documents = self._opened()

    def _opened(self) -> tuple[int, int]:
        """Connect, and return the number of passages and of documents."""
        path = self.path
        self._lock = PerProcess(Lock)
        # A published index is replaced, never changed: nothing is written, not even a lock or a shared-memory file.
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        try:
            connect = partial(sqlite3.connect, uri, uri=True, check_same_thread=False)
            self._connection = PerProcess(connect, left_behind=True)
        except sqlite3.OperationalError as error:
            raise DamagedIndexError(f"{path} cannot be opened ({error}): build the index again") from error
        try:
            found = self._fetch("SELECT (SELECT count(*) FROM passages), (SELECT count(*) FROM documents)", [])
            return int(found[0][0]), int(found[0][1])
        except DamagedIndexError:
            self._connection().close()
            raise

    def __len__(self) -> int:
        """Return the number of passages."""
        return int(self._count)

    @property
    def documents(self) -> int:
        """Number of documents."""
        return int(self._documents)

    def passage(self, row: int) -> Passage:
        """Return the passage of a row.

        Raises:
            IndexError: when there is no such row.
            DamagedIndexError: when it does not match its hash.
        """
        return self.passages([row])[0]

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return the passages of ``rows``, in that order; see :meth:`passage` for errors."""
        found = self._kept.get(map(int, rows))
        wanted = [int(row) for row in rows if row not in found]
        for first in range(0, len(wanted), _MOST_VARIABLES):
            part = wanted[first : first + _MOST_VARIABLES]
            marks = ",".join("?" * len(part))
            for record in self._fetch(f"{_PASSAGE} WHERE p.row IN ({marks})", part):
                found[record[0]] = self._checked(record)
        self._kept.put({row: found[row] for row in wanted if row in found})
        for row in rows:
            if row not in found:
                if 0 <= row < len(self):
                    raise DamagedIndexError(f"{self.path} has lost row {row}: build the index again")
                raise IndexError(f"row {row} is not one of the {len(self)} passages of {self.path}")
        return [found[int(row)] for row in rows]

    def __iter__(self) -> Iterator[Passage]:
        """Iterate over all passages in the order of their rows."""
        for first in range(0, len(self), _MOST_VARIABLES):
            yield from self.passages(range(first, min(first + _MOST_VARIABLES, len(self))))

    def row_of(self, passage_id: str) -> int:
        """Return the row of a passage.

        Raises:
            KeyError: when there is no such passage.
        """
        found = self._fetch("SELECT row FROM passages WHERE id = ?", [passage_id])
        if not found:
            raise KeyError(passage_id)
        return int(found[0][0])

    def has(self, passage_id: str) -> bool:
        """Return whether there is such a passage."""
        return bool(self._fetch("SELECT 1 FROM passages WHERE id = ?", [passage_id]))

    def document(self, document_id: str) -> Document:
        """Return a document with its text.

        Raises:
            KeyError: when there is no such document.
            DamagedIndexError: when it does not match its hash.
        """
        found = self._fetch(
            "SELECT number, id, title, text, source, metadata, markup, atomic, hash FROM documents WHERE id = ?",
            [document_id],
        )
        if not found:
            raise KeyError(document_id)
        number, *values, digest = found[0]
        self._hold(tuple(values), digest, f"document {document_id!r}")
        identifier, title, text, source, metadata, markup, atomic = values
        if text is None:
            rows = self._fetch("SELECT row FROM passages WHERE document = ?", [number])
            if len(rows) != 1:
                raise DamagedIndexError(
                    f"{self.path} has {len(rows)} passages for document {document_id!r}, not 1: build the index again"
                )
            text = self.passage(rows[0][0]).text
        return Document(identifier, title, text, source, bool(atomic), json.loads(metadata), markup)

    def rows_of(self, document_id: str) -> list[int]:
        """Return the rows of a document's passages, ascending.

        Raises:
            KeyError: when there is no such document.
        """
        found = self._fetch("SELECT number FROM documents WHERE id = ?", [document_id])
        if not found:
            raise KeyError(document_id)
        return [row for (row,) in self._fetch("SELECT row FROM passages WHERE document = ? ORDER BY row", [*found[0]])]

    def numbers(self, document_ids: Iterable[str]) -> dict[str, int]:
        """Return the place of those documents that are there in the order of all, by id."""
        wanted, found = list(document_ids), dict[str, int]()
        for first in range(0, len(wanted), _MOST_VARIABLES):
            part = wanted[first : first + _MOST_VARIABLES]
            marks = ",".join("?" * len(part))
            found.update(self._fetch(f"SELECT id, number FROM documents WHERE id IN ({marks})", part))
        return found

    def having(self, document_ids: Iterable[str]) -> list[str]:
        """Return those of the ids that name a document, in their order."""
        found = self.numbers(wanted := list(document_ids))
        return [identifier for identifier in wanted if identifier in found]

    def document_ids(self) -> list[str]:
        """Return the ids of all documents in the order they were added."""
        return [identifier for (identifier,) in self._fetch("SELECT id FROM documents ORDER BY number", [])]

    def origins(self) -> list[Origin]:
        """Return where all documents came from, in the order they were added."""
        columns = "json_extract(metadata, '$.file_hash'), json_extract(metadata, '$.corpus_root')"
        return [Origin(*row) for row in self._fetch(f"SELECT id, source, {columns} FROM documents ORDER BY number", [])]

    def metadata_column(self, name: str) -> list[Any]:
        """Return what the metadata of every document has under a field, in the order of documents; None for nothing.

        Args:
            name: of the field; ``a.b`` is the field b inside a. ``id``, ``title`` and ``source`` are the document's own
                where its metadata has none of that name.
        """
        own = name if name in ("id", "title", "source") else "NULL"
        column = []
        for metadata, value in self._fetch(f"SELECT metadata, {own} FROM documents ORDER BY number", []):
            held = json.loads(metadata)
            if name in held:
                column.append(held[name])
                continue
            for part in name.split("."):
                held = held.get(part) if isinstance(held, dict) else None
            column.append(value if held is None else held)
        return column

    def rows(self) -> Rows:
        """Return the rows of all passages, int64 [N], ascending."""
        return np.arange(len(self), dtype=np.int64)

    def columns(self) -> tuple[list[str], list[str]]:
        """Return the title and the document id of every passage, in the order of their rows."""
        rows = self._fetch(
            "SELECT p.title, d.id FROM passages p JOIN documents d ON d.number = p.document ORDER BY p.row", []
        )
        return [title for title, _ in rows], [document for _, document in rows]

    def document_numbers(self) -> NDArray[np.int32]:
        """Return the number of every passage's document, int32 [N], in the order of their rows."""
        numbers = self._fetch("SELECT document FROM passages ORDER BY row", [])
        return np.array([number for (number,) in numbers], np.int32)

    def alive(self, row: int) -> bool:
        """Return whether there is such a row."""
        return 0 <= row < len(self)

    def close(self) -> None:
        """Close the file."""
        with self._lock():
            self._connection().close()

    def __del__(self) -> None:
        """Close the file at once: a connection holds on to itself, and would stay open until garbage is collected."""
        with suppress(AttributeError):
            if self._connection.is_of_this_process():
                self._connection().close()

    def _fetch(self, statement: str, values: Iterable[Any]) -> list[Any]:
        try:
            with self._lock(), Uncut():
                return self._connection().execute(statement, list(values)).fetchall()
        except sqlite3.ProgrammingError:
            raise  # it was closed: nothing is wrong with the file
        except sqlite3.DatabaseError as error:
            raise DamagedIndexError(f"{self.path} is damaged ({error}): build the index again") from error

    def _checked(self, record: Sequence[Any]) -> Passage:
        row, identifier, document, title, text, start, end, sentences, source, metadata, lead, digest = record
        values = (row, identifier, document, title, text, start, end, sentences, source, metadata, lead)
        self._hold(values, digest, f"row {row}")
        spans = unpacked(sentences, text)
        return Passage(identifier, document, title, text, start, end, spans, source, json.loads(metadata), lead)

    def _hold(self, values: tuple[object, ...], digest: bytes, what: str) -> None:
        if row_hash(values) != digest:
            raise DamagedIndexError(f"{self.path}: {what} does not match its hash: build the index again")


def _weight(passage: Passage) -> int:
    return 1500 + 2 * len(passage.text) + 120 * len(passage.sentences)


def not_storable(document: Document, error: object) -> CorpusError:
    """Return the error of a document that holds what no store takes."""
    return CorpusError(
        f"document {document.id!r} cannot be stored ({error}): ids, titles, texts and sources are strings"
        " without lone surrogates, metadata is JSON",
        document.source or None,
    )


def not_unique(document: Document, error: object) -> CorpusError:
    """Return the error of a document whose id, or that of a passage, is taken."""
    return CorpusError(
        f"an id of document {document.id!r} or of its passages names something else already ({error}):"
        " ids must be unique, '<document>#<number>' is taken by passages",
        document.source or None,
    )

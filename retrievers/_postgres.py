"""A PostgreSQL database with pgvector: connections, the tables there, and errors that say what to do."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from weakref import finalize

from ..errors import DatabaseError, IndexFolderError, MissingExtraError
from ._forks import PerProcess, Uncut
from ._shared import Shared

if TYPE_CHECKING:
    import psycopg

MARK = "store.json"
"""In the folder of a segment: which rows of a database are its own, written before the first of them."""

_OLDEST_SERVER, _OLDEST_VECTOR = 130000, (0, 8)
_CONNECT_SECONDS = 10
_LOCKS = 0x7EA1
"""The class of Trailhound's advisory locks: of a segment by its key, of the migrations by 0."""

_MIGRATIONS = (
    """
    CREATE TABLE trailhound_segments (
        key SERIAL PRIMARY KEY, folder TEXT NOT NULL, made TIMESTAMPTZ NOT NULL DEFAULT now()
    );
    CREATE TABLE trailhound_documents (
        segment INTEGER NOT NULL REFERENCES trailhound_segments ON DELETE CASCADE,
        number INTEGER NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL,
        text TEXT,  -- NULL: its one passage holds it
        source TEXT NOT NULL, metadata TEXT NOT NULL, markup TEXT NOT NULL, atomic INTEGER NOT NULL,
        hash BYTEA NOT NULL,
        PRIMARY KEY (segment, number)
    );
    CREATE UNIQUE INDEX trailhound_documents_id ON trailhound_documents (segment, id);
    CREATE TABLE trailhound_passages (
        segment INTEGER NOT NULL REFERENCES trailhound_segments ON DELETE CASCADE,
        "row" INTEGER NOT NULL, id TEXT NOT NULL, document INTEGER NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
        start INTEGER NOT NULL, "end" INTEGER NOT NULL, sentences BYTEA NOT NULL,
        source TEXT NOT NULL, metadata TEXT NOT NULL, lead TEXT NOT NULL, hash BYTEA NOT NULL,
        PRIMARY KEY (segment, "row")
    );
    CREATE UNIQUE INDEX trailhound_passages_id ON trailhound_passages (segment, id);
    CREATE INDEX trailhound_passages_document ON trailhound_passages (segment, document);
    CREATE TABLE trailhound_vectors (
        segment INTEGER NOT NULL REFERENCES trailhound_segments ON DELETE CASCADE,
        "row" INTEGER NOT NULL, vector VECTOR NOT NULL,
        PRIMARY KEY (segment, "row")
    );
    """,
)
"""Statements by which a database gets from one version to the next; what was released is never changed."""


def check_url(url: str) -> None:
    """Refuse what is no address of a database, or holds a password.

    Raises:
        IndexFolderError: saying what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError as error:
        raise IndexFolderError(f"the store is no address ({error}): give postgresql://user@host/database") from error
    if secret:
        raise IndexFolderError(
            f"the address of the store at {parts.hostname} holds a password, which would be written into the index:"
            " leave it out, and set PGPASSWORD or write it into ~/.pgpass"
        )
    if parts.scheme not in ("postgresql", "postgres"):
        raise IndexFolderError(f"there is no store {url!r}: give postgresql://user@host/database")


class Database:
    """A connection to a database, one for each process; threads may share it.

    Args:
        url: its address, without a password.

    Raises:
        DatabaseError: when it cannot be reached, refuses the user, or is too old.
        MissingExtraError: when psycopg is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._held: Counter[int] = Counter()
        self._lock = PerProcess(RLock)
        self._link = PerProcess(partial(_Link, url, self._held), left_behind=True)

    def fetch(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a statement that changes nothing; a connection that was lost is made anew once.

        Raises:
            DatabaseError: when the database cannot answer.
        """
        import psycopg

        with self._lock():
            try:
                return self._fetched(statement, values)
            except psycopg.OperationalError as error:
                if not self._link().connection.closed:
                    raise _explained(self.url, error) from error
            except psycopg.Error as error:
                raise _explained(self.url, error) from error
            with Uncut():
                self._link().renew()
            try:
                return self._fetched(statement, values)
            except psycopg.Error as error:
                raise _explained(self.url, error) from error

    def _fetched(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with Uncut():
            return self._link().connection.execute(statement.encode(), values or None, binary=True).fetchall()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        """Do a statement at once.

        Raises:
            DatabaseError: when the database cannot.
        """
        with self.writing() as connection:
            connection.execute(statement.encode(), values or None)

    @contextmanager
    def writing(self) -> Iterator[psycopg.Connection[Any]]:
        """Give the connection to a writer, whose errors are explained.

        Raises:
            DatabaseError: for an error of the database.
        """
        import psycopg

        with self._lock():
            try:
                yield self._link().connection
            except psycopg.Error as error:
                raise _explained(self.url, error) from error

    def hold(self, segment: int) -> None:
        """Keep the rows of a segment from being removed, as long as this connection lives or until it is let go."""
        with self._lock():
            if not self._held[segment]:
                self.fetch("SELECT pg_advisory_lock_shared(%s, %s)", (_LOCKS, segment))
            self._held[segment] += 1

    def let_go(self, segment: int) -> None:
        """Undo :meth:`hold`; where the connection is lost, so is what it held."""
        with self._lock():
            self._held[segment] -= 1
            if self._held[segment] < 1:
                del self._held[segment]
                # Not where the program ends, or the connection is another process's: there it ends by itself.
                if self._link.is_of_this_process() and not sys.is_finalizing():
                    with suppress(DatabaseError):
                        self.fetch("SELECT pg_advisory_unlock_shared(%s, %s)", (_LOCKS, segment))

    def remove(self, segment: int) -> bool:
        """Remove the rows of a segment; returns whether they are gone, which they are not while somebody reads them."""
        if not self.fetch("SELECT pg_try_advisory_lock(%s, %s)", (_LOCKS, segment))[0][0]:
            return False
        try:
            self.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index_name(segment)}")
            self.execute("DELETE FROM trailhound_segments WHERE key = %s", (segment,))
        finally:
            self.fetch("SELECT pg_advisory_unlock(%s, %s)", (_LOCKS, segment))
        return True

    def close(self) -> None:
        """Close the connection of this process."""
        if self._link.is_of_this_process():
            self._link().close()


_DATABASES = Shared[Database]()
"""Those that this process reads: all segments of one database share a connection."""


def shared_database(url: str) -> Database:
    """Return the connection by which this process reads a database; see the class for errors."""
    return _DATABASES.get(url, partial(Database, url))


def index_name(segment: int) -> str:
    """Return the name of the index over the vectors of a segment."""
    return f"trailhound_vectors_{segment}"


class _Link:
    """The connection of a process, and which segments it keeps from being removed."""

    def __init__(self, url: str, held: Counter[int]) -> None:
        self._url, self._held = url, held
        self.connection = self._made()
        # Before the connection is collected, and never in a process that was forked: the server would hang up on us.
        self.close = finalize(self, _close, [self.connection], os.getpid())

    def renew(self) -> None:
        """Connect again."""
        self.close()
        self.connection = self._made()
        self.close = finalize(self, _close, [self.connection], os.getpid())

    def _made(self) -> psycopg.Connection[Any]:
        try:
            import psycopg
        except ImportError as error:
            raise MissingExtraError("psycopg", "postgresql", "an index whose store is PostgreSQL") from error
        given: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "application_name": "trailhound"}
        if psycopg.pq.version() >= 160000:
            given["require_auth"] = "!password"  # an index that names a stranger's server never sends it in the clear
        try:
            connection: psycopg.Connection[Any] = psycopg.connect(self._url, autocommit=True, **given)
        except psycopg.Error as error:
            raise _unreachable(self._url, error) from error
        try:
            _prepare(self._url, connection)
            for segment in self._held:
                connection.execute("SELECT pg_advisory_lock_shared(%s, %s)", (_LOCKS, segment))
        except psycopg.Error as error:
            connection.close()
            raise _explained(self._url, error) from error
        except BaseException:
            connection.close()
            raise
        return connection


def _close(connections: list[psycopg.Connection[Any]], process: int) -> None:
    if os.getpid() == process:
        for connection in connections:
            connection.close()


def _prepare(url: str, connection: psycopg.Connection[Any]) -> None:
    """Hold a database to what is needed of it, and bring its tables to this version."""
    if connection.info.server_version < _OLDEST_SERVER:
        raise DatabaseError(
            f"{url} is PostgreSQL {connection.info.server_version // 10000}, and 13 or later is needed: update it"
        )
    # What was acknowledged is on the disk, whatever the server's default; and no search is worth compiling.
    connection.execute("SET synchronous_commit = on; SET jit = off; SET client_min_messages = error")
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (_LOCKS,))
        _check_pgvector(url, connection)
        version = 0
        if connection.execute("SELECT to_regclass('trailhound_version') IS NOT NULL").fetchall()[0][0]:
            version = connection.execute("SELECT version FROM trailhound_version").fetchall()[0][0]
        if version > len(_MIGRATIONS):
            raise DatabaseError(
                f"{url} has tables of version {version}, this Trailhound knows {len(_MIGRATIONS)}: update Trailhound"
            )
        if version < len(_MIGRATIONS):
            for migration in _MIGRATIONS[version:]:
                connection.execute(migration.encode())
            connection.execute("CREATE TABLE IF NOT EXISTS trailhound_version (version INTEGER NOT NULL)")
            connection.execute("DELETE FROM trailhound_version")
            connection.execute("INSERT INTO trailhound_version VALUES (%s)", (len(_MIGRATIONS),))
    # More neighbours are looked for until there are as many as were asked for.
    connection.execute("SET hnsw.ef_search = 200; SET hnsw.iterative_scan = strict_order")


def _check_pgvector(url: str, connection: psycopg.Connection[Any]) -> None:
    import psycopg

    installed = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    found = connection.execute(installed).fetchall()
    if not found:
        try:
            with connection.transaction():
                connection.execute("CREATE EXTENSION vector")
        except psycopg.Error as error:
            raise DatabaseError(
                f"{url} has no pgvector ({_line(error)}): install it on the server, and let a superuser say"
                " CREATE EXTENSION vector in this database"
            ) from error
        found = connection.execute(installed).fetchall()
    connection.execute("SELECT '[1]'::vector")  # loads the library, whose settings are set next
    version = tuple(int(part) for part in found[0][0].split(".")[:2])
    if version < _OLDEST_VECTOR:
        raise DatabaseError(
            f"{url} has pgvector {found[0][0]}, and 0.8 or later is needed: update it, then say"
            " ALTER EXTENSION vector UPDATE"
        )


def _unreachable(url: str, error: Exception) -> DatabaseError:
    if "password" in str(error) or "authentication" in str(error):
        remedy = "set PGPASSWORD or write the password into ~/.pgpass, and check user and database in the address"
    else:
        remedy = "is the server running, and are host, port, user and database right?"
    return DatabaseError(f"{url} lets nobody in ({_line(error)}): {remedy}")


def _explained(url: str, error: Exception) -> DatabaseError:
    return DatabaseError(f"{url} cannot do what it is asked ({_line(error)}): see its log, and try again")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

"""A database that cannot be used is an error that says what to do; its tables are brought to this version once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from fixtures.postgres import Server
from trailhound.errors import DatabaseError
from trailhound.retrievers._postgres import Database

psycopg = pytest.importorskip("psycopg", reason="the extra postgresql is not installed")


def do(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_no_server_is_said() -> None:
    with pytest.raises(DatabaseError, match="is the server running"):
        Database("postgresql:///db?host=/tmp/there-is-no-socket")


def test_no_such_database_is_said(postgres: Server) -> None:
    with pytest.raises(DatabaseError, match=r"nowhere.* does not exist"):
        Database(postgres.url("nowhere"))


def test_a_password_comes_from_the_environment(
    postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Database(database).close()
    do(database, "CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'secret'")
    url = database.replace("user=postgres", "user=guarded")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", os.devnull)
    with pytest.raises(DatabaseError, match=r"set PGPASSWORD or write the password into ~/.pgpass"):
        Database(url)
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(DatabaseError, match="PGPASSWORD") as caught:
        Database(url)
    assert "wrong" not in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", "secret")
    opened = Database(url)
    assert opened.fetch("SELECT current_user::text") == [("guarded",)]
    opened.close()


def test_no_pgvector_is_said(postgres: Server, database: str) -> None:
    do(database, "CREATE ROLE plain LOGIN", "GRANT ALL ON SCHEMA public TO plain")
    with pytest.raises(DatabaseError, match="CREATE EXTENSION vector"):
        Database(database.replace("user=postgres", "user=plain"))


def test_tables_of_a_later_version_are_left_alone(database: str) -> None:
    Database(database).close()
    do(database, "UPDATE trailhound_version SET version = 99")
    with pytest.raises(DatabaseError, match=r"version 99.*update Trailhound"):
        Database(database)


def test_those_who_come_at_once_make_the_tables_once(database: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(Database, [database] * 6))
    for one in opened:
        assert one.fetch("SELECT version FROM trailhound_version") == [(1,)]
        one.close()


def test_rows_stay_while_they_are_held(database: str) -> None:
    reader, writer = Database(database), Database(database)
    writer.execute("INSERT INTO trailhound_segments VALUES (7, 'x')")
    reader.hold(7)
    reader.hold(7)
    reader.let_go(7)
    assert not writer.remove(7)
    assert reader.fetch("SELECT key FROM trailhound_segments") == [(7,)]
    reader.let_go(7)
    assert writer.remove(7)
    assert not reader.fetch("SELECT key FROM trailhound_segments")
    reader.close()
    writer.close()


def test_a_lost_connection_is_made_anew_and_holds_what_it_held(database: str) -> None:
    reader, writer = Database(database), Database(database)
    writer.execute("INSERT INTO trailhound_segments VALUES (7, 'x')")
    reader.hold(7)
    (process,) = reader.fetch("SELECT pg_backend_pid()")[0]
    writer.fetch("SELECT pg_terminate_backend(%s, 5000)", (process,))
    assert reader.fetch("SELECT pg_backend_pid()")[0][0] != process
    assert not writer.remove(7)
    reader.close()
    writer.close()


def test_an_impossible_statement_is_told_and_the_connection_lives(database: str) -> None:
    opened = Database(database)
    with pytest.raises(DatabaseError, match="no_such_table"):
        opened.fetch("SELECT 1 FROM no_such_table")
    assert opened.fetch("SELECT 1") == [(1,)]
    opened.close()


def test_a_fork_has_a_connection_of_its_own(database: str) -> None:
    opened = Database(database)
    (mine,) = opened.fetch("SELECT pg_backend_pid()")[0]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(opened.fetch("SELECT pg_backend_pid()")[0][0]).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert int(os.read(read, 32)) != mine
    assert opened.fetch("SELECT pg_backend_pid()") == [(mine,)]
    os.close(read)
    os.close(write)
    opened.close()

"""The server as replicas on a Ray cluster of this machine: `make test-scale`."""

import os
import shutil
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest
from fixtures.served import QUESTION, Client, command
from trailhound.cli import main

pytest.importorskip("ray.serve", reason="needs Ray Serve: make test-scale")

AT = "/v1/workspaces/isles"

LONG = 900
"""Seconds that a cluster may take to start or to end on a busy machine."""


def replicas(server: int) -> list[psutil.Process]:
    """The processes that answer, of all that a server's cluster has."""
    found = []
    for process in psutil.Process(server).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if "ServeReplica" in " ".join(process.cmdline()):
                found.append(process)
    return found


def searched(client: Client, question: str = QUESTION) -> set[str]:
    """Search, once more where a replica was lost, and return the documents that were found."""
    for last in (False, True):
        try:
            reply = client("POST", f"{AT}/search", {"question": question, "limit": 5, "system": "hybrid"})
        except OSError:
            assert not last
            continue
        if reply.status == 200:
            return {one["passage"]["document_id"] for one in reply.json["evidence"]}
        assert not last, reply.content
        assert reply.status >= 500, reply.content
    raise AssertionError


def test_replicas_share_changes_and_one_that_is_killed_loses_no_request(isles: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(isles, tmp_path / "isles.index"))
    with command(place, "--ray", "local", "--replicas", "2", patience=LONG) as (process, client):
        assert client("GET", "/").status == 200
        wanted = searched(client)
        assert "lighthouse" in wanted
        job = client.ended(
            client("POST", f"{AT}/documents", [{"id": "walrus", "text": "A walrus slept on the jetty."}])
        )
        assert job["state"] == "done"
        for _ in range(12):  # requests go to either replica
            assert "walrus" in searched(client, "Where did the walrus sleep?")
        first = replicas(process.pid)
        assert len(first) == 2
        failures: list[BaseException] = []
        over = threading.Event()

        def search_on() -> None:
            try:
                while not over.is_set():
                    assert searched(client) == wanted
            except BaseException as error:
                failures.append(error)

        searching = threading.Thread(target=search_on)
        searching.start()
        try:
            os.kill(first[0].pid, signal.SIGKILL)
            until = monotonic() + LONG
            while len({one.pid for one in replicas(process.pid)} - {first[0].pid}) < 2:
                assert monotonic() < until, "the replica does not come back"
                sleep(0.5)
        finally:
            over.set()
            searching.join()
        assert failures == []
        assert "walrus" in searched(client, "Where did the walrus sleep?")
        process.terminate()  # so that it ends what it has started
        assert process.wait(LONG) == 143


def test_another_replica_comes_where_many_requests_wait(isles: Path) -> None:
    with (
        command(isles, "--ray", "local", "--replicas", "1", "--most-replicas", "2", patience=LONG) as (process, client),
        ThreadPoolExecutor(16) as clients,
    ):
        wanted = searched(client)
        assert len(replicas(process.pid)) == 1
        until = monotonic() + LONG
        while len(replicas(process.pid)) < 2:
            assert monotonic() < until, "no replica comes"
            assert all(found == wanted for found in clients.map(lambda _: searched(client), range(64)))


def test_a_server_that_is_killed_leaves_its_port(isles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with command(isles, "--ray", "local", patience=LONG) as (process, client):
        assert main(["serve", str(isles), "--ray", "local", "--port", str(client.port)]) == 1
        assert f"cannot serve at 127.0.0.1:{client.port}" in capsys.readouterr().err
        started = psutil.Process(process.pid).children(recursive=True)
        proxies = [one for one in started if "haproxy" in one.name()]
        assert proxies
        process.kill()
        psutil.wait_procs(proxies, timeout=LONG)
        assert not any(one.is_running() for one in proxies)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--replicas", "2"], "--ray"),
        (["--ray", "local", "--workers", "2"], "--replicas"),
        (["--ray", "auto"], "--state"),
        (["--ray", "local", "--replicas", "3", "--most-replicas", "2"], "--most-replicas"),
    ],
)
def test_what_contradicts_itself_is_refused(
    isles: Path, options: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(isles), *options]) == 2
    assert named in capsys.readouterr().err

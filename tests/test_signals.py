"""Ctrl-C and SIGTERM end a command with their exit code and one line, and leave no file and no process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from trailhound import Document, Index
from trailhound.demo._encyclopedia import generate, write_beir

SAID = {signal.SIGINT: "trailhound: interrupted; ", signal.SIGTERM: "trailhound: terminated; "}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough to encode for as long as it takes to be stopped."""
    folder = tmp_path_factory.mktemp("signals") / "corpus"
    write_beir(generate(articles=6000, questions=20, seed=1), folder)
    return folder


def _heeding() -> None:
    """Heed signals, though whoever runs the tests in the background lets them be ignored."""
    for number in SAID:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_stopped_puts_away_what_it_began(corpus: Path, tmp_path: Path, number: signal.Signals) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "trailhound", "index", str(corpus), "--out", str(tmp_path / "x.index")]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [*command, "--threads", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        preexec_fn=_heeding,
    ) as build:
        assert build.stderr is not None
        said = build.stderr.readline()  # the first stage has begun
        children = psutil.Process(build.pid).children(recursive=True)
        build.send_signal(number)
        said += build.stderr.read()
    assert build.returncode == 128 + number
    assert said.decode().splitlines()[-1].startswith(SAID[number])
    assert b"Traceback" not in said
    assert not any(child.is_running() for child in children)
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "x.index").exists() or not (tmp_path / "x.index" / "manifest.json").exists()


def test_a_search_that_waits_for_an_endpoint_ends_at_once(tmp_path: Path) -> None:
    Index.build([Document("a", "Pier", "The pier opens at nine.")], tmp_path / "x.index", threads=1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}/v1#model"
        command = [sys.executable, "-m", "trailhound", "search", str(tmp_path / "x.index"), "When does the pier open?"]
        with subprocess.Popen([*command, "--answer-with", endpoint], stderr=subprocess.PIPE) as search:
            asked, _ = silent.accept()
            search.send_signal(signal.SIGTERM)
            assert search.stderr is not None
            said = search.stderr.read().decode()
            asked.close()
    assert search.returncode == 128 + signal.SIGTERM
    assert [line[: len(SAID[signal.SIGTERM])] for line in said.splitlines()] == [SAID[signal.SIGTERM]]

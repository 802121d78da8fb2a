"""The tutorials do what they say: their blocks run in order, in an empty folder, and print what is shown.

A block of Python runs as it stands; all of a page share their names. A block of shell runs line by line. A block with a
title is a file, but for ``output``: that is what the block before it prints.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from trailhound.cli import main

if find_spec("mcp") is not None:
    import mcp.client.stdio  # noqa: F401 - it keeps the stderr of its import, which must be a file and no test's own

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
NEEDS = {"serve": ("server", "fastapi"), "mcp": ("mcp", "mcp")}
"""The extra that a page cannot do without, and a package of it."""

FIRST = "evaluate-honestly"
CONTINUED = ("train-on-your-questions", "own-algorithm")
"""Pages that go on with what the first one made."""

PATIENCE = 120
PORT = "8008"
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+\.\d+")


class Block(NamedTuple):
    language: str
    title: str
    text: str
    line: int


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(found[1], found[2] or "", found[3], text.count("\n", 0, found.start()) + 2)


class Reader:
    """Does what a page says, as a reader would."""

    def __init__(self, page: Path, stack: contextlib.ExitStack) -> None:
        self.page = page
        self.stack = stack
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.printed = ""
        self.port = ""

    def follow(self) -> None:
        for block in blocks_of(self.page):
            text = block.text.replace(PORT, self.port or PORT)
            if block.title == "output":
                assert _NUMBER.sub("N", self.printed) == _NUMBER.sub("N", text), f"{self.page}:{block.line}"
            elif block.title:
                Path(block.title).parent.mkdir(parents=True, exist_ok=True)
                Path(block.title).write_text(text, encoding="utf-8")
            elif block.language == "python":
                self._python(text, block.line)
            elif block.language == "sh":
                self._shell(text)

    def _python(self, text: str, line: int) -> None:
        code = compile("\n" * (line - 1) + text, str(self.page), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, self.names)
        self.printed = printed.getvalue()

    def _shell(self, text: str) -> None:
        self.printed = ""
        for line in text.replace("\\\n", " ").splitlines():
            command, *arguments = shlex.split(line, comments=True)
            if command == "trailhound" and arguments[0] == "serve" and "--new-key" not in arguments:
                self._serve(arguments)
            elif command == "trailhound":
                with contextlib.redirect_stdout(io.StringIO()) as printed:
                    assert main([*arguments, "--quiet"]) == 0, line
                self.printed += printed.getvalue()
            else:
                if shutil.which(command) is None:
                    pytest.skip(f"{command} is not installed")
                done = subprocess.run(
                    [sys.executable if command == "python" else command, *arguments],
                    capture_output=True,
                    text=True,
                    timeout=PATIENCE,
                    check=False,
                )
                assert done.returncode == 0, f"{line}\n{done.stderr}"
                self.printed += done.stdout

    def _serve(self, arguments: list[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        command = ["trailhound", *arguments, "--port", self.port, "--quiet"]
        process = self.stack.enter_context(subprocess.Popen(command))
        self.stack.callback(process.terminate)
        until = monotonic() + PATIENCE
        while monotonic() < until:
            assert process.poll() is None, "the server has ended"
            with contextlib.suppress(URLError, ConnectionError):
                urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=PATIENCE).close()
                return
            sleep(0.1)
        raise AssertionError("the server is not ready")


def page_of(name: str) -> Path:
    return TUTORIALS / f"{name}.md"


def follow(page: Path) -> None:
    with contextlib.ExitStack() as stack:
        Reader(page, stack).follow()


@pytest.fixture(autouse=True)
def _command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``trailhound`` a command for whatever a page starts: this checkout's, in this Python."""
    command = tmp_path / "bin" / "trailhound"
    command.parent.mkdir()
    paths = shlex.quote(os.pathsep.join(filter(None, sys.path)))
    command.write_text(f'#!/bin/sh\nPYTHONPATH={paths} exec {shlex.quote(sys.executable)} -m trailhound "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=os.pathsep)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as the first page leaves it."""
    folder = tmp_path_factory.mktemp("films")
    with contextlib.chdir(folder):
        follow(page_of(FIRST))
    return folder


ALONE = sorted({page.stem for page in TUTORIALS.glob("*.md")} - {FIRST, *CONTINUED})


@pytest.mark.parametrize("name", ALONE)
def test_a_tutorial_does_what_it_says(name: str, tmp_path: Path) -> None:
    extra, package = NEEDS.get(name, ("", "trailhound"))
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'trailhound[{extra}]'")
    with contextlib.chdir(tmp_path):
        follow(page_of(name))


def test_the_tutorial_that_others_go_on_with_does_what_it_says(films: Path) -> None:
    assert (films / "films.index" / "manifest.json").is_file()


@pytest.mark.parametrize("name", CONTINUED)
def test_a_tutorial_goes_on_with_what_the_first_one_made(name: str, films: Path, tmp_path: Path) -> None:
    with contextlib.chdir(shutil.copytree(films, tmp_path / "films")):
        follow(page_of(name))


def test_no_block_is_passed_over() -> None:
    """Whatever is not run is told apart by its language."""
    for page in TUTORIALS.glob("*.md"):
        fences = page.read_text(encoding="utf-8").count("\n```")
        assert fences == 2 * len(list(blocks_of(page))), page.name
        assert {block.language for block in blocks_of(page)} <= {
            "python",
            "sh",
            "text",
            "console",
            "markdown",
            "json",
        }, page.name

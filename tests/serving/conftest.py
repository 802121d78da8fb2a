"""Servers over a small index: one that no test changes, and one for each file of tests that may be changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from fixtures.served import SECRET, Client, documents, running
from trailhound import Document, Index
from trailhound.serving._settings import ServerSettings

Serve = Callable[..., AbstractContextManager[Client]]


@pytest.fixture(scope="session")
def isles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index; copy it before it is changed."""
    place = tmp_path_factory.mktemp("served") / "isles.index"
    hidden = Document(*SECRET, metadata={"access": ["keeper"]})
    Index.build([*documents(), hidden], place)
    return place


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Serves an index's folder as the workspace ``isles``, with further settings."""
    pytest.importorskip("fastapi", reason="the server's packages are not installed: pip install 'trailhound[server]'")

    def served(place: Path, state: Path, **settings: Any) -> AbstractContextManager[Client]:
        common: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "workers": 1, "threads": 2, "version": "0"}
        workspaces = settings.pop("workspaces", {"isles": place})
        return running(ServerSettings(workspaces, state=state, **{**common, **settings}))

    return served


@pytest.fixture(scope="session")
def client(isles: Path, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server without keys, whose index no test changes."""
    with serve(isles, tmp_path_factory.mktemp("state")) as asked:
        yield asked


@pytest.fixture(scope="module")
def changing(isles: Path, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server whose index may be changed."""
    folder = tmp_path_factory.mktemp("changing")
    with serve(Path(shutil.copytree(isles, folder / "isles.index")), folder) as asked:
        yield asked

"""The seam between a search and its shards, and shards in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ._shard_server import ShardServer

T = TypeVar("T")

Waiting = Callable[[], T]
"""What was begun: the call waits for it, and raises :class:`ShardError` where the shard is lost."""


class Shard(Protocol):
    """One shard, wherever it is. A call begins its work and returns what waits for it: shards work side by side."""

    name: str
    """Its folder in the sharded index."""

    def call(self, method: str, *given: Any) -> Waiting[Any]:
        """Begin a method of :class:`ShardServer`, whose arguments and result can be pickled."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class LocalShard:
    """A shard in this process, with a thread of its own.

    Raises:
        IndexFolderError: when it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._server = ShardServer(folder)
        self._thread = ThreadPoolExecutor(1, f"shard {self.name}")

    def call(self, method: str, *given: Any) -> Waiting[Any]:
        """Begin a method of :class:`ShardServer`."""
        return self._thread.submit(getattr(self._server, method), *given).result

    def close(self) -> None:
        """Let go of it, once what it is asked is answered."""
        self._thread.shutdown()
        self._server.close()

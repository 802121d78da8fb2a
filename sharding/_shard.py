"""The seam between a search and its shards, and shards in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from ..retrievers.records import Passage
from ._shard_server import FieldWord, ShardAnswer, ShardQuestion, ShardServer, ShardStatistics

T = TypeVar("T")

Waiting = Callable[[], T]
"""What was begun: the call waits for it, and raises :class:`ShardError` where the shard is lost."""


class Shard(Protocol):
    """One shard, wherever it is. A call begins its work and returns what waits for it: shards work side by side."""

    name: str
    """Its folder in the sharded index."""

    def statistics(self, words: Sequence[FieldWord]) -> Waiting[ShardStatistics]:
        """Begin :meth:`ShardServer.statistics`."""
        ...

    def ask(self, question: ShardQuestion) -> Waiting[ShardAnswer]:
        """Begin :meth:`ShardServer.ask`."""
        ...

    def passages(self, rows: Sequence[int], generation: int) -> Waiting[list[Passage]]:
        """Begin :meth:`ShardServer.passages`."""
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

    def statistics(self, words: Sequence[FieldWord]) -> Waiting[ShardStatistics]:
        """Begin :meth:`ShardServer.statistics`."""
        return self._thread.submit(self._server.statistics, words).result

    def ask(self, question: ShardQuestion) -> Waiting[ShardAnswer]:
        """Begin :meth:`ShardServer.ask`."""
        return self._thread.submit(self._server.ask, question).result

    def passages(self, rows: Sequence[int], generation: int) -> Waiting[list[Passage]]:
        """Begin :meth:`ShardServer.passages`."""
        return self._thread.submit(self._server.passages, rows, generation).result

    def close(self) -> None:
        """Let go of it, once what it is asked is answered."""
        self._thread.shutdown()
        self._server.close()

"""The seam between a search and its shards, and shards in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..index.index import Index
from ..retrievers._forks import PerProcess
from ..retrievers.protocols import Encoder
from ._shard_server import ShardServer

T = TypeVar("T")

_THREADS = 2
"""Calls of a shard that go side by side."""

_SCANS = frozenset({ShardServer.ask.__name__, ShardServer.late.__name__})
"""Calls that take the longer, the more passages a shard has."""

_WORTH_A_THREAD = 20_000
"""Passages from which shards are scanned side by side. Of few, threads wait for Python's lock longer than they save:
that was measured for 1,700, and the limit is reckoned from the time of a scan."""

CHANGE = ShardServer.change.__name__
"""The call that is no question: it is made once, and takes as long as it takes."""

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
    """A shard in this process; arguments are those of :class:`ShardServer`.

    What is quick is done by the thread that waits for it; a long scan by a thread of the shard's own.

    Raises:
        IndexFolderError, EncoderError: as :class:`ShardServer`.
    """

    def __init__(self, folder: Path, encoder: Encoder | None = None, index: Index | None = None) -> None:
        self.name = folder.name
        self._server = ShardServer(folder, encoder, index)
        self._threads = PerProcess(partial(ThreadPoolExecutor, _THREADS, f"shard {self.name}"))

    def call(self, method: str, *given: Any) -> Waiting[Any]:
        """Begin a method of :class:`ShardServer`."""
        if method in _SCANS and self._server.passages_in_all >= _WORTH_A_THREAD:
            return self.begin(method, *given).result
        return partial(getattr(self._server, method), *given)

    def begin(self, method: str, *given: Any) -> Future[Any]:
        """Begin a method as a replica does."""
        return self._threads().submit(getattr(self._server, method), *given)

    def close(self) -> None:
        """Let go of it, once what it is asked is answered."""
        self._threads().shutdown()
        self._server.close()

"""Which states of shards searches have asked lately, and what of each is remembered."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from ..index.where import Where
from ..retrievers._forks import PerProcess
from ._records import Remembered

_KEPT = 4
"""States of which something is remembered, the last ones asked for."""

Key = tuple[tuple[int, int], ...]
"""The generation of every shard that is there, by number."""


class Remembering:
    """Remembers for some states of all shards what was asked of them. Threads may share one."""

    def __init__(self) -> None:
        self._lock = PerProcess(Lock)
        self._kept: OrderedDict[tuple[Key, Where | None], Remembered] = OrderedDict()

    def of(self, generations: Key, where: Where | None) -> Remembered:
        """Return what is remembered of a state."""
        key = (generations, where)
        with self._lock():
            found = self._kept.setdefault(key, Remembered())
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return found

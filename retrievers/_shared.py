"""What the agents of a process have in common: loaded once, and let go of with the last that uses it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from threading import RLock
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from ._forks import PerProcess

T = TypeVar("T")


class Shared(Generic[T]):
    """Things that are loaded from files, by what they were loaded from; they are never changed."""

    def __init__(self) -> None:
        self._lock = PerProcess(RLock)
        self._held: WeakValueDictionary[Hashable, T] = WeakValueDictionary()

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return what is loaded already under a key, or load it."""
        with self._lock():
            found = self._held.get(key)
            if found is None:
                found = self._held[key] = load()
            return found


def identity(path: Path) -> tuple[object, ...]:
    """Return what tells a file from any other that is or was at its path; of a missing one that it is missing."""
    try:
        found = path.stat()
    except OSError:
        return (str(path.absolute()),)
    return str(path.absolute()), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

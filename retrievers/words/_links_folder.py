"""A folder in which an index links the files of its parts."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from .._atomic_file import storing
from .._forks import PerProcess

_ROOM = 60_000_000
"""Bytes that must be free in RAM for the folder to lie there: small indexes are written in it too."""


class LinksFolder:
    """A folder that lives no longer than the process, in RAM where it can; for one thread at a time."""

    def __init__(self) -> None:
        self._lock = PerProcess(Lock)
        self._path: Path | None = None
        self._removing: Callable[[], object] | None = None
        self._maker = 0

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Give the folder, which is made when first used.

        Raises:
            StorageError: when there is no room.
        """
        with self._lock():
            if self._path is None or self._maker != os.getpid() or not self._path.is_dir():
                self._path, self._maker = _temporary_folder(), os.getpid()
                self._removing = weakref.finalize(self, _remove, self._path, self._maker)
            yield self._path

    def close(self) -> None:
        """Remove the folder, where there is one; it is made again when it is next used."""
        with self._lock():
            if self._removing is not None:
                self._removing()


def _remove(path: Path, maker: int) -> None:
    if os.getpid() == maker:  # a forked process has folders of its own
        shutil.rmtree(path, ignore_errors=True)


def _temporary_folder() -> Path:
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    where = memory if usable and shutil.disk_usage(memory).free > _ROOM else None
    with storing(where or tempfile.gettempdir()):
        return Path(tempfile.mkdtemp(prefix="trailhound-", dir=where))

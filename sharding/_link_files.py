"""Files on the way to the links of a sharded index: what a task writes for others, as arrays in a folder of its own.

A folder gets its name when all of it is on the disk. So a task whose folder is there is done, and what a killed one has
left is never read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..retrievers._atomic_file import map_array, storing, synchronise

Write = Callable[[str, NDArray[Any]], None]
"""Writes an array by its name."""

_ENDING = ".npy"


@dataclass(frozen=True)
class LinkFiles:
    """What the tasks that link the shards of an index share.

    Attributes:
        place: folder of all files on the way.
        shards: folders of the shards, in order.
        passages: in all shards.
        ranges: into which keys are parted.
    """

    place: Path
    shards: tuple[Path, ...]
    passages: int
    ranges: int

    def keys(self, shard: int) -> Path:
        """Return the folder of the keys of a shard."""
        return self.place / f"keys-{shard:04d}"

    def groups(self, number: int) -> Path:
        """Return the folder of what the keys of a range lead to."""
        return self.place / f"groups-{number:04d}"

    def edges(self, shard: int) -> Path:
        """Return the folder of the edges that begin in a shard."""
        return self.place / f"edges-{shard:04d}"

    def small_letters(self, shard: int) -> Path:
        """Return the folder of how many passages of a shard write names of titles in small letters."""
        return self.place / f"small-{shard:04d}"

    def range_of(self, number: int, keys: NDArray[np.uint32]) -> slice:
        """Return where the keys of a range stand among sorted ones."""
        ends = [(one << 32) // self.ranges for one in (number, number + 1)]
        first, last = np.array([ends[0], ends[1] - 1], np.uint32)
        return slice(int(np.searchsorted(keys, first)), int(np.searchsorted(keys, last, side="right")))


class Columns:
    """Arrays that a task has written.

    Args:
        folder: of the task.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Map an array into memory, anew each time: an array that is kept keeps a file open."""
        return map_array(self._folder / f"{name}{_ENDING}")

    def texts(self, name: str, part: slice) -> list[str]:
        """Return some of the texts that :func:`packed` made arrays of."""
        ends = self[f"{name}_ends"]
        begin = int(ends[part.start - 1]) if part.start else 0
        places = np.asarray(ends[part]) - begin
        content = self[name][begin : begin + (int(places[-1]) if len(places) else 0)].tobytes()
        bounds = [0, *places.tolist()]
        return [content[first:last].decode("utf-8", "surrogatepass") for first, last in pairwise(bounds)]


def packed(name: str, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return texts as arrays: their bytes, and where each ends."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum(np.array([len(one) for one in encoded], np.int64))
    return {name: np.frombuffer(b"".join(encoded), np.uint8), f"{name}_ends": ends}


def places_of(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of several runs one after the other, given where each begins and how long it is."""
    return np.arange(int(counts.sum())) + np.repeat(begins - np.cumsum(counts) + counts, counts)


def write_once(folder: Path, make: Callable[[Write], None]) -> None:
    """Write a task's folder, unless it is there.

    Args:
        folder: to write.
        make: called with what writes an array by its name.
    """
    if folder.is_dir():
        return
    with storing(folder):
        passing = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            make(lambda name, array: _write(passing / f"{name}{_ENDING}", array))
            synchronise(passing)
            try:
                passing.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another machine was as quick
                    raise
            synchronise(folder.parent)
        finally:
            shutil.rmtree(passing, ignore_errors=True)


def _write(file: Path, array: NDArray[Any]) -> None:
    np.save(file, array, allow_pickle=False)
    synchronise(file)

"""What of a growing index a reader sees: additions only ever grow, and it looks no further than its snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import Hits, Rows

_MORE = 8
"""Passages more than asked for that are fetched at first where some were removed."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of an index with changes.

    Additions are kept in lists and arrays to which a writer appends; nothing in them is ever changed. So a snapshot
    is three numbers, and making one costs nothing, whatever the size of the index.

    Attributes:
        base: rows of the base, 0 .. base-1.
        rows: rows of base and additions; later ones are not seen.
        version: changes that were made; later ones are not seen.
        passages: rows that are alive.
        documents: documents that are alive.
        died: row -> the version that removed it, shared with the writer.
    """

    base: int
    rows: int
    version: int
    passages: int
    documents: int
    died: Mapping[int, int]

    def sees(self, row: int) -> bool:
        """Return whether the row is there and alive."""
        if not 0 <= row < self.rows:
            return False
        died = self.died.get(row)
        return died is None or died > self.version

    def living(self, rows: Rows) -> NDArray[np.bool_]:
        """Return whether each row is there and alive, bool [k]."""
        seen = (rows >= 0) & (rows < self.rows)
        if self.died:
            seen &= np.fromiter((self.sees(row) for row in rows.tolist()), np.bool_, len(rows))
        return np.asarray(seen, np.bool_)

    @property
    def dead(self) -> int:
        """Number of rows that were removed."""
        return self.rows - self.passages


class GrowingArray:
    """Numbers in an array to which is appended; views of its beginning never change.

    Args:
        dtype: of the numbers.
        width: numbers in a row; a flat array when None.
    """

    def __init__(self, dtype: type[np.generic], width: int | None = None) -> None:
        self._array = np.zeros((16,) if width is None else (16, width), dtype)
        self._count = 0

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._count

    def extend(self, values: NDArray[np.generic] | list[int]) -> None:
        """Append rows: usually no more than the new ones are copied."""
        last = self._count + len(values)
        if last > len(self._array):
            grown = np.zeros((max(last, 2 * len(self._array)), *self._array.shape[1:]), self._array.dtype)
            grown[: self._count] = self._array[: self._count]
            self._array = grown  # views of the old one stay as they are
        self._array[self._count : last] = values
        self._count = last

    def first(self, count: int) -> NDArray[np.generic]:
        """Return a view of the first ``count`` rows, read-only."""
        view = self._array[:count]
        view.flags.writeable = False
        return view


def merged(first: Hits, second: Hits, limit: int) -> Hits:
    """Return the best of two lists of different passages, ties by row."""
    rows = np.concatenate([first.rows, second.rows])
    scores = np.concatenate([first.scores, second.scores])
    order = np.lexsort((rows, -scores))[: max(limit, 0)]
    return Hits(rows[order], scores[order])


def living_hits(search: Callable[[int], Hits], limit: int, size: int, snapshot: Snapshot) -> Hits:
    """Return the ``limit`` best of a sub-index that are alive; it is asked for more until they suffice.

    Args:
        search: called with a number, returns at most as many hits, best first.
        limit: hits wanted.
        size: passages that the sub-index holds.
        snapshot: says which are alive.
    """
    wanted = limit if not snapshot.died else limit + _MORE
    while True:
        wanted = min(wanted, size)
        found = search(wanted)
        alive = snapshot.living(found.rows)
        if alive.all():
            return Hits(found.rows[:limit], found.scores[:limit])
        if int(alive.sum()) >= limit or wanted == size or len(found) < wanted:
            return Hits(found.rows[alive][:limit], found.scores[alive][:limit])
        wanted *= 2

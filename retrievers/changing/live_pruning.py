"""Which added passages repeat one of an index: what was let through before is looked up by its marks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, UpdateError
from ..array_file import map_array
from ..compiling.pruning import MARKS, WHOLE, Mark, mark_of
from .live_store import LiveStore

Entry = Mapping[str, str]
"""A passage that was left out: see ``Sieve.load``."""

_BUILT_BEFORE = (
    "this index leaves duplicates out and was built by an earlier version, which kept less about them: build it"
    " again, and from then on it can be changed"
)


class BaseMarks:
    """The marks of a base's passages, to be looked up: each of their 18 numbers in order.

    Args:
        folder: of the index.
        passages: N.

    Raises:
        UpdateError: when there are none: the index was built by an earlier version.
        DamagedIndexError: when they are not those of N passages.
    """

    def __init__(self, folder: Path, passages: int) -> None:
        path = folder / MARKS
        if not path.exists():
            raise UpdateError(_BUILT_BEFORE)
        try:
            marks = map_array(path)
        except (OSError, ValueError, EOFError) as error:
            raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
        if marks.dtype != np.uint64 or marks.ndim != 2 or len(marks) != passages or marks.shape[1] <= WHOLE:
            raise DamagedIndexError(f"{path} is {marks.dtype} {marks.shape} of {passages} passages: build again")
        self._order = np.argsort(marks, axis=0, kind="stable")  # [N, 18]
        self._sorted = np.take_along_axis(marks, self._order, axis=0)

    def having(self, column: int, number: int) -> list[int]:
        """Return the rows that have a number in a column."""
        values, wanted = self._sorted[:, column], np.uint64(number)
        first, last = np.searchsorted(values, wanted), np.searchsorted(values, wanted, side="right")
        rows: list[int] = self._order[first:last, column].tolist()
        return rows


class KnownPassages:
    """The passages of an index that are alive, for a :class:`Sieve` that additions pass through; fulfils ``Known``.

    Args:
        base: marks of the base.
        added: marks of the additions, uint64 [18] each, as far as they are known; those that lack are worked out.
        store: the passages.
        rows: passages of base and additions, removed ones among them.
        base_rows: passages of the base.
        gone: rows that the change removes.
    """

    def __init__(
        self,
        base: BaseMarks,
        added: list[NDArray[np.uint64]],
        store: LiveStore,
        rows: int,
        base_rows: int,
        gone: Iterable[int],
    ) -> None:
        self.rows = rows
        self._base = base
        self._base_rows = base_rows
        self._store = store
        self._gone = frozenset(gone)
        for row in range(base_rows + len(added), rows):
            passage = store.passage(row) if store.alive(row) else None  # a removed one is never asked for
            added.append(mark_of("", "").numbers if passage is None else mark_of(passage.title, passage.text).numbers)
        self._added = np.array(added, np.uint64)  # [k, 18]

    def equal(self, mark: Mark) -> int | None:
        """Return the first passage that is equal but for its writing."""
        halves = (self._having(column, int(mark.numbers[column])) for column in range(WHOLE))
        return min(set.intersection(*halves), default=None)

    def meeting(self, mark: Mark) -> list[int]:
        """Return the passages that share a band."""
        bands = range(WHOLE, len(mark.numbers)) if mark.shingles else ()
        return sorted({row for band in bands for row in self._having(band, int(mark.numbers[band]))})

    def shingles(self, row: int) -> frozenset[int]:
        """Return the shingles of a passage."""
        passage = self._store.passage(row)
        return mark_of(passage.title, passage.text).shingles

    def id_of(self, row: int) -> str:
        """Return the id of a passage."""
        return self._store.passage(row).id

    def _having(self, column: int, number: int) -> set[int]:
        """Return the living rows that have a number in a column."""
        rows = self._base.having(column, number)
        if len(self._added):
            rows += (np.flatnonzero(self._added[:, column] == np.uint64(number)) + self._base_rows).tolist()
        return {row for row in rows if row not in self._gone and self._store.alive(row)}


def standing_behind(dropped: Sequence[Entry], document_ids: Iterable[str], passage_ids: Iterable[str]) -> set[str]:
    """Return the documents of which a passage was left out for one of ``passage_ids``, but for ``document_ids``.

    Raises:
        UpdateError: when an earlier version wrote down what was left out, without the documents.
    """
    if not all("document" in entry for entry in dropped):
        raise UpdateError(_BUILT_BEFORE)
    gone, known = set(passage_ids), set(document_ids)
    return {entry["document"] for entry in dropped if entry["found_as"] in gone} - known

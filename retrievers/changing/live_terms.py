"""The term index with changes: terms of added passages, and how they shift document frequencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..words.terms import TermHashes, TermIndex
from .snapshot import GrowingArray, Snapshot


class TermAdditions:
    """The terms of added passages; only ever grows."""

    def __init__(self) -> None:
        self._offsets = GrowingArray(np.int64)
        self._offsets.extend([0])
        self._hashes = GrowingArray(np.uint32)

    def add(self, hashes: TermHashes) -> None:
        """Add the terms of the next passage, sorted and distinct."""
        self._hashes.extend(hashes)
        self._offsets.extend([len(self._hashes)])

    def terms(self, place: int) -> TermHashes:
        """Return the terms of an added passage, counted from 0."""
        first, last = self._offsets.first(place + 2)[place:].tolist()
        return np.asarray(self._hashes.first(last)[first:], np.uint32)


class Shift:
    """How document frequencies differ from the base's: terms, sorted, and what to add to each. Never changes.

    Args:
        terms: uint32 [V], sorted.
        counts: int64 [V].
    """

    def __init__(self, terms: TermHashes | None = None, counts: NDArray[np.int64] | None = None) -> None:
        self._terms = np.zeros(0, np.uint32) if terms is None else terms
        self._counts = np.zeros(0, np.int64) if counts is None else counts

    def moved(self, added: list[TermHashes], removed: list[TermHashes]) -> Shift:
        """Return the shift after passages of these terms came and went; costs as much as there is in it."""
        parts = [self._terms, *added, *removed]
        counts = [self._counts]
        counts += [np.ones(len(terms), np.int64) for terms in added]
        counts += [np.full(len(terms), -1, np.int64) for terms in removed]
        terms, place = np.unique(np.concatenate(parts), return_inverse=True)
        return Shift(terms, np.bincount(place, np.concatenate(counts), len(terms)).astype(np.int64))

    def of(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return what to add to the frequency of each term, int64 [k]."""
        if not len(self._terms):
            return np.zeros(len(hashes), np.int64)
        place = np.minimum(np.searchsorted(self._terms, hashes), len(self._terms) - 1)
        return np.where(self._terms[place] == hashes, self._counts[place], 0)


class LiveTerms:
    """A term index as it was at a snapshot; offers what features ask of a :class:`TermIndex`.

    Args:
        base: the term index of the base.
        additions: terms of added passages, shared with the writer.
        shift: of the document frequencies.
        snapshot: how much is seen.
    """

    def __init__(self, base: TermIndex, additions: TermAdditions, shift: Shift, snapshot: Snapshot) -> None:
        self._base = base
        self._added = additions
        self._shift = shift
        self._snapshot = snapshot

    def __len__(self) -> int:
        """Return the number of rows, removed ones among them."""
        return self._snapshot.rows

    def terms(self, row: int) -> TermHashes:
        """Return the terms of a passage, uint32 [k], sorted; a view, not a copy.

        Raises:
            IndexError: when there is no such row, or it was removed.
        """
        if not self._snapshot.sees(row):
            raise IndexError(f"row {row} is not one of the passages, or was removed")
        return self._base.terms(row) if row < self._snapshot.base else self._added.terms(row - self._snapshot.base)

    def terms_of(self, rows: NDArray[np.int64]) -> tuple[TermHashes, NDArray[np.int64]]:
        """Return the terms of several passages one after the other, and the place in ``rows`` that each belongs to."""
        if not len(rows) or int(rows.max()) < self._snapshot.base:
            return self._base.terms_of(rows)
        parts = [self.terms(row) for row in rows.tolist()]
        return np.concatenate(parts), np.repeat(np.arange(len(rows)), [len(part) for part in parts])

    def document_frequency(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return the number of passages that have each term, int64 [k]."""
        return self._base.document_frequency(hashes) + self._shift.of(hashes)

    def base_frequency(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return the number of passages of the base that have each term, int64 [k]."""
        return self._base.document_frequency(hashes)

    def idf(self, hashes: TermHashes) -> NDArray[np.float32]:
        """Return ln(1 + (N - df + 0.5) / (df + 0.5)) of each term, float32 [k]: see :meth:`TermIndex.idf`."""
        frequency = self.document_frequency(hashes)
        return np.log1p((self._snapshot.passages - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)

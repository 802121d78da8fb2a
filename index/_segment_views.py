"""Store, terms, dense sub-index and word pieces of several segments read as one, without deleted passages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..retrievers._store import EvidenceStore, Origin
from ..retrievers.records import Document, Hits, Passage, Query, Rows, Vectors
from ..retrievers.vectors._dense import DenseIndex
from ..retrievers.vectors._postgres_dense import PostgresDense
from ..retrievers.words._lexical import DELETED_SPARE
from ..retrievers.words._terms import TermHashes, TermIndex, rarity

_FEW_LEFT, _COMPARED = 1 / 16, 20_000
"""Share and number of a segment's vectors up to which those that are not deleted are all compared with a query's."""

_AT_ONCE = 500


class Column(Sequence[str]):
    """What is said of every row, segment after segment.

    Args:
        parts: of each segment.
        offsets: first row of each segment, and the number of rows.
    """

    def __init__(self, parts: Sequence[Sequence[str]], offsets: Sequence[int]) -> None:
        self._parts = parts
        self._offsets = offsets

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._offsets[-1]

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[str]: ...

    def __getitem__(self, row: int | slice) -> str | Sequence[str]:
        """Return what is said of a row."""
        if isinstance(row, slice):
            return [self[place] for place in range(*row.indices(len(self)))]
        if row < self._offsets[1]:
            return self._parts[0][row]
        number = bisect_right(self._offsets, row) - 1
        return self._parts[number][row - self._offsets[number]]


class SegmentedStore:
    """The stores of several segments; offers what :class:`EvidenceStore` offers. Threads may share one.

    Rows of deleted passages are no longer there: asking for one is an ``IndexError``.

    Args:
        stores: of each segment, with the number of its passages and which of its documents are deleted.
        alive: bool [N], which rows are not deleted.
        columns: title and document id of every row.
    """

    def __init__(
        self,
        stores: Sequence[tuple[EvidenceStore, int, NDArray[np.bool_]]],
        alive: NDArray[np.bool_],
        columns: tuple[Sequence[str], Sequence[str]],
    ) -> None:
        self._stores = [store for store, _, _ in stores]
        self._deleted = [deleted for _, _, deleted in stores]
        self._offsets = np.cumsum([0, *(count for _, count, _ in stores)]).tolist()
        self._alive = alive
        self._columns = columns
        self.path = self._stores[0].path

    def __len__(self) -> int:
        """Return the number of passages."""
        return int(self._alive.sum())

    @property
    def documents(self) -> int:
        """Number of documents."""
        return int(sum(len(deleted) - deleted.sum() for deleted in self._deleted))

    def passage(self, row: int) -> Passage:
        """Return the passage of a row: see :meth:`EvidenceStore.passage`."""
        return self.passages([row])[0]

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return the passages of ``rows``, in that order.

        Raises:
            IndexError: when there is no such row, or it was deleted.
            DamagedIndexError: when it does not match its hash.
        """
        groups: dict[int, list[int]] = {}
        for row in rows:
            if not self.alive(int(row)):
                raise IndexError(f"row {row} is not one of the passages of {self.path}, or was deleted")
            groups.setdefault(bisect_right(self._offsets, row) - 1, []).append(int(row))
        found: dict[int, Passage] = {}
        for number, mine in groups.items():
            store, offset = self._stores[number], self._offsets[number]
            found.update(zip(mine, store.passages([row - offset for row in mine]), strict=True))
        return [found[int(row)] for row in rows]

    def __iter__(self) -> Iterator[Passage]:
        """Iterate over all passages in the order of their rows."""
        rows = self.rows().tolist()
        for first in range(0, len(rows), _AT_ONCE):
            yield from self.passages(rows[first : first + _AT_ONCE])

    def rows(self) -> Rows:
        """Return the rows of all passages, int64 [N], ascending."""
        return np.flatnonzero(self._alive)

    def alive(self, row: int) -> bool:
        """Return whether there is such a row and it was not deleted."""
        return 0 <= row < len(self._alive) and bool(self._alive[row])

    def row_of(self, passage_id: str) -> int:
        """Return the row of a passage.

        Raises:
            KeyError: when there is no such passage.
        """
        for store, offset in zip(reversed(self._stores), reversed(self._offsets[:-1]), strict=True):
            try:
                row = store.row_of(passage_id) + offset
            except KeyError:
                continue
            if self._alive[row]:
                return int(row)
        raise KeyError(passage_id)

    def has(self, passage_id: str) -> bool:
        """Return whether there is such a passage."""
        try:
            self.row_of(passage_id)
        except KeyError:
            return False
        return True

    def place_of(self, document_id: str) -> tuple[int, int]:
        """Return the place of a document's store, and its number there.

        Raises:
            KeyError: when there is no such document.
        """
        return self.places_of([document_id])[document_id]

    def places_of(self, document_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return the place of the store of each document that is there, and its number there, by id."""
        found: dict[str, tuple[int, int]] = {}
        for place, (store, deleted) in enumerate(zip(self._stores, self._deleted, strict=True)):
            numbers = store.numbers(document_ids)
            found.update((name, (place, number)) for name, number in numbers.items() if not deleted[number])
        return found

    def document(self, document_id: str) -> Document:
        """Return a document with its text: see :meth:`EvidenceStore.document`."""
        return self._stores[self.place_of(document_id)[0]].document(document_id)

    def rows_of(self, document_id: str) -> list[int]:
        """Return the rows of a document's passages, ascending.

        Raises:
            KeyError: when there is no such document.
        """
        place, _ = self.place_of(document_id)
        return [row + self._offsets[place] for row in self._stores[place].rows_of(document_id)]

    def having(self, document_ids: Iterable[str]) -> list[str]:
        """Return those of the ids that name a document, in their order."""
        wanted = list(document_ids)
        found = self.places_of(wanted)
        return [identifier for identifier in wanted if identifier in found]

    def origins(self) -> list[Origin]:
        """Return where all documents came from, in the order they were added."""
        return [
            origin
            for store, deleted in zip(self._stores, self._deleted, strict=True)
            for origin, gone in zip(store.origins(), deleted.tolist(), strict=True)
            if not gone
        ]

    def document_ids(self) -> list[str]:
        """Return the ids of all documents in the order they were added."""
        return [
            identifier
            for store, deleted in zip(self._stores, self._deleted, strict=True)
            for identifier, gone in zip(store.document_ids(), deleted.tolist(), strict=True)
            if not gone
        ]

    def columns(self) -> tuple[list[str], list[str]]:
        """Return the title and the document id of every row, "" and "" where it was deleted."""
        titles, documents = list(self._columns[0]), list(self._columns[1])
        for row in np.flatnonzero(~self._alive).tolist():
            titles[row] = documents[row] = ""
        return titles, documents

    def close(self) -> None:
        """Close the files."""
        for store in self._stores:
            store.close()


class SegmentedTerms:
    """The terms of several segments; offers what features ask of a :class:`TermIndex`.

    Args:
        parts: of each segment.
        alive: bool [N], which rows are not deleted.
        exact: deleted passages do not count in document frequencies, which takes a pass over all terms. Otherwise they
            count until their segment is written again.
    """

    def __init__(self, parts: Sequence[TermIndex], alive: NDArray[np.bool_], exact: bool = False) -> None:
        self._parts = parts
        self._offsets = np.cumsum([0, *map(len, parts)])
        self._alive = alive
        self._exact = exact

    def __len__(self) -> int:
        """Return the number of rows, deleted ones among them."""
        return len(self._alive)

    def terms(self, row: int) -> TermHashes:
        """Return the terms of a passage, uint32 [k], sorted; a view, not a copy.

        Raises:
            IndexError: when there is no such row, or it was deleted.
        """
        if not 0 <= row < len(self) or not self._alive[row]:
            raise IndexError(f"row {row} is not one of the passages, or was deleted")
        number = int(np.searchsorted(self._offsets, row, side="right")) - 1
        return self._parts[number].terms(row - int(self._offsets[number]))

    def terms_of(self, rows: NDArray[np.int64]) -> tuple[TermHashes, NDArray[np.int64]]:
        """Return the terms of several passages one after the other, and the place in ``rows`` that each belongs to."""
        if not len(rows) or int(rows.max()) < self._offsets[1]:
            return self._parts[0].terms_of(rows)
        parts = [self.terms(row) for row in rows.tolist()]
        return np.concatenate(parts), np.repeat(np.arange(len(rows)), [len(part) for part in parts])

    def document_frequency(self, hashes: TermHashes) -> NDArray[np.int64]:
        """Return the number of passages that have each term, int64 [k]; 0 for a term that never occurs."""
        total = np.zeros(len(hashes), np.int64)
        for part, frequencies in zip(self._parts, self._frequencies, strict=True):
            total += part.document_frequency(hashes, frequencies)
        return total

    @cached_property
    def _frequencies(self) -> list[NDArray[np.int64] | None]:
        """Return how many passages that count have each term of a segment's vocabulary; None where all count."""
        if not self._exact:
            return [None] * len(self._parts)
        ends = self._offsets.tolist()
        return [
            part.frequencies_among(self._alive[first:last])
            for part, first, last in zip(self._parts, ends, ends[1:], strict=False)
        ]

    def idf(self, hashes: TermHashes) -> NDArray[np.float32]:
        """Return ln(1 + (N - df + 0.5) / (df + 0.5)) of each term, float32 [k]: see :meth:`TermIndex.idf`."""
        frequency = self.document_frequency(hashes)
        passages = int(self._alive.sum()) if self._exact else len(self)
        return rarity(frequency, passages)


class SegmentedDense:
    """The dense indexes of several segments; fulfils ``SubIndex``. Additions are compared exactly.

    Args:
        parts: of each segment.
        alive: bool [N], which rows are not deleted.
        spare: passages beyond those wanted that are asked for at first where some are deleted.
    """

    name = "dense"

    def __init__(
        self, parts: Sequence[DenseIndex | PostgresDense], alive: NDArray[np.bool_], spare: int = DELETED_SPARE
    ) -> None:
        self._parts = parts
        self._spare = spare
        self._offsets = np.cumsum([0, *map(len, parts)])
        self._alive = alive
        self._whole = [bool(alive[a:b].all()) for a, b in zip(self._offsets, self._offsets[1:], strict=False)]
        self.kind = parts[0].kind
        self.dimension = parts[0].dimension

    def __len__(self) -> int:
        """Return the number of rows, deleted ones among them."""
        return len(self._alive)

    @property
    def vectors(self) -> Vectors:
        """Every row's vector, float32 [N, d]: a copy of all of them, made anew at each call."""
        return self.reconstruct(np.arange(len(self)))

    def reconstruct(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d]."""
        rows = np.asarray(rows, np.int64)
        if not len(rows) or int(rows.max()) < self._offsets[1]:
            return self._parts[0].reconstruct(rows)
        vectors = np.zeros((len(rows), self.dimension), np.float32)
        numbers = np.searchsorted(self._offsets, rows, side="right") - 1
        for number in np.unique(numbers).tolist():
            mine = numbers == number
            vectors[mine] = self._parts[number].reconstruct(rows[mine] - self._offsets[number])
        return vectors

    def search(self, query: Query, limit: int) -> Hits:
        """Return the ``limit`` passages nearest to the query's vector, best first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        searches = [
            lambda wanted, part=part, few=few: part.search(query, wanted) if few is None else part.among(query, few)
            for part, few in zip(self._parts, self._few, strict=True)
        ]
        return _best(searches, self._offsets, self._alive, self._whole, limit, self._spare)

    @cached_property
    def _few(self) -> list[Rows | None]:
        """Return the living rows of a segment where they are few, so that all of them are compared; else None."""
        found: list[Rows | None] = []
        for part, first, last in zip(self._parts, self._offsets, self._offsets[1:], strict=False):
            alive = self._alive[first:last]
            few = int(alive.sum()) <= min(_COMPARED, _FEW_LEFT * len(part))
            found.append(np.flatnonzero(alive) if few else None)
        return found


def _best(
    searches: Sequence[Callable[[int], Hits]],
    offsets: NDArray[np.int64],
    alive: NDArray[np.bool_],
    whole: Sequence[bool],
    limit: int,
    spare: int,
) -> Hits:
    """Return the best living passages of several sub-indexes, best first, ties by row."""
    found = []
    for number, search in enumerate(searches):
        first, last = int(offsets[number]), int(offsets[number + 1])
        wanted = limit if whole[number] else limit + spare
        found.append(_living(search, limit, wanted, first, alive[first:last]))
    rows = np.concatenate([hits.rows for hits in found])
    scores = np.concatenate([hits.scores for hits in found])
    order = np.lexsort((rows, -scores))[: max(limit, 0)]
    return Hits(rows[order], scores[order])


def _living(search: Callable[[int], Hits], limit: int, wanted: int, first: int, alive: NDArray[np.bool_]) -> Hits:
    """Return the best living passages of one sub-index; it is asked for more until they suffice."""
    while True:
        hits = search(min(wanted, len(alive)))
        kept = alive[hits.rows]
        if int(kept.sum()) >= limit or wanted >= len(alive) or len(hits) < wanted:
            return Hits(hits.rows[kept][:limit] + first, hits.scores[kept][:limit])
        wanted *= 4

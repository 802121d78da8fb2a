"""The evidence store with changes: passages of the base from SQLite, passages that were added from memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..records import Document, Passage, Rows
from ..store import EvidenceStore
from .snapshot import Snapshot


class StoreAdditions:
    """What was added to a store, and what was removed from it; only ever grows."""

    def __init__(self) -> None:
        self.passages: list[Passage] = []
        self.by_passage: dict[str, list[int]] = {}
        self.states: dict[str, list[tuple[int, Document | None, range]]] = {}
        """Document id -> (version, the document or None once it is removed, its rows), oldest first."""
        self.order: list[tuple[int, str]] = []
        """(version, document id) of everything that was added."""

    def remove(self, document_id: str, version: int) -> None:
        """Note that a document is gone from ``version`` on."""
        self.states.setdefault(document_id, []).append((version, None, range(0)))

    def add(self, document: Document, passages: Sequence[Passage], first_row: int, version: int) -> None:
        """Note a document that is there from ``version`` on."""
        for row, passage in enumerate(passages, first_row):
            self.by_passage.setdefault(passage.id, []).append(row)
        self.passages.extend(passages)
        rows = range(first_row, first_row + len(passages))
        self.states.setdefault(document.id, []).append((version, document, rows))
        self.order.append((version, document.id))

    def state(self, document_id: str, version: int) -> tuple[int, Document | None, range] | None:
        """Return what became of a document until ``version``; None when it is as in the base."""
        states = self.states.get(document_id, ())
        place = bisect_right(states, version, key=lambda state: state[0])
        return states[place - 1] if place else None


class LiveStore:
    """A store as it was at a snapshot; offers what :class:`EvidenceStore` offers. Threads may share one.

    Rows that were removed are no longer there: asking for one is an ``IndexError``.

    Args:
        base: the store of the base.
        additions: what was changed since.
        snapshot: how much of it is seen.
    """

    def __init__(self, base: EvidenceStore, additions: StoreAdditions, snapshot: Snapshot) -> None:
        self.path = base.path
        self._base = base
        self._added = additions
        self._snapshot = snapshot

    def __len__(self) -> int:
        """Return the number of passages."""
        return self._snapshot.passages

    @property
    def documents(self) -> int:
        """Number of documents."""
        return self._snapshot.documents

    def passage(self, row: int) -> Passage:
        """Return the passage of a row: see :meth:`EvidenceStore.passage`."""
        return self.passages([row])[0]

    def passages(self, rows: Sequence[int]) -> list[Passage]:
        """Return the passages of ``rows``, in that order.

        Raises:
            IndexError: when there is no such row, or it was removed.
            DamagedIndexError: when it does not match its hash.
        """
        snapshot = self._snapshot
        for row in rows:
            if not snapshot.sees(int(row)):
                raise IndexError(f"row {row} is not one of the passages of {self.path}, or was removed")
        old = [int(row) for row in rows if row < snapshot.base]
        found = iter(self._base.passages(old))
        added = self._added.passages
        return [next(found) if row < snapshot.base else added[int(row) - snapshot.base] for row in rows]

    def __iter__(self) -> Iterator[Passage]:
        """Iterate over all passages in the order of their rows."""
        rows = self.rows().tolist()
        for first in range(0, len(rows), 500):
            yield from self.passages(rows[first : first + 500])

    def rows(self) -> Rows:
        """Return the rows of all passages, int64 [N], ascending."""
        rows = np.arange(self._snapshot.rows, dtype=np.int64)
        return rows[self._snapshot.living(rows)]

    def row_of(self, passage_id: str) -> int:
        """Return the row of a passage.

        Raises:
            KeyError: when there is no such passage.
        """
        for row in reversed(self._added.by_passage.get(passage_id, [])):
            if self._snapshot.sees(row):
                return row
        row = self._base.row_of(passage_id)
        if not self._snapshot.sees(row):
            raise KeyError(passage_id)
        return row

    def has(self, passage_id: str) -> bool:
        """Return whether there is such a passage."""
        try:
            self.row_of(passage_id)
        except KeyError:
            return False
        return True

    def document(self, document_id: str) -> Document:
        """Return a document with its text: see :meth:`EvidenceStore.document`."""
        state = self._added.state(document_id, self._snapshot.version)
        if state is None:
            return self._base.document(document_id)
        if state[1] is None:
            raise KeyError(document_id)
        return state[1]

    def rows_of(self, document_id: str) -> list[int]:
        """Return the rows of a document's passages, ascending.

        Raises:
            KeyError: when there is no such document.
        """
        state = self._added.state(document_id, self._snapshot.version)
        if state is None:
            return self._base.rows_of(document_id)
        if state[1] is None:
            raise KeyError(document_id)
        return list(state[2])

    def having(self, document_ids: Iterable[str]) -> list[str]:
        """Return those of the ids that name a document."""
        found = []
        for identifier in document_ids:
            state = self._added.state(identifier, self._snapshot.version)
            if self._base.having([identifier]) if state is None else state[1] is not None:
                found.append(identifier)
        return found

    def document_ids(self) -> list[str]:
        """Return the ids of all documents: those of the base, then the others in the order they were added."""
        version, state = self._snapshot.version, self._added.state
        old = [identifier for identifier in self._base.document_ids() if state(identifier, version) is None]
        new = []
        for added, identifier in self._added.order[:]:
            latest = state(identifier, version) if added <= version else None
            if latest is not None and latest[1] is not None and latest[0] == added:
                new.append(identifier)
        return old + new

    def alive(self, row: int) -> bool:
        """Return whether there is such a row and it was not removed."""
        return self._snapshot.sees(row)

    def columns(self) -> tuple[list[str], list[str]]:
        """Return the title and the document id of every row, "" and "" where it was removed."""
        titles, documents = self._base.columns()
        for passage in self._added.passages[: self._snapshot.rows - self._snapshot.base]:
            titles.append(passage.title)
            documents.append(passage.document_id)
        for row in list(self._snapshot.died):
            if row < self._snapshot.rows and not self._snapshot.sees(row):
                titles[row] = documents[row] = ""
        return titles, documents

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

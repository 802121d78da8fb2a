"""The dense sub-index over the vectors of a segment in PostgreSQL, compared or walked by pgvector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError
from .._bounded import Bounded
from .._postgres_store import HeldRows
from ..records import Hits, Query, Rows, Vectors
from ._dense import DenseKind, vector_of

DATABASE_KINDS: tuple[DenseKind, ...] = ("exact", "hnsw")
"""Kinds that pgvector has too."""

_TIES = 8
_KEPT = 16 << 20
"""Bytes of the vectors that are kept, those asked for last: a search looks at its candidates again and again."""


class PostgresDense:
    """Passages nearest to the query's vector; fulfils ``SubIndex`` and offers what :class:`DenseIndex` offers.

    Args:
        folder: of the segment, for messages.
        about: what is written of its rows beside its files.
        kind: ``exact``, or ``hnsw`` where there is an index over them.

    Raises:
        DamagedIndexError: when the rows are no longer there.
        DatabaseError: when the database cannot be used.
    """

    name = "dense"

    def __init__(self, folder: Path, about: Mapping[str, Any], kind: DenseKind) -> None:
        self.kind = kind
        self._folder = folder
        self._held = HeldRows(folder, about)
        self._count = int(about["passages"])
        self.dimension = int(about["dimension"])
        self._kept = Bounded[int, Vectors](_KEPT, lambda vector: vector.nbytes + 200)
        self._of = f"FROM trailhound_vectors WHERE segment = {self._held.key}"

    def __len__(self) -> int:
        """Return the number of passages."""
        return self._count

    @property
    def vectors(self) -> Vectors:
        """Every passage's vector, float32 [N, d]: fetched anew at each call."""
        return self._read(self._held.database.fetch(f'SELECT vector {self._of} ORDER BY "row"'), self._count)

    def reconstruct(self, rows: Rows) -> Vectors:
        """Return the vectors of passages, float32 [n, d], as the encoder gave them."""
        asked = np.asarray(rows, np.int64).tolist()
        found = self._kept.get(asked)
        missing = sorted(set(asked) - found.keys())
        if missing:
            read = self._held.database.fetch(f'SELECT vector {self._of} AND "row" = ANY(%s) ORDER BY "row"', (missing,))
            new = dict(zip(missing, self._read(read, len(missing)), strict=True))
            self._kept.put(new)
            found.update(new)
        return np.array([found[row] for row in asked], np.float32).reshape(len(asked), self.dimension)

    def among(self, query: Query, rows: Rows) -> Hits:
        """Return all of ``rows``, those nearest to the query's vector first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        asked = _text(vector_of(query, self.dimension))
        statement = f'SELECT "row", vector <#> %s::vector {self._of} AND "row" = ANY(%s)'
        return _hits(self._held.database.fetch(statement, (asked, np.asarray(rows).tolist())), len(rows))

    def search(self, query: Query, limit: int) -> Hits:
        """Return the ``limit`` passages nearest to the query's vector, best first, ties by row.

        Raises:
            EncoderError: when the query has no vector, or one of another dimension.
        """
        asked = _text(vector_of(query, self.dimension))
        limit = min(limit, len(self))
        if limit < 1:
            return Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
        if self.kind == "exact":
            statement = f'SELECT "row", vector <#> %s::vector AS away {self._of} ORDER BY away, "row" LIMIT %s'
            return _hits(self._held.database.fetch(statement, (asked, limit)), limit)
        # The index is over vectors of a fixed length, and knows no second order.
        away = f"vector::vector({self.dimension}) <#> %s::vector({self.dimension})"
        wanted = limit
        while True:
            wanted = min(2 * wanted + _TIES, len(self))
            statement = f'SELECT "row", {away} {self._of} ORDER BY {away} LIMIT %s'
            found = self._held.database.fetch(statement, (asked, asked, wanted))
            if wanted == len(self) or len(found) < wanted or found[-1][1] > found[limit - 1][1]:
                return _hits(found, limit)

    def _read(self, records: list[Any], count: int) -> Vectors:
        """Return vectors as pgvector sent them."""
        size = 4 + 4 * self.dimension
        if len(records) != count or any(len(sent) != size for (sent,) in records):
            raise DamagedIndexError(f"{self._folder}: it has lost vectors in the database: build the index again")
        joined = np.frombuffer(b"".join(sent for (sent,) in records), np.uint8).reshape(count, size)
        read: NDArray[np.float32] = joined[:, 4:].copy().view(">f4").astype(np.float32)
        return read

    def __del__(self) -> None:
        """Let the rows go."""
        held: HeldRows | None = getattr(self, "_held", None)
        if held is not None:
            held.close()


def _hits(found: list[Any], limit: int) -> Hits:
    """Return what was found by its negative inner products, best first, ties by row."""
    rows = np.array([row for row, _ in found], np.int64)
    scores = -np.array([away for _, away in found], np.float32)
    order = np.lexsort((rows, -scores))[:limit]
    return Hits(rows[order], scores[order])


def _text(vector: Vectors) -> str:
    return f"[{','.join(map(repr, vector.tolist()))}]"

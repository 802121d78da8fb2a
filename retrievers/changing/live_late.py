"""The late-interaction sub-index with changes: the base's own, and the codes of additions compared one by one."""

from __future__ import annotations

import numpy as np

from ..records import Hits, Query
from ..vectors.late_interaction import NOTHING, LateInteractionIndex, centre_scores, compared, maxsim
from ..vectors.residual_codes import Coded, CodedTexts, PieceTables
from .snapshot import GrowingArray, Snapshot, living_hits, merged


class LateAdditions:
    """The word pieces of added passages, as codes of the base's codec; only ever grows.

    Args:
        width: bytes to a word piece's residual.
    """

    def __init__(self, width: int) -> None:
        self._offsets = GrowingArray(np.int64)
        self._offsets.extend([0])
        self._cells = GrowingArray(np.uint16)
        self._codes = GrowingArray(np.uint8, width)
        self._lengths = GrowingArray(np.float16)

    def extend(self, texts: CodedTexts) -> None:
        """Add the word pieces of the next passages."""
        self._cells.extend(texts.coded.cells)
        self._codes.extend(texts.coded.codes)
        self._lengths.extend(texts.coded.lengths)
        last = len(self._cells) - int(texts.counts.sum())
        self._offsets.extend(last + np.cumsum(texts.counts))

    def first(self, passages: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Coded]:
        """Return where the word pieces of the first passages begin, int64 [passages + 1], and the pieces."""
        offsets = np.asarray(self._offsets.first(passages + 1), np.int64)
        tokens = int(offsets[-1])
        cells = np.asarray(self._cells.first(tokens), np.uint16)
        codes = np.asarray(self._codes.first(tokens), np.uint8)
        return offsets, Coded(cells, codes, np.asarray(self._lengths.first(tokens), np.float16))


class LiveLate:
    """Passages by MaxSim over word pieces, as of a snapshot; fulfils ``SubIndex``.

    Additions are kept as codes of the base's codec, so the scores of both are on one scale. They are all compared
    with the query; when they are very many, those of which their centres promise most.

    Args:
        base: the sub-index of the base.
        added: word pieces of the additions, shared with the writer.
        snapshot: how much is seen.
    """

    def __init__(self, base: LateInteractionIndex, added: LateAdditions, snapshot: Snapshot) -> None:
        self.name = base.name
        self._base = base
        self._snapshot = snapshot
        self._offsets, self._coded = added.first(snapshot.rows - snapshot.base)

    def __len__(self) -> int:
        """Return the number of rows, removed ones among them."""
        return self._snapshot.rows

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages that fit the query's word pieces best, best first, ties by row."""
        asked = self._base.asked(query) if limit > 0 else None
        if asked is None:
            return NOTHING
        base = living_hits(lambda wanted: self._base.best(asked, wanted), limit, len(self._base), self._snapshot)
        return merged(base, self._best_added(asked, limit), limit)

    def _best_added(self, asked: PieceTables, limit: int) -> Hits:
        places = np.flatnonzero(np.diff(self._offsets))  # a passage without a word piece is never found
        places = places[self._snapshot.living(places + self._snapshot.base)]
        if not len(places):
            return NOTHING
        if len(places) > compared(limit):
            promise = centre_scores(asked, self._offsets, self._coded, places)
            places = np.sort(places[np.lexsort((places, -promise))[: compared(limit)]])
        return Hits(places + self._snapshot.base, maxsim(asked, self._offsets, self._coded, places))

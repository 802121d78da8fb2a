"""A sub-index of the base that goes on as it was built, but for what was removed since."""

from __future__ import annotations

from .late_interaction import LateInteractionIndex
from .records import Hits, Query
from .snapshot import Snapshot, living_hits


class WithoutRemoved:
    """Passages of the base that a sub-index finds and that are alive at a snapshot; fulfils ``SubIndex``.

    Args:
        base: the sub-index, over all rows of the base.
        snapshot: says which are alive.
    """

    def __init__(self, base: LateInteractionIndex, snapshot: Snapshot) -> None:
        self.name = base.name
        self._base = base
        self._snapshot = snapshot

    def __len__(self) -> int:
        """Return the number of rows of the base."""
        return len(self._base)

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages, best first, ties by row."""
        return living_hits(lambda wanted: self._base.search(query, wanted), limit, len(self._base), self._snapshot)

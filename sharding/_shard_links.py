"""How a shard's passages stand in the whole corpus: their order in it, and their edges, also to other shards.

They are written once all shards are built (``_linking.py``) and hold for the shard's base. What is added later stands
behind all others and has the edges of its own shard; so have all passages once the shard was compacted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..index._segments import Parts
from ..retrievers._atomic_file import load_arrays
from ..retrievers.records import Rows
from ._building import place_of_links, read_shards
from ._messages import ADDED, GROUPS_OF_EDGES, EdgeBlock, row_in_all, shards_of

_LINKED = "linked"
_MENTIONS, _MENTIONED_BY = GROUPS_OF_EDGES.index("mentions"), GROUPS_OF_EDGES.index("mentioned_by")


@dataclass(frozen=True)
class LinkedBase:
    """What is known of the base of a shard.

    Attributes:
        base: hash of it.
        order: place of each passage's document in the corpus, int64 [n].
        offsets: int64 [n * groups + 1], of the edges of each passage by group.
        rows, relations, starts, ends: of every edge, rows as those of all shards.
    """

    base: str
    order: NDArray[np.int64]
    offsets: NDArray[np.int64]
    rows: Rows
    relations: NDArray[np.int8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    def save(self, path: Path, linked: str) -> None:
        """Write it to a file, which says by ``linked`` what all shards were when they were linked."""
        from safetensors.numpy import save_file

        arrays = {name: np.ascontiguousarray(value) for name, value in vars(self).items() if name != "base"}
        save_file({**arrays, "base": np.frombuffer(self.base.encode(), np.uint8)}, str(path), {_LINKED: linked})

    @classmethod
    def load(cls, path: Path) -> LinkedBase:
        """Read what :meth:`save` wrote.

        Raises:
            DamagedIndexError: when it cannot be read.
        """
        arrays = load_arrays(path)
        return cls(arrays.pop("base").tobytes().decode(), **arrays)

    def edges(self, rows: Rows) -> tuple[NDArray[np.int64], EdgeBlock]:
        """Return how many edges of each group passages have, int64 [n, groups], and all of them."""
        groups = len(GROUPS_OF_EDGES)
        keys = (rows[:, None] * groups + np.arange(groups)).reshape(-1)
        begins = self.offsets[keys]
        counts = self.offsets[keys + 1] - begins
        places = np.arange(int(counts.sum())) + np.repeat(begins - np.cumsum(counts) + counts, counts)
        columns = (self.rows[places], self.relations[places], self.starts[places], self.ends[places])
        return counts.reshape(-1, groups), _block(counts.reshape(-1, groups), *columns)


def linked_of(path: Path) -> str:
    """Return what a file says all shards were when they were linked; "" where it is not there or cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            return str((file.metadata() or {}).get(_LINKED, ""))
    except (OSError, SafetensorError):
        return ""


class ShardLinks:
    """How the passages of a shard stand in the whole corpus.

    Args:
        folder: of the shard.

    Raises:
        DamagedIndexError: when what was written of them cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.number = read_shards(folder.parent).shards.index(folder.name)
        self._linked = LinkedBase.load(place_of_links(folder))
        order = self._linked.order
        self._base = row_in_all(order, self.number, np.arange(len(order)))  # every passage of the base

    def in_all(self, parts: Parts, rows: Rows) -> Rows:
        """Return rows of the shard as rows of all shards, int64 [n]."""
        if not self.hold(parts):
            return row_in_all(ADDED, self.number, rows)
        old = rows < len(self._base)
        if old.all():
            return self._base[rows]
        found = row_in_all(ADDED, self.number, rows)
        found[old] = self._base[rows[old]]
        return found

    def edges(self, whole: Parts, parts: Parts, rows: Rows) -> EdgeBlock:
        """Return the edges of passages.

        Args:
            whole: a state of the shard.
            parts: what is seen of it.
            rows: of the passages, in the shard.
        """
        if self.hold(whole) and not whole.changed and parts is whole:
            return self._linked.edges(rows)[1]
        own = self._own(whole, parts, rows)
        if not self.hold(whole):
            return own
        return self._with_others(whole, parts, rows, own)

    def hold(self, whole: Parts) -> bool:
        """Return whether what was written is of the base of a state."""
        return whole.segments[0].entry.sha256 == self._linked.base

    def _own(self, whole: Parts, parts: Parts, rows: Rows) -> EdgeBlock:
        """Return the edges that lead to passages of the shard itself."""
        found = [parts.graph.neighbours(row, group) for row in rows.tolist() for group in GROUPS_OF_EDGES]
        counts = np.array([len(links) for links in found], np.int64).reshape(-1, len(GROUPS_OF_EDGES))
        return _block(
            counts,
            self.in_all(whole, np.concatenate([np.zeros(0, np.int64), *(links.rows for links in found)])),
            np.concatenate([np.zeros(0, np.int8), *(links.relations for links in found)]),
            np.concatenate([np.zeros(0, np.int32), *(links.starts for links in found)]),
            np.concatenate([np.zeros(0, np.int32), *(links.ends for links in found)]),
        )

    def _with_others(self, whole: Parts, parts: Parts, rows: Rows, own: EdgeBlock) -> EdgeBlock:
        """Return the shard's own edges, and after them in each group those of the base that lead to other shards.

        Of a shard of which some is hidden these are left out of the degrees, which must not tell of what is hidden.
        """
        old = np.flatnonzero(rows < len(self._linked.order))
        groups = len(GROUPS_OF_EDGES)
        counts, written = self._linked.edges(rows[old])
        outside = shards_of(written.rows) != self.number
        key = np.repeat((old[:, None] * groups + np.arange(groups)).reshape(-1), counts.reshape(-1))[outside]
        own_key = np.repeat(np.arange(len(rows) * groups), np.diff(own.offsets))
        order = np.argsort(np.concatenate([own_key, key]), kind="stable")
        columns = (
            np.concatenate([getattr(own, name), getattr(written, name)[outside]])[order]
            for name in ("rows", "relations", "starts", "ends")
        )
        both = np.bincount(np.concatenate([own_key, key]), minlength=len(rows) * groups).reshape(-1, groups)
        block = _block(both, *columns)
        if parts is whole:
            return block
        return EdgeBlock(
            block.offsets, block.rows, block.relations, block.starts, block.ends, own.in_degree, own.out_degree
        )


def _block(
    counts: NDArray[np.int64],
    rows: Rows,
    relations: NDArray[np.int8],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
) -> EdgeBlock:
    offsets = np.concatenate([[0], np.cumsum(counts.reshape(-1))]).astype(np.int64)
    degrees = counts[:, _MENTIONED_BY].astype(np.int32), counts[:, _MENTIONS].astype(np.int32)
    return EdgeBlock(offsets, rows, relations, starts, ends, *degrees)

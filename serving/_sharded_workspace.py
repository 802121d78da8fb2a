"""A workspace of a sharded index: agents search all shards, and documents are read where they lie."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..index.index import Index
from ..sharding._building import is_sharded, read_shards
from ..sharding._shard import LocalShard
from ..sharding.sharded_index import ShardedIndex
from ._index_workspace import FIXED, IndexWorkspace, in_words
from ._workspace import Workspace, missing

if TYPE_CHECKING:
    from ..index.where import Where


class ShardedWorkspace(Workspace):
    """A sharded index whose shards are open in this process, and its agents.

    Args:
        name: in paths.
        place: folder of the sharded index.
        policy: folder of the policy that searches; the one that ships with the package when None.
        ask, ask_mass: how many of the shards are asked, see :class:`ShardedIndex`.
    """

    index: ShardedIndex

    def __init__(self, name: str, place: Path, policy: Path | None, ask: float = 1.0, ask_mass: float = 1.0) -> None:
        indexes = {shard: Index.open(place / shard, threads=1, verify=False) for shard in read_shards(place).shards}
        shards = partial(_opened, indexes)
        index = ShardedIndex(place, open_shard=shards, ask=ask, ask_mass=ask_mass)
        late = ("late",) if index.pieces is not None else ()
        super().__init__(name, index, (*FIXED, *late, "exhaustive", "policy"), policy)
        self._parts = [IndexWorkspace(shard, one, policy) for shard, one in indexes.items()]

    def about(self, where: Where | None) -> dict[str, Any]:
        """Return what a workspace is, as far as somebody may see it."""
        each = [part.about(where) for part in self._parts]
        sums = {name: sum(one[name] for one in each) for name in ("documents", "passages", "size_bytes")}
        changed = max(one["changed"] for one in each)
        same = {"encoder": self.index.encoder_name, "changeable": self.changeable}
        return {"name": self.name, "systems": list(self.systems), "changed": changed, **sums, **same}

    def health(self) -> dict[str, Any]:
        """Return the segments of all shards, and the drift of the one that has drifted most.

        The generation is the sum of theirs: it grows when any of them changes.
        """
        each = {part.name: part.health() for part in self._parts}
        segments = [
            {**one, "name": f"{name}/{one['name']}"} for name, health in each.items() for one in health["segments"]
        ]
        drift: dict[str, Any] = {}
        for health in each.values():
            for name, value in health["drift"].items():
                if name != "words":
                    drift[name] = max(value, drift.get(name, 0.0))
        sums = {name: sum(one[name] for one in each.values()) for name in ("deleted", "generation", "left_out")}
        changed = max(one["changed"] for one in each.values())
        return {"segments": segments, "drift": in_words(drift), "changed": changed, **sums}

    def documents(self, after: str, limit: int, query: str, where: Where | None) -> dict[str, Any]:
        """Return documents in the order of their ids, and the id after which more follow; None where none do."""
        each = [part.documents(after, limit, query, where) for part in self._parts]
        listed = list(heapq.merge(*(one["documents"] for one in each), key=lambda document: str(document["id"])))
        more = len(listed) > limit or any(one["next"] is not None for one in each)
        return {"documents": listed[:limit], "next": listed[limit - 1]["id"] if more else None}

    def having(self, documents: Sequence[str], where: Where | None) -> set[str]:
        """Return those of the ids that name a document, as far as somebody may see."""
        return set().union(*(part.having(documents, where) for part in self._parts))

    def document(self, identifier: str, where: Where | None) -> dict[str, Any]:
        """Return a whole document of whichever shard has it: see :class:`Workspace`."""
        for part in self._parts:
            if part.having([identifier], where):
                return part.document(identifier, where)
        raise missing("document", identifier)

    def graph(self, passage: str, depth: int, limit: int, where: Where | None) -> dict[str, Any]:
        """Return the passages around one in its own shard: see :class:`Workspace`."""
        for part in self._parts:
            if part.having_passage(passage, where):
                return part.graph(passage, depth, limit, where)
        raise missing("passage", passage)


def _opened(indexes: Mapping[str, Index], folder: Path) -> LocalShard:
    return LocalShard(folder, index=indexes[folder.name])


def open_workspace(name: str, place: Path, policy: Path | None, ask: float = 1.0, ask_mass: float = 1.0) -> Workspace:
    """Open what is at a place: an index or a sharded one, of which a part of the shards is asked.

    Raises:
        IndexFolderError: when it is neither, or damaged.
    """
    if is_sharded(place):
        return ShardedWorkspace(name, place, policy, ask, ask_mass)
    return IndexWorkspace(name, Index.open(place, threads=1), policy)

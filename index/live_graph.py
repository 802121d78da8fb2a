"""The knowledge graph with changes: edges of added passages beside the base's, and none of removed ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..graph.edges import SYMMETRIC, Edges, Relation
from ..graph.export import to_networkx
from ..graph.knowledge_graph import GROUPS, KnowledgeGraph, Links
from ..retrievers.changing.changes import Mention, Share
from ..retrievers.changing.snapshot import Snapshot
from ..retrievers.records import Rows

if TYPE_CHECKING:
    import networkx

_OUTWARD = ("mentions", "shares", "adjacent")


class GraphAdditions:
    """Edges that came after the base; only ever grows.

    A passage whose mentions change gets a new list of all of them, of the version of that change; the latest counts.
    """

    def __init__(self) -> None:
        self.mentions: dict[int, list[tuple[int, Sequence[Mention]]]] = {}
        """Row -> (version, all its mentions from then on), oldest first."""
        self.inward: dict[int, list[tuple[int, int, int, int, int]]] = {}
        """Mentioned row -> (version, row that mentions it, relation, start, end)."""
        self.shares: dict[int, list[tuple[int, float]]] = {}
        """Row -> (other row, weight), both ways."""
        self.adjacent: dict[int, list[int]] = {}
        """Row -> rows beside it in its document, both ways."""
        self.moved: set[int] = set()
        """Rows whose degrees may differ from the base's."""

    def mention(self, row: int, mentions: Sequence[Mention], version: int) -> None:
        """Let a row mention these, and nothing else, from ``version`` on."""
        for target, relation, start, end in mentions:
            self.inward.setdefault(target, []).append((version, row, relation, start, end))
        self.mentions.setdefault(row, []).append((version, mentions))

    def share(self, shares: Iterable[Share]) -> None:
        """Add links over rare names and phrases."""
        for row, other, weight in shares:
            self.shares.setdefault(row, []).append((other, weight))
            self.shares.setdefault(other, []).append((row, weight))

    def adjoin(self, rows: Sequence[int]) -> None:
        """Add the links along the passages of a document."""
        for row, following in pairwise(rows):
            self.adjacent.setdefault(row, []).append(following)
            self.adjacent.setdefault(following, []).append(row)

    def version(self, row: int, latest: int) -> int:
        """Return the version of a row's mentions at the version ``latest``; 0 for those of the base."""
        place = self._place(row, latest)
        return self.mentions[row][place - 1][0] if place else 0

    def mentions_of(self, row: int, latest: int) -> Sequence[Mention] | None:
        """Return the mentions of a row at the version ``latest``; None for those of the base."""
        place = self._place(row, latest)
        return self.mentions[row][place - 1][1] if place else None

    def _place(self, row: int, latest: int) -> int:
        return bisect_right(self.mentions.get(row, ()), latest, key=lambda entry: entry[0])


class Degrees:
    """Numbers of links by row, read as an array is; counted anew only where a change may have moved them."""

    def __init__(self, graph: LiveGraph, base: NDArray[np.int32], group: str, moved: set[int]) -> None:
        self._graph = graph
        self._base = base
        self._group = group
        self._moved = moved

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._graph)

    def __getitem__(self, rows: Rows | int) -> NDArray[np.int32]:
        """Return the degrees of ``rows``, int32 of their shape."""
        asked = np.asarray(rows, np.int64)
        return np.array([self._of(row) for row in asked.ravel().tolist()], np.int32).reshape(asked.shape)

    def __array__(self, dtype: np.dtype[np.generic] | None = None, copy: bool | None = None) -> NDArray[np.generic]:
        """Return the degrees of all rows."""
        degrees = self[np.arange(len(self))]
        return degrees if dtype is None else degrees.astype(dtype)

    def _of(self, row: int) -> int:
        if row < len(self._base) and row not in self._moved:
            return int(self._base[row])
        return len(self._graph.neighbours(row, self._group))


class LiveGraph:
    """A knowledge graph as it was at a snapshot; offers what hops and features ask of a :class:`KnowledgeGraph`.

    Args:
        base: the graph of the base.
        additions: edges that came since, shared with the writer.
        snapshot: how much of them is seen.

    Attributes:
        out_degree, in_degree: how many passages each row mentions, and how many mention it.
    """

    def __init__(self, base: KnowledgeGraph, additions: GraphAdditions, snapshot: Snapshot) -> None:
        self._base = base
        self._added = additions
        self._snapshot = snapshot
        self.out_degree = Degrees(self, base.out_degree, "mentions", additions.moved)
        self.in_degree = Degrees(self, base.in_degree, "mentioned_by", additions.moved)

    def __len__(self) -> int:
        """Return the number of rows, removed ones among them."""
        return self._snapshot.rows

    def neighbours(self, row: int, group: str) -> Links:
        """Return the neighbours of ``row`` in a relation group: see :meth:`KnowledgeGraph.neighbours`.

        A removed passage has none.
        """
        if not 0 <= row < self._snapshot.rows:
            raise IndexError(f"row {row} is not one of the {self._snapshot.rows} passages")
        if group not in GROUPS:
            raise ValueError(f"no relation group {group!r}; there are {', '.join(GROUPS)}")
        if not self._snapshot.sees(row):
            return _links([])
        if group == "mentions":
            return self._mentions(row)
        if group == "mentioned_by":
            return self._mentioned_by(row)
        return self._shares(row) if group == "shares" else self._adjacent(row)

    def share_weights(self, row: int) -> NDArray[np.float32]:
        """Return the weight of each link of ``row`` in the group *shares*, float32 [k], strongest first."""
        return np.array([weight for _, weight in self._weighed(row)], np.float32)

    def links_between(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Return every edge among ``rows``, int64 [k], all different: see :meth:`KnowledgeGraph.links_between`."""
        old = np.flatnonzero(rows < self._snapshot.base)
        source, target, relation = self._base.links_between(rows[old])
        source, target = old[source], old[target]
        changed = np.array([self._is_changed(row) for row in rows.tolist()], np.bool_)
        if not changed.any():
            return source, target, relation
        kept = ~changed[source]
        sources, targets, relations = [source[kept]], [target[kept]], [relation[kept]]
        places = {row: place for place, row in enumerate(rows.tolist())}
        for place in np.flatnonzero(changed).tolist():
            for group in _OUTWARD:
                links = self.neighbours(int(rows[place]), group)
                found = [(places[row], k) for k, row in enumerate(links.rows.tolist()) if row in places]
                targets.append(np.array([other for other, _ in found], np.int64))
                relations.append(links.relations[[k for _, k in found]])
                sources.append(np.full(len(found), place, np.int64))
        return np.concatenate(sources), np.concatenate(targets), np.concatenate(relations)

    @cached_property
    def edges(self) -> Edges:
        """All edges, put together on first use: costs as much as there are."""
        snapshot, base = self._snapshot, self._base.edges
        alive = snapshot.living(np.arange(snapshot.rows))
        rewired = np.zeros(snapshot.rows, np.bool_)
        rewired[[row for row in list(self._added.mentions) if self._rewired(row)]] = True
        kept = alive[base.source] & alive[base.target]
        kept &= ~rewired[base.source] | np.isin(base.relation, SYMMETRIC)
        parts = [Edges(**{column.name: getattr(base, column.name)[kept] for column in fields(Edges)})]
        for row in np.flatnonzero(rewired & alive).tolist():
            parts.append(_outward(row, self._mentions(row)))
        for row in range(snapshot.base, snapshot.rows):
            if alive[row]:
                near = [(other, weight) for other, weight in self._weighed(row) if other < row]
                before = [other for other in self._adjacent(row).rows.tolist() if other < row]
                parts.append(
                    Edges.of(
                        [other for other, _ in near], [row] * len(near), Relation.SHARES, [weight for _, weight in near]
                    )
                )
                parts.append(Edges.of(before, [row] * len(before), Relation.ADJACENT))
        return Edges.concatenate(parts)

    def to_networkx(
        self,
        titles: Sequence[str] | None = None,
        documents: Sequence[str] | None = None,
        rows: Sequence[int] | Rows | None = None,
    ) -> networkx.MultiDiGraph[int]:
        """Return the graph as networkx's: see :func:`~trailhound.graph.export.to_networkx`."""
        return to_networkx(self, titles, documents, rows)

    def _is_changed(self, row: int) -> bool:
        added = self._added
        return row >= self._snapshot.base or row in added.mentions or row in added.shares

    def _rewired(self, row: int) -> bool:
        return row in self._added.mentions and self._added.version(row, self._snapshot.version) > 0

    def _alive(self, links: Links) -> Links:
        return _chosen(links, self._snapshot.living(links.rows)) if self._snapshot.died else links

    def _of_base(self, row: int, group: str) -> Links:
        return self._alive(self._base.neighbours(row, group)) if row < self._snapshot.base else _links([])

    def _mentions(self, row: int) -> Links:
        mentions = self._added.mentions_of(row, self._snapshot.version)
        if mentions is None:
            return self._of_base(row, "mentions")
        return self._alive(_links(mentions))

    def _mentioned_by(self, row: int) -> Links:
        base = self._of_base(row, "mentioned_by")
        inward = self._added.inward.get(row, ())
        if not inward and row not in self._added.moved:
            return base
        kept = np.array([not self._rewired(source) for source in base.rows.tolist()], np.bool_)
        latest = self._snapshot.version
        added = [
            (source, relation, start, end)
            for version, source, relation, start, end in list(inward)
            if version <= latest and self._snapshot.sees(source) and self._added.version(source, latest) == version
        ]
        joined = _joined(_chosen(base, kept), _links(added))
        return _chosen(joined, np.lexsort((joined.rows, joined.starts)))

    def _weighed(self, row: int) -> list[tuple[int, float]]:
        """Return the passages that share rare phrases with a row, strongest first, ties by row."""
        found: list[tuple[int, float]] = []
        if row < self._snapshot.base:
            rows = self._base.neighbours(row, "shares").rows.tolist()
            found = list(zip(rows, self._base.share_weights(row).tolist(), strict=True))
        added = self._added.shares.get(row)
        if added is not None:
            found = sorted([*found, *added], key=lambda link: (-link[1], link[0]))
        return [link for link in found if self._snapshot.sees(link[0])]

    def _shares(self, row: int) -> Links:
        if row not in self._added.shares:
            return self._of_base(row, "shares")
        return _links([(other, Relation.SHARES, 0, 0) for other, _ in self._weighed(row)])

    def _adjacent(self, row: int) -> Links:
        base = self._of_base(row, "adjacent")
        added = sorted(other for other in self._added.adjacent.get(row, ()) if self._snapshot.sees(other))
        return _joined(base, _links([(other, Relation.ADJACENT, 0, 0) for other in added])) if added else base


def touch(graph: LiveGraph | KnowledgeGraph, additions: GraphAdditions, rows: Iterable[int]) -> None:
    """Note that the degrees of what ``rows`` mention, and of what mentions them, may change."""
    for row in rows:
        additions.moved.add(row)
        for group in ("mentions", "mentioned_by"):
            additions.moved.update(graph.neighbours(row, group).rows.tolist())


def mentions_by_row(graph: LiveGraph | KnowledgeGraph, row: int) -> list[Mention]:
    """Return what a row mentions, as a change lists it."""
    links = graph.neighbours(row, "mentions")
    columns = (links.rows.tolist(), links.relations.tolist(), links.starts.tolist(), links.ends.tolist())
    return list(zip(*columns, strict=True))


def _links(mentions: Sequence[Mention]) -> Links:
    values = np.array(mentions, np.int64).reshape(len(mentions), 4)
    rows, relations, starts, ends = values.T
    return Links(np.ascontiguousarray(rows), relations.astype(np.int8), starts.astype(np.int32), ends.astype(np.int32))


def _chosen(links: Links, which: NDArray[np.bool_] | NDArray[np.int64]) -> Links:
    return Links(links.rows[which], links.relations[which], links.starts[which], links.ends[which])


def _joined(one: Links, other: Links) -> Links:
    return Links(
        np.concatenate([one.rows, other.rows]),
        np.concatenate([one.relations, other.relations]),
        np.concatenate([one.starts, other.starts]),
        np.concatenate([one.ends, other.ends]),
    )


def _outward(row: int, links: Links) -> Edges:
    """Return the mentions of a row as edges."""
    count = len(links)
    return Edges(
        np.full(count, row, np.int32),
        links.rows.astype(np.int32),
        links.relations,
        links.starts,
        links.ends,
        np.ones(count, np.float32),
    )

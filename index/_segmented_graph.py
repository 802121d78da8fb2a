"""The knowledge graph of an index of several segments: every segment keeps the edges that came with it.

A segment's edges end at its own passages or at passages of other segments. Those are named by serial numbers, which a
passage keeps for its life, so segments can be merged without rewriting others. Where the mentions of an older passage
have changed, a later segment holds all of them anew, and the older list no longer counts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..graph._edges import SYMMETRIC, Edges, Relation
from ..graph._knowledge_graph import GROUPS, KnowledgeGraph, Links
from ..graph._overview import to_networkx
from ..retrievers._atomic_file import load_arrays
from ..retrievers.records import Rows

if TYPE_CHECKING:
    import networkx

_SERIALS = "serials.safetensors"
_ARRAYS = ("own", "external", "replaced")


@dataclass(frozen=True)
class SegmentGraph:
    """The edges that came with a segment.

    Attributes:
        graph: nodes 0..n-1 are the segment's passages, those after them the passages of others that edges end at.
        own: serial number of each passage of the segment, int64 [n], ascending; None for 0..n-1, as in a base.
        external: serial numbers of the other nodes, int64 [m], ascending.
        replaced: serial numbers of older passages whose mentions are all listed here anew, int64 [r], ascending.
    """

    graph: KnowledgeGraph
    own: NDArray[np.int64] | None
    external: NDArray[np.int64]
    replaced: NDArray[np.int64]

    @classmethod
    def of_base(cls, graph: KnowledgeGraph) -> SegmentGraph:
        """Return the edges of a base, which end at its own passages."""
        nothing = np.zeros(0, np.int64)
        return cls(graph, None, nothing, nothing)

    @classmethod
    def without_edges(cls, own: NDArray[np.int64]) -> SegmentGraph:
        """Return the graph of passages of these serial numbers before their edges are known."""
        nothing = np.zeros(0, np.int64)
        return cls(KnowledgeGraph(Edges.of([], [], Relation.SHARES), len(own)), own, nothing, nothing)

    @classmethod
    def of(
        cls, edges: Edges, rows: Rows, own: NDArray[np.int64], others: dict[int, int], replaced: NDArray[np.int64]
    ) -> SegmentGraph:
        """Make the graph of a segment.

        Args:
            edges: between rows of an index.
            rows: of the segment's passages in that index, ascending.
            own: their serial numbers.
            others: serial number of every other row that an edge ends at.
            replaced: serial numbers of older passages whose mentions are among the edges.
        """
        outside = sorted(others, key=others.__getitem__)
        external = np.array([others[row] for row in outside], np.int64)
        place = {row: node for node, row in enumerate([*rows.tolist(), *outside])}
        source, target = (
            np.array([place[row] for row in ends.tolist()], np.int32) for ends in (edges.source, edges.target)
        )
        symmetric = np.isin(edges.relation, SYMMETRIC)
        low, high = np.minimum(source, target), np.maximum(source, target)
        source, target = np.where(symmetric, low, source), np.where(symmetric, high, target)
        nodes = Edges(source, target, edges.relation, edges.start, edges.end, edges.weight)
        return cls(KnowledgeGraph(nodes, len(place)), own, external, np.sort(replaced))

    def save(self, folder: Path) -> None:
        """Write into ``folder``, which is made."""
        from safetensors.numpy import save_file

        self.graph.save(folder)
        if self.own is not None:
            save_file({name: getattr(self, name) for name in _ARRAYS}, str(folder / _SERIALS))

    @classmethod
    def load(cls, folder: Path, passages: int) -> SegmentGraph:
        """Read what :meth:`save` wrote for a segment of ``passages``.

        Raises:
            DamagedIndexError: when the files cannot be read, or do not belong together.
        """
        graph = KnowledgeGraph.load(folder)
        if not (folder / _SERIALS).exists():
            return cls.of_base(graph)
        arrays = load_arrays(folder / _SERIALS)
        right = all(name in arrays and arrays[name].ndim == 1 and arrays[name].dtype == np.int64 for name in _ARRAYS)
        if not right or any(bool((np.diff(arrays[name]) <= 0).any()) for name in _ARRAYS):
            raise DamagedIndexError(f"{folder / _SERIALS} holds no ascending serial numbers: build the index again")
        found = cls(graph, *(arrays[name] for name in _ARRAYS))
        if len(arrays["own"]) != passages or len(graph) != passages + len(found.external):
            raise DamagedIndexError(f"the parts of {folder.parent} differ in length: build the index again")
        return found

    @cached_property
    def node_of(self) -> dict[int, int]:
        """Node of every passage of another segment, by its serial number."""
        return {serial: node for node, serial in enumerate(self.external.tolist(), self.passages)}

    @cached_property
    def replaces(self) -> frozenset[int]:
        """``replaced`` as a set."""
        return frozenset(self.replaced.tolist())

    @cached_property
    def mentions(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The two ends of every mention, as nodes."""
        edges = self.graph.edges
        chosen = ~np.isin(edges.relation, SYMMETRIC)
        return edges.source[chosen], edges.target[chosen]

    @cached_property
    def passages(self) -> int:
        """Number of the segment's own passages."""
        return len(self.graph) - len(self.external)


class SegmentedGraph:
    """The graph of all segments together, without deleted passages; offers what :class:`KnowledgeGraph` offers.

    Args:
        parts: of the segments, in the order of their rows; the first is a base.
        alive: bool [N], false for deleted passages.

    Attributes:
        out_degree, in_degree: how many passages each row mentions, and how many mention it; int32 [N].
    """

    def __init__(self, parts: Sequence[SegmentGraph], alive: NDArray[np.bool_]) -> None:
        self._parts = parts
        self._alive = alive
        self._offsets = np.cumsum([0, *(part.passages for part in parts)])
        own = [part.own for part in parts[1:] if part.own is not None]
        self._later = np.concatenate([np.zeros(0, np.int64), *own])
        self._base = parts[0].passages
        self._begins: list[int] = self._offsets[:-1].tolist()

    def __len__(self) -> int:
        """Return the number of rows, deleted ones among them."""
        return len(self._alive)

    def serials(self, rows: Rows) -> NDArray[np.int64]:
        """Return the serial numbers of rows, int64 of their shape."""
        rows = np.asarray(rows, np.int64)
        if not len(self._later):
            return rows
        return np.where(rows < self._base, rows, self._later[np.maximum(rows - self._base, 0)])

    def rows(self, serials: NDArray[np.int64]) -> Rows:
        """Return the rows of serial numbers, -1 for a passage that is no longer in any segment."""
        place = np.minimum(np.searchsorted(self._later, serials), max(len(self._later) - 1, 0))
        there = self._later[place] == serials if len(self._later) else np.zeros(len(serials), np.bool_)
        return np.where(serials < self._base, serials, np.where(there, place + self._base, -1)).astype(np.int64)

    def neighbours(self, row: int, group: str) -> Links:
        """Return the neighbours of ``row`` in a relation group: see :meth:`KnowledgeGraph.neighbours`.

        A deleted passage has none.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} is not one of the {len(self)} passages")
        if group not in GROUPS:
            raise ValueError(f"no relation group {group!r}; there are {', '.join(GROUPS)}")
        if not self._alive[row]:
            return _joined([])
        links, weights = self._links(row, group)
        if group == "mentioned_by":
            return _chosen(links, np.lexsort((links.rows, links.starts)))
        if group == "shares":
            return _chosen(links, np.lexsort((links.rows, -weights)))
        return links

    def share_weights(self, row: int) -> NDArray[np.float32]:
        """Return the weight of each link of ``row`` in the group *shares*, float32 [k], strongest first."""
        weights = self._links(row, "shares")[1] if self._alive[row] else np.zeros(0, np.float32)
        return np.sort(weights)[::-1]

    def own_share_weights(self, row: int) -> NDArray[np.float32]:
        """Return the weights of *shares* that came with a row's own segment, deleted ones among them."""
        home = bisect_right(self._begins, row) - 1
        return self._parts[home].graph.share_weights(row - self._begins[home])

    def links_between(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Return every edge among ``rows``, int64 [k], all different: see :meth:`KnowledgeGraph.links_between`."""
        rows = np.asarray(rows, np.int64)
        serials, found = self.serials(rows), []
        for number, part in enumerate(self._parts):
            nodes = rows - self._offsets[number]
            inside = (nodes >= 0) & (nodes < part.passages)
            if len(part.external):
                place = np.minimum(np.searchsorted(part.external, serials), len(part.external) - 1)
                outside = part.external[place] == serials
                nodes = np.where(outside, place + part.passages, nodes)
                inside |= outside
            places = np.flatnonzero(inside)
            source, target, relation = part.graph.links_between(nodes[places])
            kept = np.isin(relation, SYMMETRIC) | ~self._outdated(number)[nodes[places][source]]
            found.append((places[source[kept]], places[target[kept]], relation[kept]))
        source, target, relation = (np.concatenate(columns) for columns in zip(*found, strict=True))
        return source, target, relation

    @cached_property
    def edges(self) -> Edges:
        """All edges, put together on first use: costs as much as there are."""
        return Edges.concatenate([self.edges_of(number) for number in range(len(self._parts))])

    def to_networkx(
        self,
        titles: Sequence[str] | None = None,
        documents: Sequence[str] | None = None,
        rows: Sequence[int] | Rows | None = None,
    ) -> networkx.MultiDiGraph[int]:
        """Return the graph as networkx's: see :func:`~trailhound.graph._overview.to_networkx`."""
        return to_networkx(self, titles, documents, rows)

    @cached_property
    def out_degree(self) -> NDArray[np.int32]:
        """How many passages each row mentions, int32 [N]."""
        return self._degrees(0)

    @cached_property
    def in_degree(self) -> NDArray[np.int32]:
        """How many passages mention each row, int32 [N]."""
        return self._degrees(1)

    def edges_of(self, number: int) -> Edges:
        """Return the edges that came with a segment and still count, between rows."""
        edges = self._parts[number].graph.edges
        rows = self._rows_of_nodes[number]
        source, target = rows[edges.source], rows[edges.target]
        symmetric = np.isin(edges.relation, SYMMETRIC)
        kept = (source >= 0) & (target >= 0) & (symmetric | ~self._outdated(number)[edges.source])
        low, high = np.minimum(source, target), np.maximum(source, target)
        source, target = np.where(symmetric, low, source)[kept], np.where(symmetric, high, target)[kept]
        rest = (getattr(edges, field.name)[kept] for field in fields(Edges)[2:])
        return Edges(source.astype(np.int32), target.astype(np.int32), *rest)

    def merged(self, first: int, last: int, rows: Rows) -> SegmentGraph:
        """Return the graph of one segment instead of several neighbouring ones.

        Args:
            first, last: the segments, ``first`` to ``last`` - 1; none of them is the base.
            rows: of their passages that are to be in it, ascending.
        """
        edges = Edges.concatenate([self.edges_of(number) for number in range(first, last)])
        own = self.serials(rows)
        others = np.setdiff1d(np.concatenate([edges.source, edges.target]).astype(np.int64), rows)
        known = dict(zip(others.tolist(), self.serials(others).tolist(), strict=True))
        replaced = np.unique(np.concatenate([part.replaced for part in self._parts[first:last]]))
        begin = int(self._offsets[first])
        where = self.rows(replaced)
        return SegmentGraph.of(edges, rows, own, known, replaced[(where >= 0) & (where < begin)])

    def _degrees(self, end: int) -> NDArray[np.int32]:
        degrees = np.zeros(len(self), np.int64)
        for number, part in enumerate(self._parts):
            source, target = part.mentions
            rows = self._rows_of_nodes[number]
            ends = rows[source], rows[target]
            kept = (ends[0] >= 0) & (ends[1] >= 0) & ~self._outdated(number)[source]
            degrees += np.bincount(ends[end][kept], minlength=len(self))
        return degrees.astype(np.int32)

    @cached_property
    def _rows_of_nodes(self) -> list[Rows]:
        """Row of every node of each segment's graph, -1 for deleted passages."""
        found = []
        for part, offset in zip(self._parts, self._offsets.tolist(), strict=False):
            own = np.arange(offset, offset + part.passages, dtype=np.int64)
            rows = np.concatenate([own, self.rows(part.external)])
            found.append(np.where(self._alive[rows] & (rows >= 0), rows, -1))
        return found

    def _outdated(self, number: int) -> NDArray[np.bool_]:
        """Return of which nodes of a segment's graph a later segment lists the mentions anew, bool [nodes]."""
        return self._outdated_nodes[number]

    @cached_property
    def _outdated_nodes(self) -> list[NDArray[np.bool_]]:
        later, found = np.zeros(0, np.int64), []
        for part in reversed(self._parts):
            outdated = np.zeros(len(part.graph), np.bool_)
            if len(later):
                if part.own is None:
                    outdated[later[later < part.passages]] = True
                else:
                    outdated = np.isin(np.concatenate([part.own, part.external]), later)
            found.append(outdated)
            later = np.union1d(later, part.replaced) if len(part.replaced) else later
        return found[::-1]

    def _links(self, row: int, group: str) -> tuple[Links, NDArray[np.float32]]:
        """Return the living neighbours of a living row, and the weights of its shares."""
        serial = row if row < self._base else int(self._later[row - self._base])
        home = bisect_right(self._begins, row) - 1
        found: list[Links] = []
        weights = [np.zeros(0, np.float32)]
        for number in range(len(self._parts) - 1, home - 1, -1):
            part = self._parts[number]
            node = row - self._begins[home] if number == home else part.node_of.get(serial)
            if node is None or (group == "mentions" and number != home and serial not in part.replaces):
                continue
            links = part.graph.neighbours(node, group)
            if len(links):
                rows = self._rows_of_nodes[number][links.rows]
                kept = rows >= 0
                if group == "mentioned_by":
                    kept &= ~self._outdated(number)[links.rows]
                if group == "shares":
                    weights.append(part.graph.share_weights(node)[kept])
                links = Links(rows[kept], links.relations[kept], links.starts[kept], links.ends[kept])
            found.append(links)
            if group == "mentions":
                break
        return _joined(found), np.concatenate(weights)


def _joined(parts: Sequence[Links]) -> Links:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Links(np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, np.int32), np.zeros(0, np.int32))
    names = ("rows", "relations", "starts", "ends")
    return Links(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _chosen(links: Links, which: NDArray[np.int64]) -> Links:
    return Links(links.rows[which], links.relations[which], links.starts[which], links.ends[which])

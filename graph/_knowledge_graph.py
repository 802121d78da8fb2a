"""The knowledge graph over passages: who mentions whom, who shares phrases, what adjoins."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..retrievers.protocols import Progress
from ..retrievers.records import Rows
from ..retrievers.words._terms import TermIndex
from ..retrievers.words._titles import TitleMatcher
from ._edges import GROUPS, SYMMETRIC, Edges, Links, Relation
from ._linking import link_neighbours, link_titles, share_edges

if TYPE_CHECKING:
    import networkx

__all__ = ["GROUPS", "Edges", "KnowledgeGraph", "Links", "Relation"]

_OUTWARD = ("mentions", "shares", "adjacent")
_GROUP_OF_RELATION = np.array([0, 0, 1, 2], np.int64)
"""Relation -> place in _OUTWARD."""


@dataclass(frozen=True, slots=True)
class _Adjacency:
    """Edges sorted by key; those of key ``i`` are ``[offsets[i], offsets[i+1])``."""

    offsets: NDArray[np.int64]
    rows: Rows
    relations: NDArray[np.int8]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    weights: NDArray[np.float32]

    @classmethod
    def of(cls, edges: Edges, key: NDArray[np.int64], other: NDArray[np.int32], keys: int) -> _Adjacency:
        # Within a key: strongest first, then in reading order, then by row.
        order = np.lexsort((other, edges.start, -edges.weight, key))
        offsets = np.zeros(keys + 1, np.int64)
        np.cumsum(np.bincount(key, minlength=keys), out=offsets[1:])
        columns = (edges.relation[order], edges.start[order], edges.end[order], edges.weight[order])
        return cls(offsets, other[order].astype(np.int64), *columns)

    def links(self, key: int) -> Links:
        part = slice(self.offsets[key], self.offsets[key + 1])
        return Links(self.rows[part], self.relations[part], self.starts[part], self.ends[part])

    def many(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], Links]:
        """Return how many edges each key has, and all of them, key after key."""
        begins = self.offsets[keys]
        counts = self.offsets[keys + 1] - begins
        places = np.arange(int(counts.sum())) + np.repeat(begins - np.cumsum(counts) + counts, counts)
        return counts, Links(self.rows[places], self.relations[places], self.starts[places], self.ends[places])


class KnowledgeGraph:
    """Typed edges over the passages 0..N-1, readable from both ends in time proportional to the degree.

    Args:
        edges: the edges.
        passages: N.

    Attributes:
        edges: the edges.
        out_degree: int32 [N], how many passages each mentions.
        in_degree: int32 [N], how many passages mention it.
    """

    def __init__(self, edges: Edges, passages: int) -> None:
        self.edges = edges
        self._passages = passages
        mention = ~np.isin(edges.relation, SYMMETRIC)
        inward = edges.where(mention)
        self._inward = _Adjacency.of(inward, inward.target.astype(np.int64), inward.source, passages)
        outward = Edges.concatenate([edges, edges.where(~mention).reversed()])
        key = outward.source.astype(np.int64) * len(_OUTWARD) + _GROUP_OF_RELATION[outward.relation]
        self._outward = _Adjacency.of(outward, key, outward.target, passages * len(_OUTWARD))
        self.out_degree = np.bincount(inward.source, minlength=passages).astype(np.int32)
        self.in_degree = np.bincount(inward.target, minlength=passages).astype(np.int32)

    @classmethod
    def build(
        cls,
        titles: Sequence[str],
        texts: Sequence[str],
        document_ids: Sequence[str],
        terms: TermIndex,
        matcher: TitleMatcher | None = None,
        progress: Progress | None = None,
    ) -> KnowledgeGraph:
        """Build the graph of a corpus; the same corpus gives the same graph.

        Args:
            titles: the title of every passage, "" for none, in row order.
            texts: the text of every passage.
            document_ids: the document of every passage.
            terms: the analysed terms of every passage.
            matcher: a matcher over ``titles``, where there is one already.
            progress: called with (stage, done, total).

        Raises:
            ValueError: when the four differ in length.
        """
        given: dict[str, Sized] = {"titles": titles, "texts": texts, "document ids": document_ids, "terms": terms}
        lengths = {name: len(column) for name, column in given.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"one of each per passage is needed, got {lengths}")
        matcher = matcher if matcher is not None else TitleMatcher(titles, document_ids)
        mentions = link_titles(titles, texts, matcher, document_ids, progress)
        shares = share_edges(texts, terms, progress)
        return cls(Edges.concatenate([mentions, shares, link_neighbours(document_ids)]), len(titles))

    def __len__(self) -> int:
        """Return the number of passages."""
        return self._passages

    def neighbours(self, row: int, group: str) -> Links:
        """Return the neighbours of ``row`` in a relation group (one of ``GROUPS``).

        Mentions come in reading order, shares strongest first, the others by place and row.

        Raises:
            IndexError: when there is no such row.
            ValueError: when there is no such group.
        """
        if not 0 <= row < self._passages:
            raise IndexError(f"row {row} is not one of the {self._passages} passages")
        if group == "mentioned_by":
            return self._inward.links(row)
        if group not in _OUTWARD:
            raise ValueError(f"no relation group {group!r}; there are {', '.join(GROUPS)}")
        return self._outward.links(row * len(_OUTWARD) + _OUTWARD.index(group))

    def neighbours_of(self, rows: Rows, groups: Sequence[str]) -> tuple[NDArray[np.int64], Links]:
        """Return the neighbours of several rows in several groups, row after row and group after group.

        Returns:
            how many there are of each row in each group, int64 [n, groups]; and all of them.
        """
        counts = np.zeros((len(rows), len(groups)), np.int64)
        found = []
        for place, group in enumerate(groups):
            inward = group == "mentioned_by"
            keys = rows if inward else rows * len(_OUTWARD) + _OUTWARD.index(group)
            counts[:, place], links = (self._inward if inward else self._outward).many(np.asarray(keys, np.int64))
            found.append(links)
        row_of = np.concatenate([np.repeat(np.arange(len(rows)), counts[:, k]) for k in range(len(groups))])
        order = np.argsort(row_of, kind="stable")
        names = ("rows", "relations", "starts", "ends")
        return counts, Links(*(np.concatenate([getattr(links, name) for links in found])[order] for name in names))

    def share_weights(self, row: int) -> NDArray[np.float32]:
        """Return the weight of each link of ``row`` in the group *shares*, float32 [k], strongest first."""
        key = row * len(_OUTWARD) + _OUTWARD.index("shares")
        return self._outward.weights[self._outward.offsets[key] : self._outward.offsets[key + 1]]

    def links_between(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int8]]:
        """Return every edge among ``rows``, int64 [k], all different.

        Returns:
            source, target: int64 [m], places in ``rows``; relation: int8 [m]. Symmetric relations stand both ways.
        """
        groups = len(_OUTWARD)
        begins = self._outward.offsets[rows * groups]
        counts = self._outward.offsets[(rows + 1) * groups] - begins
        source = np.repeat(np.arange(len(rows)), counts)
        edge = np.arange(len(source)) + np.repeat(begins - np.cumsum(counts) + counts, counts)
        targets = self._outward.rows[edge]
        order = np.argsort(rows, kind="stable")
        place = order[np.minimum(np.searchsorted(rows, targets, sorter=order), max(len(rows) - 1, 0))]
        inside = rows[place] == targets
        return source[inside], place[inside], self._outward.relations[edge[inside]]

    def save(self, folder: Path) -> None:
        """Write the graph to ``folder``, which exists or is made."""
        self.edges.save(folder, self._passages)

    @classmethod
    def load(cls, folder: Path) -> KnowledgeGraph:
        """Read a graph that ``save`` wrote.

        Raises:
            DamagedIndexError: when the file cannot be read, or an array has another shape, type or range.
        """
        return cls(*Edges.load(folder))

    def to_networkx(
        self,
        titles: Sequence[str] | None = None,
        documents: Sequence[str] | None = None,
        rows: Sequence[int] | Rows | None = None,
    ) -> networkx.MultiDiGraph[int]:
        """Return the graph as networkx's: see :func:`~trailhound.graph._overview.to_networkx`."""
        from ._overview import to_networkx

        return to_networkx(self, titles, documents, rows)

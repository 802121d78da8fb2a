"""What a knowledge graph is: how many edges of which kind, how it hangs together, what stands in its middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..retrievers.records import Rows
from .edges import GROUPS, SYMMETRIC, Edges, Links, Relation
from .pagerank import WalkedGraph

PERCENTILES = (10, 50, 90, 99, 100)


class HoppedGraph(WalkedGraph, Protocol):
    """What following edges needs of a graph."""

    def neighbours(self, row: int, group: str) -> Links:
        """Return the neighbours of ``row`` in a relation group."""
        ...


@dataclass(frozen=True, slots=True)
class Hub:
    """A passage with many links.

    Attributes:
        row: of the passage.
        mentions: how many passages it mentions.
        mentioned_by: how many mention it.
        others: how many share phrases with it or adjoin it.
    """

    row: int
    mentions: int
    mentioned_by: int
    others: int


@dataclass(frozen=True, slots=True)
class GraphOverview:
    """Figures of a graph; every edge counts once, whichever way it can be followed.

    Attributes:
        passages: nodes of the graph, N.
        edges: how many of each relation, by its name.
        degrees: by group of links ("mentions", "mentioned_by", "all"), the degree below which ``PERCENTILES`` percent
            of the passages lie.
        components: weakly connected components, passages without edges among them.
        largest_component: passages of the largest.
        hubs: the passages with the most links, most first, ties by row.
        isolated: rows of passages without edges, int64 [k], ascending.
    """

    passages: int
    edges: dict[str, int]
    degrees: dict[str, dict[int, float]]
    components: int
    largest_component: int
    hubs: tuple[Hub, ...]
    isolated: Rows

    @property
    def largest_share(self) -> float:
        """Share of the passages that the largest component holds; 0 for an empty graph."""
        return self.largest_component / self.passages if self.passages else 0.0

    def to_json(self, names: dict[int, str]) -> dict[str, Any]:
        """Return the figures as JSON values.

        Args:
            names: the ids of hubs and isolated passages, by row.
        """
        return {
            "passages": self.passages,
            "edges": self.edges,
            "degree_percentiles": {
                group: {str(percent): value for percent, value in values.items()}
                for group, values in self.degrees.items()
            },
            "components": self.components,
            "largest_component": self.largest_component,
            "largest_share": self.largest_share,
            "hubs": [{"passage": names[hub.row], **asdict(hub)} for hub in self.hubs],
            "isolated": [names[row] for row in self.isolated.tolist()],
        }


def overview(graph: WalkedGraph, rows: Rows | None = None, hubs: int = 10) -> GraphOverview:
    """Return the figures of a graph.

    Args:
        graph: as a whole, or as it is after changes.
        rows: the passages that are there, int64 [N], ascending; all rows when None.
        hubs: how many passages with the most links to name.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges, count = graph.edges, len(graph)
    rows = np.arange(count) if rows is None else rows
    mention = ~np.isin(edges.relation, SYMMETRIC)
    mentions = np.bincount(edges.source[mention], minlength=count)[rows]
    mentioned_by = np.bincount(edges.target[mention], minlength=count)[rows]
    both = np.bincount(edges.source, minlength=count) + np.bincount(edges.target, minlength=count)
    degree = both[rows]
    links = coo_array((np.ones(len(edges), np.int8), (edges.source, edges.target)), shape=(count, count))
    _, component = connected_components(links, directed=False)
    _, sizes = np.unique(component[rows], return_counts=True)
    most = np.lexsort((rows, -degree))[:hubs]
    return GraphOverview(
        len(rows),
        {relation.name.lower(): int((edges.relation == relation).sum()) for relation in Relation},
        {"mentions": _percentiles(mentions), "mentioned_by": _percentiles(mentioned_by), "all": _percentiles(degree)},
        len(sizes),
        int(sizes.max(initial=0)),
        tuple(
            Hub(int(rows[k]), int(mentions[k]), int(mentioned_by[k]), int(degree[k] - mentions[k] - mentioned_by[k]))
            for k in most.tolist()
            if degree[k]
        ),
        rows[degree == 0],
    )


def _percentiles(degrees: NDArray[np.int64]) -> dict[int, float]:
    if not len(degrees):
        return dict.fromkeys(PERCENTILES, 0.0)
    return dict(zip(PERCENTILES, np.percentile(degrees, PERCENTILES).tolist(), strict=True))


def neighbourhood(graph: HoppedGraph, row: int, hops: int = 1, limit: int = 40) -> list[int]:
    """Return the rows that edges lead to from a passage, nearest first, beginning with itself.

    Among equally near ones, mentions come before passages that are mentioned by, share phrases or adjoin, and the
    strongest first.

    Args:
        graph: to walk.
        row: where to begin.
        hops: at most so many edges away.
        limit: at most so many rows.
    """
    found = dict.fromkeys([row])
    front = [row]
    for _ in range(hops):
        following = [
            other
            for group in GROUPS
            for passage in front
            for other in graph.neighbours(passage, group).rows.tolist()
            if other not in found
        ]
        front = list(dict.fromkeys(following))[: limit - len(found)]
        found.update(dict.fromkeys(front))
    return list(found)


def edges_among(edges: Edges, rows: Sequence[int] | Rows, count: int) -> Edges:
    """Return the edges whose two ends are both among ``rows``, of a graph of ``count`` passages."""
    inside = np.zeros(count, np.bool_)
    inside[np.asarray(rows, np.int64)] = True
    return edges.where(inside[edges.source] & inside[edges.target])

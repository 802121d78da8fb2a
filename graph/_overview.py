"""What a knowledge graph is: how many edges of which kind, how it hangs together, what stands in its middle."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..retrievers._atomic_file import storing
from ..retrievers._svg import printable, svg_picture
from ..retrievers.protocols import Progress
from ..retrievers.records import Rows
from ._edges import GROUPS, SYMMETRIC, Edges, Links, Relation
from ._pagerank import WalkedGraph

if TYPE_CHECKING:
    import networkx


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
        """Return the figures as JSON values; ``names`` are the ids of hubs and isolated passages, by row."""
        return {
            "passages": self.passages,
            "edges": self.edges,
            "degree_percentiles": self.degrees,
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
    degree = np.bincount(np.concatenate((edges.source, edges.target)), minlength=count)[rows]
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
        links = (graph.neighbours(passage, group).rows.tolist() for group in GROUPS for passage in front)
        following = [other for others in links for other in others if other not in found]
        front = list(dict.fromkeys(following))[: limit - len(found)]
        found.update(dict.fromkeys(front))
    return list(found)


_DRAWN = {
    Relation.TITLE_MENTION: ("#4c78a8", "mentions the title"),
    Relation.ALIAS_MENTION: ("#9ec5e8", "mentions another name"),
    Relation.SHARES: ("#e0a030", "shares rare phrases"),
    Relation.ADJACENT: ("#79706e", "adjoins in its document"),
}
"""Colour and words of each relation."""

_SIDE, _MARGIN, _HEAD, _RADIUS = 640, 110, 64, 7
_GRAPHML = (
    "<?xml version='1.0' encoding='utf-8'?>\n"
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    '<key id="title" for="node" attr.name="title" attr.type="string"/>\n'
    '<key id="document" for="node" attr.name="document" attr.type="string"/>\n'
    '<key id="row" for="node" attr.name="row" attr.type="long"/>\n'
    '<key id="relation" for="edge" attr.name="relation" attr.type="string"/>\n'
    '<key id="weight" for="edge" attr.name="weight" attr.type="double"/>\n'
    '<key id="start" for="edge" attr.name="start" attr.type="long"/>\n'
    '<key id="end" for="edge" attr.name="end" attr.type="long"/>\n'
    '<graph edgedefault="directed">\n'
)
_LINES_AT_ONCE = 50_000


def to_networkx(
    graph: WalkedGraph,
    titles: Sequence[str] | None = None,
    documents: Sequence[str] | None = None,
    rows: Sequence[int] | Rows | None = None,
) -> networkx.MultiDiGraph[int]:
    """Return a graph as networkx's, for analysis and drawing.

    Nodes are rows, with the attributes ``row``, and ``title`` and ``document`` where these are given. Edges have
    ``relation`` (its name, also the key), ``weight``, ``start`` and ``end``. Symmetric relations stand both ways.

    Args:
        graph: as a whole, or as it is after changes.
        titles: the title of every row.
        documents: the document id of every row.
        rows: the passages to keep, with the edges among them; all rows when None.
    """
    import networkx as nx

    result: Any = nx.MultiDiGraph()
    kept = range(len(graph)) if rows is None else [int(row) for row in rows]
    named = [(name, column) for name, column in (("title", titles), ("document", documents)) if column is not None]
    result.add_nodes_from((row, {"row": row, **{name: column[row] for name, column in named}}) for row in kept)
    edges = (
        graph.edges
        if rows is None
        else graph.edges.where(np.isin(graph.edges.source, kept) & np.isin(graph.edges.target, kept))
    )
    result.add_edges_from(
        (source, target, relation, {"relation": relation, "start": start, "end": end, "weight": weight})
        for source, target, relation, start, end, weight in _both_ways(edges)
    )
    return result  # type: ignore[no-any-return]


def write_graphml(
    path: Path,
    graph: WalkedGraph,
    titles: Sequence[str],
    documents: Sequence[str],
    rows: Rows,
    progress: Progress | None = None,
) -> None:
    """Write what :func:`to_networkx` returns as GraphML, which networkx, Gephi and Cytoscape read.

    networkx has a writer of its own, but that needs minutes and gigabytes for 100,000 passages.

    Args:
        path: of the file.
        graph: as a whole, or as it is after changes.
        titles, documents: of every row; characters that XML cannot hold become U+FFFD.
        rows: the passages to write, int64 [N].
        progress: called with (stage, done, total).

    Raises:
        StorageError: when the disk is full or cannot be written; a file that was there stays.
    """
    edges = graph.edges.where(np.isin(graph.edges.source, rows) & np.isin(graph.edges.target, rows))
    total = len(rows) + len(edges) + int(np.isin(edges.relation, SYMMETRIC).sum())
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with storing(path):
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(_GRAPHML)
                for done, line in enumerate(_graphml_lines(edges, titles, documents, rows)):
                    file.write(line)
                    if progress is not None and done % _LINES_AT_ONCE == 0:
                        progress("writing GraphML", done, total)
                file.write("</graph>\n</graphml>\n")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def _graphml_lines(edges: Edges, titles: Sequence[str], documents: Sequence[str], rows: Rows) -> Iterator[str]:
    for row in rows.tolist():
        title, document = escape(printable(titles[row])), escape(printable(documents[row]))
        yield (
            f'<node id="{row}"><data key="title">{title}</data><data key="document">{document}</data>'
            f'<data key="row">{row}</data></node>\n'
        )
    for source, target, relation, start, end, weight in _both_ways(edges):
        yield (
            f'<edge source="{source}" target="{target}" id="{relation}"><data key="relation">{relation}</data>'
            f'<data key="weight">{weight!r}</data><data key="start">{start}</data><data key="end">{end}</data></edge>\n'
        )


def _both_ways(edges: Edges) -> Iterator[tuple[int, int, str, int, int, float]]:
    """Iterate over (source, target, relation, start, end, weight); symmetric relations come both ways."""
    names = [relation.name.lower() for relation in Relation]
    symmetric = edges.where(np.isin(edges.relation, SYMMETRIC))
    for part in (edges, symmetric.reversed()):
        for source, target, relation, start, end, weight in zip(*(a.tolist() for a in part.arrays), strict=True):
            yield source, target, names[relation], start, end, weight


def draw_neighbourhood(graph: WalkedGraph, rows: Sequence[int], titles: Sequence[str]) -> str:
    """Return an SVG picture of some passages and the edges among them.

    The layout is that of Kamada and Kawai (1989), as networkx computes it.

    Args:
        graph: as a whole, or as it is after changes.
        rows: the passages; the first is the one that is asked about, and is drawn filled.
        titles: of ``rows``, in their order.
    """
    import networkx as nx

    drawn = to_networkx(graph, rows=rows)
    layout = nx.kamada_kawai_layout(nx.Graph(drawn), weight=None) if len(rows) > 1 else {rows[0]: (0.0, 0.0)}
    span = _SIDE / 2 - _RADIUS
    at = {
        row: (_MARGIN + _SIDE / 2 + span * float(x), _HEAD + _SIDE / 2 + span * float(y))
        for row, (x, y) in layout.items()
    }
    name = printable(titles[0])
    parts = [f'<text x="20" y="26" font-size="14" font-weight="bold">{escape(name)} and what it is linked to</text>']
    for number, (colour, words) in enumerate(_DRAWN.values()):
        left = 20 + number * 200
        parts.append(f'<path d="M{left} 44 h24" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{left + 30}" y="48" fill="#555">{words}</text>')
    for source, target, relation in drawn.edges(keys=True):
        kind = Relation[relation.upper()]
        if kind not in SYMMETRIC or source < target:
            parts.append(_line(at[source], at[target], kind))
    for number, (row, title) in enumerate(zip(rows, titles, strict=True)):
        x, y = at[row]
        fill = "#d1605e" if number == 0 else "#fff"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{_RADIUS}" fill="{fill}" stroke="#444"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 11:.1f}" text-anchor="middle">{escape(_shortened(title))}</text>')
    return svg_picture(_SIDE + 2 * _MARGIN, _HEAD + _SIDE + 40, parts, font_size=11)


def _line(start: tuple[float, float], end: tuple[float, float], relation: Relation) -> str:
    """Return an edge from one circle to another, with an arrow head where it holds one way only."""
    (x0, y0), (x1, y1) = start, end
    length = max(float(np.hypot(x1 - x0, y1 - y0)), 1e-9)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    x0, y0, x1, y1 = x0 + _RADIUS * dx, y0 + _RADIUS * dy, x1 - _RADIUS * dx, y1 - _RADIUS * dy
    path = f"M{x0:.1f} {y0:.1f} L{x1:.1f} {y1:.1f}"
    if relation not in SYMMETRIC:
        for side in (1, -1):
            path += f" M{x1:.1f} {y1:.1f} L{x1 - 7 * dx + side * 3 * dy:.1f} {y1 - 7 * dy - side * 3 * dx:.1f}"
    return f'<path d="{path}" stroke="{_DRAWN[relation][0]}" stroke-width="1.5" fill="none"/>'


def _shortened(title: str, width: int = 28) -> str:
    text = printable(" ".join(title.split()))
    return text if len(text) <= width else f"{text[: width - 1]}…"

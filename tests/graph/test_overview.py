import networkx as nx
import numpy as np
import pytest
from trailhound.graph._edges import Edges, Relation
from trailhound.graph._knowledge_graph import KnowledgeGraph
from trailhound.graph._overview import draw_neighbourhood, neighbourhood, overview, to_networkx


def random_graph(seed: int) -> KnowledgeGraph:
    """Return sixty passages, of which some stay alone."""
    generator = np.random.default_rng(seed)
    pairs = np.unique(np.sort(generator.integers(0, 60, (50, 2))), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    kind = generator.integers(0, len(Relation), len(pairs))
    parts = [Edges.of(*pairs[kind == relation].T, relation) for relation in Relation]
    return KnowledgeGraph(Edges.concatenate(parts), 60)


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_networkx(seed: int) -> None:
    graph = random_graph(seed)
    figures = overview(graph)
    view = to_networkx(graph)
    components = [len(part) for part in nx.weakly_connected_components(view)]
    assert (figures.components, figures.largest_component) == (len(components), max(components))
    assert figures.isolated.tolist() == sorted(nx.isolates(view))
    mentions = nx.MultiDiGraph((s, t) for s, t, r in view.edges(keys=True) if r.endswith("mention"))
    for hub in figures.hubs:
        inward, outward = (dict(d).get(hub.row, 0) for d in (mentions.in_degree(), mentions.out_degree()))
        assert (hub.mentions, hub.mentioned_by) == (outward, inward)
        assert hub.others == sum(not r.endswith("mention") for _, _, r in view.out_edges(hub.row, keys=True))
    undirected = [sum(1 for _ in graph_links(graph, row)) for row in range(60)]
    assert [h.row for h in figures.hubs] == sorted(range(60), key=lambda row: (-undirected[row], row))[:10]
    assert figures.degrees["all"][100] == max(undirected)
    assert figures.degrees["all"][50] == np.median(undirected)


def graph_links(graph: KnowledgeGraph, row: int) -> list[tuple[int, int]]:
    ends = zip(graph.edges.source.tolist(), graph.edges.target.tolist(), strict=True)
    return [pair for pair in ends if row in pair]


def test_an_empty_graph_and_passages_that_are_gone() -> None:
    nothing = overview(KnowledgeGraph(Edges.of([], [], Relation.SHARES), 0))
    assert (nothing.passages, nothing.components, nothing.largest_share, nothing.hubs) == (0, 0, 0.0, ())
    part = overview(KnowledgeGraph(Edges.of([0], [2], Relation.SHARES), 4), np.array([0, 2]))
    assert (part.passages, part.components, part.isolated.tolist()) == (2, 1, [])


def test_the_nearest_come_first_and_no_more_than_asked() -> None:
    path = KnowledgeGraph(Edges.of([0, 1, 2, 3], [1, 2, 3, 4], Relation.ADJACENT), 6)
    assert neighbourhood(path, 2, 1) == [2, 1, 3]
    assert neighbourhood(path, 2, 2) == [2, 1, 3, 0, 4]
    assert neighbourhood(path, 2, 9, limit=4) == [2, 1, 3, 0]
    assert neighbourhood(path, 5, 3) == [5]


def test_the_part_that_networkx_is_given_has_the_edges_among_it_alone() -> None:
    graph = KnowledgeGraph(Edges.concatenate([Edges.of([0, 1, 2], [1, 2, 3], Relation.TITLE_MENTION)]), 4)
    view = to_networkx(graph, ["a", "b", "c", "d"], ["w", "x", "y", "z"], [1, 2])
    assert dict(view.nodes(data=True)) == {
        1: {"row": 1, "title": "b", "document": "x"},
        2: {"row": 2, "title": "c", "document": "y"},
    }
    assert list(view.edges(keys=True)) == [(1, 2, "title_mention")]


def test_a_picture_has_an_arrow_for_a_mention_and_one_line_for_what_holds_both_ways() -> None:
    parts = [Edges.of([0], [1], Relation.TITLE_MENTION), Edges.of([0], [2], Relation.SHARES)]
    svg = draw_neighbourhood(KnowledgeGraph(Edges.concatenate(parts), 3), [0, 1, 2], ["A", "B & C", "D"])
    lines = [line for line in svg.splitlines() if "<path" in line and " h24" not in line]
    assert len(lines) == 2
    assert sorted(line.count("M") for line in lines) == [1, 3]
    assert "B &amp; C" in svg
    assert draw_neighbourhood(KnowledgeGraph(Edges.of([], [], Relation.SHARES), 1), [0], ["A"]).count("<circle") == 1

from concurrent.futures import ThreadPoolExecutor

import networkx as nx
import numpy as np
import pytest
from trailhound.graph._edges import Edges, Relation
from trailhound.graph._knowledge_graph import KnowledgeGraph
from trailhound.graph._pagerank import MOST_OF_A_SHARE, PageRank


def random_graph(seed: int, passages: int, edges: int) -> KnowledgeGraph:
    generator = np.random.default_rng(seed)
    pairs = generator.integers(0, passages, (edges, 2))
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    kind = generator.integers(0, 4, len(pairs))
    kind[(kind >= 2) & (pairs[:, 0] > pairs[:, 1])] = Relation.TITLE_MENTION
    parts = []
    for relation in Relation:
        chosen = pairs[kind == relation]
        weight = generator.random(len(chosen)) * 9 + 0.1 if relation == Relation.SHARES else np.ones(len(chosen))
        parts.append(Edges.of(chosen[:, 0], chosen[:, 1], relation, weight.astype(np.float32)))
    return KnowledgeGraph(Edges.concatenate(parts), passages)


def by_networkx(graph: KnowledgeGraph, seeds: dict[int, float], damping: float) -> list[float]:
    edges = graph.edges
    shares = [float(w) for w, r in zip(edges.weight, edges.relation, strict=True) if r == Relation.SHARES]
    oracle = nx.DiGraph()
    oracle.add_nodes_from(range(len(graph)))
    for source, target, relation, weight in zip(edges.source, edges.target, edges.relation, edges.weight, strict=True):
        step = 1.0
        if relation == Relation.SHARES:
            step = MOST_OF_A_SHARE * float(weight) / (float(weight) + sum(shares) / len(shares))
        for a, b in ((int(source), int(target)), (int(target), int(source))):
            before = oracle.get_edge_data(a, b, {"weight": 0.0})["weight"]
            oracle.add_edge(a, b, weight=before + step)
    ranks = nx.pagerank(oracle, damping, personalization=seeds, weight="weight", tol=1e-14, max_iter=100_000)
    return [ranks[row] for row in range(len(graph))]


@pytest.mark.parametrize(
    ("seed", "passages", "edges", "damping"),
    [(0, 5, 4, 0.85), (1, 40, 30, 0.0), (1, 40, 30, 0.5), (2, 40, 300, 0.999), (3, 300, 500, 0.85), (4, 9, 0, 0.5)],
)
def test_equal_to_networkx(seed: int, passages: int, edges: int, damping: float) -> None:
    graph = random_graph(seed, passages, edges)
    generator = np.random.default_rng(seed)
    seeds = {int(row): float(generator.random()) for row in generator.integers(0, passages, 4)}
    scores = PageRank(graph, damping).personalised(seeds)
    assert scores.shape == (passages,)
    assert scores.dtype == np.float64
    assert scores.sum() == pytest.approx(1, abs=1e-12)
    assert np.abs(scores - by_networkx(graph, seeds, damping)).max() < 1e-8


def test_two_passages_by_hand() -> None:
    # x0 = (1 - d) + d x1 and x1 = d x0 give x0 = 1 / (1 + d).
    graph = KnowledgeGraph(Edges.of([0], [1], Relation.TITLE_MENTION), 3)
    scores = PageRank(graph, 0.5).personalised({0: 3.0})
    assert scores == pytest.approx([2 / 3, 1 / 3, 0.0], abs=1e-9)
    assert scores[2] == 0


def test_only_the_proportions_of_the_seeds_count() -> None:
    walk = PageRank(random_graph(5, 50, 100))
    one = walk.personalised({3: 1.0, 8: 2.0, 9: 0.0})
    for scale in (1e-300, 1e307):
        assert walk.personalised({3: scale, 8: 2 * scale}) == pytest.approx(one, abs=1e-8)


def test_a_share_carries_less_than_a_mention() -> None:
    parts = [Edges.of([0], [1], Relation.TITLE_MENTION), Edges.of([0, 2], [2, 3], Relation.SHARES, [900.0, 1.0])]
    scores = PageRank(KnowledgeGraph(Edges.concatenate(parts), 4)).personalised({0: 1.0})
    assert scores[1] > 5 * scores[2] > 0


@pytest.mark.parametrize("row", [-1, 3])
def test_a_seed_that_is_not_there(row: int) -> None:
    walk = PageRank(KnowledgeGraph(Edges.of([0], [1], Relation.ADJACENT), 3))
    with pytest.raises(IndexError, match=f"seed {row} is not one of the 3"):
        walk.personalised({0: 1.0, row: 1.0})


@pytest.mark.parametrize("seeds", [{}, {0: 0.0}, {0: -1.0, 1: 2.0}, {0: float("nan")}, {0: float("inf")}])
def test_seeds_that_say_nothing(seeds: dict[int, float]) -> None:
    walk = PageRank(KnowledgeGraph(Edges.of([0], [1], Relation.ADJACENT), 3))
    with pytest.raises(ValueError, match="seed"):
        walk.personalised(seeds)


@pytest.mark.parametrize("damping", [-0.1, 1.0, float("nan")])
def test_damping_outside_its_range(damping: float) -> None:
    with pytest.raises(ValueError, match="damping"):
        PageRank(random_graph(0, 5, 4), damping)


def test_a_damping_that_cannot_be_solved_is_said_so() -> None:
    # Along a path each step reaches one passage further.
    path = KnowledgeGraph(Edges.of(np.arange(9999), np.arange(1, 10_000), Relation.ADJACENT), 10_000)
    walk = PageRank(path, 1 - 1e-12)
    with pytest.raises(ArithmeticError, match="too near to 1"):
        walk.personalised({0: 1.0})


def test_an_empty_graph_has_no_seeds() -> None:
    walk = PageRank(KnowledgeGraph(Edges.of([], [], Relation.SHARES), 0))
    with pytest.raises(IndexError, match="seed 0 is not one of the 0"):
        walk.personalised({0: 1.0})


def test_threads_get_what_one_gets() -> None:
    walk = PageRank(random_graph(6, 200, 600))
    alone = [walk.personalised({row: 1.0}) for row in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda row: walk.personalised({row: 1.0}), range(40)))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))

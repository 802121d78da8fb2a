"""What linear re-rankers see, worked out by hand on a corpus of six articles."""

from pathlib import Path

import networkx
import numpy as np
import pytest
from trailhound import Document, Index
from trailhound.agent._reranking import GRAPH, HYBRID, SPARSE_DEPTH, GraphFeatures, HybridFeatures
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Candidates, Query

ARTICLES = {
    "Silver Gate": "Silver Gate is a film that Ada Brun directed.",
    "Ada Brun": "Ada Brun comes from Torl.",
    "Torl": "A town by the sea, with a harbour.",
    "Eggs": "The price of eggs went up.",
    "Flour": "The price of flour went down.",
    "Fish": "The price of fish went up, and up.",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, hashing_encoder: Encoder) -> Index:
    documents = [Document(title, title, text, atomic=True) for title, text in ARTICLES.items()]
    return Index.build(documents, tmp_path_factory.mktemp("features") / "a.index", encoder=hashing_encoder)


def candidates(index: Index, rows: list[int], scores: list[float]) -> Candidates:
    return Candidates(np.array(rows, np.int64), tuple(index.store.passages(rows)), np.array(scores))


def test_ranks_are_those_of_the_first_stage_and_ties_share_one(index: Index) -> None:
    found = candidates(index, [3, 0, 2, 1], [0.5, 0.9, 0.5, 0.1])
    assert found.first_ranks().tolist() == [2, 1, 2, 4]
    assert candidates(index, [], []).first_ranks().tolist() == []


def test_sparse_is_bm25_over_the_best_and_dense_is_the_cosine(index: Index) -> None:
    query = index.query("price of fish")
    features = HybridFeatures(index)(query, candidates(index, [2, 3, 5], [3.0, 2.0, 1.0]))
    hits = index.lexical.search(query, SPARSE_DEPTH)
    known = dict(zip(hits.rows.tolist(), hits.scores.tolist(), strict=True))
    assert HYBRID == ("first_stage", "sparse", "dense")
    assert features[:, 0] == pytest.approx([0, -np.log(2), -np.log(3)])
    assert features[:, 1] == pytest.approx([0, known[3] / known[5], 1])
    assert query.vector is not None
    assert features[:, 2] == pytest.approx(index.dense.vectors[[2, 3, 5]] @ query.vector, abs=1e-6)


def test_links_are_shares_of_the_others_by_their_ranks(index: Index) -> None:
    """Silver Gate mentions Ada Brun, who comes from Torl; nothing links to eggs."""
    found = candidates(index, [0, 1, 2, 3], [4.0, 3.0, 2.0, 1.0])
    features = GraphFeatures(index)(Query("Who directed it?"), found)
    weights = [1, 1 / 2, 1 / 3, 1 / 4]
    total = sum(weights)
    assert features[:, GRAPH.index("linked")] == pytest.approx(
        [
            weights[1] / (total - weights[0]),
            (weights[0] + weights[2]) / (total - weights[1]),
            weights[1] / (total - weights[2]),
            0,
        ]
    )


def test_what_the_question_names_is_known_and_passes_its_mass_on(index: Index) -> None:
    found = candidates(index, [0, 1, 2, 4, 5], [5.0, 4.0, 3.0, 2.0, 1.0])
    features = GraphFeatures(index)(Query("What is Torl?"), found)
    assert features[:, GRAPH.index("named")].tolist() == [0, 0, 1, 0, 0]
    walked = networkx.pagerank(
        networkx.Graph([(0, 1), (1, 2), *((a, b) for a, b in _shares(index)), (3, 3)]),
        alpha=0.85,
        personalization={0: 1, 1: 1 / 2, 2: 1 + 1 / 3, 4: 1 / 4, 5: 1 / 5},
    )
    strength = features[:, GRAPH.index("page_rank")]
    assert strength.max() == 1
    order = sorted([0, 1, 2], key=lambda row: walked[row])
    assert [int(k) for k in np.argsort(strength[:3])] == order


def _shares(index: Index) -> list[tuple[int, int]]:
    """Links of shared names, which this oracle weighs as much as mentions: only among the last three articles."""
    edges = index.graph.edges
    pairs = [(int(a), int(b)) for a, b in zip(edges.source, edges.target, strict=True)]
    return [(a, b) for a, b in pairs if a > 2 and b > 2]


def test_one_candidate_alone_has_no_links(index: Index, tmp_path: Path) -> None:
    features = GraphFeatures(index)(Query("?"), candidates(index, [4], [1.0]))
    assert features.tolist() == [[0, 0, 1, 0]]
    assert GraphFeatures(index)(Query("?"), candidates(index, [], [])).shape == (0, 4)

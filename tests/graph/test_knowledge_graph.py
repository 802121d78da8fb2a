from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import DamagedIndexError
from trailhound.graph._edges import FILE_NAME, SYMMETRIC, Edges, Relation
from trailhound.graph._knowledge_graph import GROUPS, KnowledgeGraph
from trailhound.retrievers.words._terms import TermIndex
from trailhound.retrievers.words._titles import TitleMatcher

TITLES = ["Ada North", "Blue River", "Carl Elm", "", ""]
TEXTS = [
    "She made Blue River with Carl Elm.",
    "A film by Carl Elm.",
    "He knew Ada North. A zebra quagga.",
    "A zebra quagga again.",
    "And a note.",
]
DOCUMENTS = ["a", "b", "c", "d", "d"]


def built() -> KnowledgeGraph:
    return KnowledgeGraph.build(TITLES, TEXTS, DOCUMENTS, TermIndex.build(TEXTS))


def graph_of(triples: set[tuple[int, int, int]], passages: int) -> KnowledgeGraph:
    """Make a graph of (source, target, relation); the start of a mention is its target plus one."""
    rows = sorted(triples)
    source, target, relation = (np.array([row[i] for row in rows], np.int64) for i in range(3))
    start = np.where(relation <= Relation.ALIAS_MENTION, target + 1, 0)
    return KnowledgeGraph(
        Edges(
            source.astype(np.int32),
            target.astype(np.int32),
            relation.astype(np.int8),
            start.astype(np.int32),
            (start * 2).astype(np.int32),
            (1 + source % 3).astype(np.float32),
        ),
        passages,
    )


PASSAGES = 7
MENTIONS = st.tuples(st.integers(0, 6), st.integers(0, 6), st.just(0)).filter(lambda edge: edge[0] != edge[1])
BOTH_WAYS = st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from([2, 3])).filter(lambda e: e[0] < e[1])
TRIPLES = st.sets(st.one_of(MENTIONS, BOTH_WAYS), max_size=25)


def test_a_small_corpus_by_hand() -> None:
    graph = built()
    assert len(graph) == 5
    mentions = graph.neighbours(0, "mentions")
    assert mentions.rows.tolist() == [1, 2]
    assert [TEXTS[0][s:e] for s, e in zip(mentions.starts, mentions.ends, strict=True)] == ["Blue River", "Carl Elm"]
    mentioned = graph.neighbours(2, "mentioned_by")
    assert mentioned.rows.tolist() == [1, 0]
    assert TEXTS[1][mentioned.starts[0] : mentioned.ends[0]] == "Carl Elm"
    assert 3 in graph.neighbours(2, "shares").rows
    assert graph.neighbours(3, "adjacent").rows.tolist() == [4]
    assert graph.neighbours(4, "adjacent").rows.tolist() == [3]
    assert len(graph.neighbours(4, "mentions")) == 0
    assert graph.out_degree.tolist() == [2, 1, 1, 0, 0]
    assert graph.in_degree.tolist() == [1, 1, 2, 0, 0]


def test_a_matcher_that_is_there_is_used() -> None:
    graph = KnowledgeGraph.build(TITLES, TEXTS, DOCUMENTS, TermIndex.build(TEXTS), TitleMatcher(["Nobody Else"]))
    assert graph.out_degree.sum() == 0


def test_one_of_each_per_passage() -> None:
    with pytest.raises(ValueError, match="'terms': 0"):
        KnowledgeGraph.build(TITLES, TEXTS, DOCUMENTS, TermIndex.build([]))


@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_or_a_group_that_is_not_there(row: int) -> None:
    with pytest.raises(IndexError, match=f"row {row} is not one of the 5"):
        built().neighbours(row, "mentions")
    with pytest.raises(ValueError, match="no relation group 'friends'"):
        built().neighbours(0, "friends")


def test_an_empty_corpus(tmp_path: Path) -> None:
    graph = KnowledgeGraph.build([], [], [], TermIndex.build([]))
    assert len(graph) == len(graph.edges) == 0
    graph.save(tmp_path)
    assert len(KnowledgeGraph.load(tmp_path)) == 0
    assert len(graph.links_between(np.zeros(0, np.int64))[0]) == 0
    assert graph.to_networkx().number_of_nodes() == 0


def test_the_strongest_share_comes_first() -> None:
    edges = Edges.of([0, 0, 1], [1, 2, 3], Relation.SHARES, [1.0, 5.0, 3.0])
    assert KnowledgeGraph(edges, 4).neighbours(0, "shares").rows.tolist() == [2, 1]
    assert KnowledgeGraph(edges, 4).neighbours(1, "shares").rows.tolist() == [3, 0]


@given(TRIPLES)
def test_neighbours_equal_looking_at_every_edge(triples: set[tuple[int, int, int]]) -> None:
    graph = graph_of(triples, PASSAGES)
    for row in range(PASSAGES):
        expected = {
            "mentions": {t for s, t, r in triples if s == row and r == 0},
            "mentioned_by": {s for s, t, r in triples if t == row and r == 0},
            "shares": {s + t - row for s, t, r in triples if row in (s, t) and r == 2},
            "adjacent": {s + t - row for s, t, r in triples if row in (s, t) and r == 3},
        }
        for group in GROUPS:
            links = graph.neighbours(row, group)
            assert len(links) == len(expected[group])
            assert set(links.rows.tolist()) == expected[group]
            if group == "mentions":
                assert links.starts.tolist() == [other + 1 for other in links.rows.tolist()]
                assert links.rows.tolist() == sorted(links.rows.tolist())
        assert graph.out_degree[row] == len(expected["mentions"])
        assert graph.in_degree[row] == len(expected["mentioned_by"])


@given(TRIPLES, st.lists(st.integers(0, PASSAGES - 1), unique=True))
def test_links_between_equals_comparing_every_pair(triples: set[tuple[int, int, int]], rows: list[int]) -> None:
    source, target, relation = graph_of(triples, PASSAGES).links_between(np.array(rows, np.int64))
    found = sorted(zip(source.tolist(), target.tolist(), relation.tolist(), strict=True))
    both = triples | {(t, s, r) for s, t, r in triples if r in SYMMETRIC}
    places = range(len(rows))
    assert found == sorted((a, b, r) for a in places for b in places for r in range(4) if (rows[a], rows[b], r) in both)


def test_links_between_rows_that_are_not_there() -> None:
    with pytest.raises(IndexError):
        built().links_between(np.array([0, 9]))


@given(TRIPLES)
def test_the_networkx_view_has_every_edge_both_ways_where_it_holds_so(triples: set[tuple[int, int, int]]) -> None:
    view = graph_of(triples, PASSAGES).to_networkx()
    names = {(s, t): set() for s, t, _ in triples}
    both = triples | {(t, s, r) for s, t, r in triples if r in SYMMETRIC}
    names = {(s, t, Relation(r).name.lower()) for s, t, r in both}
    assert set(view.edges(keys=True)) == names
    assert view.number_of_nodes() == PASSAGES
    for source, target, data in view.edges(data=True):
        mention = data["relation"] == "title_mention"
        assert (data["start"], data["end"]) == ((target + 1, 2 * target + 2) if mention else (0, 0))
        assert data["weight"] in ({1 + source % 3} if mention else {1 + min(source, target) % 3})


def test_the_networkx_view_carries_titles_for_analysis() -> None:
    view = built().to_networkx(TITLES)
    assert view.nodes[1]["title"] == "Blue River"
    assert nx.has_path(view, 0, 3)


def test_saving_and_loading(tmp_path: Path) -> None:
    graph = built()
    graph.save(tmp_path / "graph")
    loaded = KnowledgeGraph.load(tmp_path / "graph")
    assert len(loaded) == 5
    for row in range(5):
        for group in GROUPS:
            assert loaded.neighbours(row, group).rows.tolist() == graph.neighbours(row, group).rows.tolist()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    built().save(tmp_path)
    data = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(data[: len(data) // 2])
    with pytest.raises(DamagedIndexError, match=FILE_NAME):
        KnowledgeGraph.load(tmp_path)

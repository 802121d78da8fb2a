"""After any changes the graph is the one of an index built anew from the documents that are left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Index
from trailhound.graph._edges import Relation
from trailhound.graph._knowledge_graph import GROUPS, KnowledgeGraph
from trailhound.graph._pagerank import PageRank
from trailhound.retrievers.protocols import Encoder

NAMES = ["New York", "New York Times", "York", "Ada Marl", "Ada", "Lake, Duke of York", "Marl (river)", "The Old Mill"]
TEXT = "It stands near {} and, they say, the home of {} was sold to {}."


def drawn(rng: np.random.Generator, number: int) -> Document:
    names = [str(name) for name in rng.choice(NAMES, 3)]
    names = [name.split(",")[0].split(" (")[0] for name in names]
    title = str(rng.choice([*NAMES, f"Place {number}"]))
    return Document(f"d{number}", title, TEXT.format(*names) + " " + f"word{number % 5} rare{number % 7} " * 3)


def mentions(index: Index) -> set[tuple[str, str, int, int, int]]:
    identifiers = {int(row): index.store.passage(int(row)).id for row in index.store.rows()}
    found = set()
    for row, identifier in identifiers.items():
        links = index.graph.neighbours(row, "mentions")
        columns = (links.rows, links.relations, links.starts, links.ends)
        for other, relation, start, end in zip(*(column.tolist() for column in columns), strict=True):
            found.add((identifier, identifiers[other], relation, start, end))
    return found


def changed(index: Index, seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    for step in range(steps):
        there = index.store.document_ids()
        action = rng.integers(4)
        if action == 0 and len(there) > 4:
            index.delete([str(rng.choice(there))])
        elif action == 1:
            number = int(str(rng.choice(there))[1:])
            index.add([Document(f"d{number}", *_title_and_text(drawn(rng, number)))], replace=True)
        else:
            index.add([drawn(rng, 100 + 10 * step + k) for k in range(int(action) - 1)])


def _title_and_text(document: Document) -> tuple[str, str]:
    return document.title, document.text


@pytest.fixture(scope="module", params=[1, 2, 3])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, hashing_encoder: Encoder) -> Any:
    """An index after twelve changes, and one built anew from its documents."""
    folder = tmp_path_factory.mktemp("graph")
    rng = np.random.default_rng(request.param)
    index = Index.build([drawn(rng, number) for number in range(12)], folder / "live", encoder=hashing_encoder)
    changed(index, request.param, 12)
    documents = [index.store.document(identifier) for identifier in index.store.document_ids()]
    return index, Index.build(documents, folder / "anew", encoder=hashing_encoder)


def test_mentions_are_those_of_an_index_built_anew(pair: tuple[Index, Index]) -> None:
    assert mentions(pair[0]) == mentions(pair[1])
    assert len(mentions(pair[0])) > 10


def test_both_ends_say_the_same(pair: tuple[Index, Index]) -> None:
    graph = pair[0].graph
    rows = [int(row) for row in pair[0].store.rows()]
    for group, back in (("mentions", "mentioned_by"), ("shares", "shares"), ("adjacent", "adjacent")):
        there = {(row, other) for row in rows for other in graph.neighbours(row, group).rows.tolist()}
        here = {(other, row) for row in rows for other in graph.neighbours(row, back).rows.tolist()}
        assert there == here


def test_no_neighbour_is_listed_twice_or_gone(pair: tuple[Index, Index]) -> None:
    rows = set(pair[0].store.rows().tolist())
    for row in range(len(pair[0].graph)):
        for group in GROUPS:
            found = pair[0].graph.neighbours(row, group).rows.tolist()
            assert len(set(found)) == len(found)
            assert rows.issuperset(found)
            assert row in rows or not found


def test_degrees_count_neighbours(pair: tuple[Index, Index]) -> None:
    graph = pair[0].graph
    rows = np.arange(len(graph))
    assert graph.out_degree[rows].tolist() == [len(graph.neighbours(row, "mentions")) for row in rows.tolist()]
    assert graph.in_degree[rows].tolist() == [len(graph.neighbours(row, "mentioned_by")) for row in rows.tolist()]
    assert np.asarray(graph.in_degree).tolist() == graph.in_degree[rows].tolist()
    assert int(graph.in_degree[3]) == len(graph.neighbours(3, "mentioned_by"))


def test_links_between_rows_are_what_neighbours_say(pair: tuple[Index, Index]) -> None:
    graph = pair[0].graph
    rows = np.random.default_rng(0).permutation(pair[0].store.rows())[:14]
    source, target, relation = graph.links_between(rows)
    found = sorted(zip(rows[source].tolist(), rows[target].tolist(), relation.tolist(), strict=True))
    expected = []
    for row in rows.tolist():
        for group in ("mentions", "shares", "adjacent"):
            links = graph.neighbours(row, group)
            named = zip(links.rows.tolist(), links.relations.tolist(), strict=True)
            expected += [(row, other, kind) for other, kind in named if other in rows]
    assert found == sorted(expected)


def test_all_edges_together_are_the_same_graph(pair: tuple[Index, Index]) -> None:
    live = pair[0].graph
    whole = KnowledgeGraph(live.edges, len(live))
    for row in range(len(live)):
        for group in GROUPS:
            assert sorted(whole.neighbours(row, group).rows.tolist()) == sorted(
                live.neighbours(row, group).rows.tolist()
            )


def test_shares_are_strongest_first(pair: tuple[Index, Index]) -> None:
    graph = pair[0].graph
    for row in pair[0].store.rows().tolist():
        weights = graph.share_weights(row)
        assert len(weights) == len(graph.neighbours(row, "shares"))
        assert (np.diff(weights) <= 0).all()


def test_a_walk_goes_over_added_passages(pair: tuple[Index, Index]) -> None:
    index = pair[0]
    added = int(index.store.rows()[-1])
    scores = PageRank(index.graph).personalised({added: 1.0})
    assert scores[added] > 0
    assert scores.sum() == pytest.approx(1)
    gone = set(range(len(index.graph))) - set(index.store.rows().tolist())
    assert gone
    assert all(scores[row] == 0 for row in gone)


def test_passages_of_an_added_document_adjoin(tmp_path: Path, hashing_encoder: Encoder) -> None:
    index = Index.build([Document("a", "A", "one")], tmp_path / "x", encoder=hashing_encoder)
    sentence = "This is a sentence of some words. "
    index.add([Document("b", "B", sentence * 60)])
    rows = index.store.rows_of("b")
    assert len(rows) > 2
    for row, following in pairwise(rows):
        assert following in index.graph.neighbours(row, "adjacent").rows
        assert set(index.graph.neighbours(row, "adjacent").relations.tolist()) == {Relation.ADJACENT}


def test_rows_and_groups_that_are_not_there(pair: tuple[Index, Index]) -> None:
    graph = pair[0].graph
    with pytest.raises(IndexError, match=str(len(graph))):
        graph.neighbours(len(graph), "mentions")
    with pytest.raises(ValueError, match="no relation group 'cites'"):
        graph.neighbours(0, "cites")


def shares(index: Index) -> set[tuple[str, ...]]:
    edges = index.graph.edges
    chosen = edges.relation == Relation.SHARES
    pairs: Sequence[tuple[int, int]] = list(
        zip(edges.source[chosen].tolist(), edges.target[chosen].tolist(), strict=True)
    )
    return {tuple(sorted(passage.id for passage in index.store.passages(list(pair)))) for pair in pairs}


def test_shares_are_nearly_those_of_an_index_built_anew(
    corpus_folder: Path, encyclopedia: Any, tmp_path: Path, hashing_encoder: Encoder
) -> None:
    documents = encyclopedia.documents
    index = Index.build(documents[:130], tmp_path / "live", encoder=hashing_encoder)
    for document in documents[130:]:
        index.add([document])
    anew = Index.build(documents, tmp_path / "anew", encoder=hashing_encoder)
    new = {document.id for document in documents[130:]}
    found, expected = ({pair for pair in shares(some) if new & set(pair)} for some in (index, anew))
    assert len(found & expected) > 0.8 * len(expected)
    assert len(found & expected) > 0.6 * len(found)


def test_added_passages_are_not_linked_to_headings_that_name_nothing(tmp_path: Path, hashing_encoder: Encoder) -> None:
    titles = ["Examples", "Prompt cache", "Get started quickly", "Call the service"]
    headings = [Document(f"h{k}", title, f"Part {k} of it.") for k, title in enumerate(titles)]
    plain = [Document(f"p{k}", "", f"It has examples of kind {k}.") for k in range(12)]
    index = Index.build([*headings, *plain], tmp_path / "x", encoder=hashing_encoder)
    added = [Document(f"n{k}", "", f"See the Examples and the Prompt cache of {k}.") for k in range(3)]
    index.add(added)
    linked = {(source, target) for source, target, *_ in mentions(index)}
    assert linked == {(f"{document.id}#0", "h1#0") for document in added}
    anew = Index.build([*headings, *plain, *added], tmp_path / "anew", encoder=hashing_encoder)
    assert mentions(index) == mentions(anew)

import numpy as np
import torch
from trailhound.graph._facts import FactTable, link_facts
from trailhound.graph._knowledge_graph import KnowledgeGraph, Relation
from trailhound.retrievers.knowledge._facts import Facts, entity_documents

FACTS = Facts.of([("a", "r", "b"), ("a", "s", "b"), ("b", "r", "a"), ("a", "r", "c"), ("c", "s", "d")])
"""a = 0, b = 1, c = 2, d = 3; kinds r = 0, s = 1, read backwards 2 and 3."""


def test_an_entity_mentions_what_its_facts_name_once_and_is_mentioned_back() -> None:
    graph = KnowledgeGraph(link_facts(FACTS), 4)
    assert sorted(graph.neighbours(0, "mentions").rows.tolist()) == [1, 2]
    assert graph.neighbours(0, "mentioned_by").rows.tolist() == [1]
    assert graph.neighbours(3, "mentions").rows.tolist() == []
    assert set(graph.neighbours(0, "mentions").relations.tolist()) == {int(Relation.TITLE_MENTION)}
    assert graph.out_degree.tolist() == [2, 1, 1, 0]


def test_links_stand_where_the_text_names_the_other_entity() -> None:
    graph = KnowledgeGraph(link_facts(FACTS), 4)
    texts = [document.text for document in entity_documents(FACTS, "")]
    for row, text in enumerate(texts):
        links = graph.neighbours(row, "mentions")
        for other, start, end in zip(links.rows, links.starts, links.ends, strict=True):
            assert text[start:end] == FACTS.entities[other]


def links_of(
    known: list[int], dropout: float = 0.0, head: int = 0, kind: int = 0
) -> tuple[set[tuple[int, ...]], set[tuple[int, ...]]]:
    """Return the shared edges (sender, receiver, kind), and the hidden ones of the first search."""
    mask = torch.zeros(1, 4, dtype=torch.bool)
    mask[0, known] = True
    links = FactTable(FACTS).links(torch.tensor([head]), torch.tensor([kind]), mask, dropout)
    assert links.hidden is not None
    shared = set(zip(links.senders.tolist(), links.receivers.tolist(), links.kinds.tolist(), strict=True))
    return shared, {tuple(edge[1:]) for edge in links.hidden.T.tolist()}


def test_the_table_holds_every_fact_either_way() -> None:
    shared, _ = links_of([])
    expected = set()
    for head, kind, tail in zip(FACTS.heads.tolist(), FACTS.kinds.tolist(), FACTS.tails.tolist(), strict=True):
        expected |= {(head, tail, kind), (tail, head, kind + 2)}
    assert shared == expected


def test_answers_that_are_not_known_are_hidden_either_way() -> None:
    assert links_of([1])[1] == {(0, 2, 0), (2, 0, 2)}
    assert links_of([1, 2])[1] == set()
    assert links_of([], head=0, kind=1)[1] == {(0, 1, 1), (1, 0, 3)}
    assert links_of([], head=3, kind=3)[1] == {(3, 2, 3), (2, 3, 1)}
    assert links_of([], head=3, kind=0)[1] == set()


def test_a_dropped_fact_is_dropped_either_way_and_not_hidden_again() -> None:
    everything, hidden = links_of([])
    torch.manual_seed(0)
    sizes = set()
    for _ in range(30):
        shared, still_hidden = links_of([], dropout=0.5)
        assert shared <= everything
        assert {(r, s, (k + 2) % 4) for s, r, k in shared} == shared
        assert still_hidden == hidden & shared
        sizes.add(len(shared))
    assert len(sizes) > 2
    assert np.mean(sorted(sizes)) < len(everything)

from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import CorpusError, DamagedIndexError, QuestionsError
from trailhound.retrievers.knowledge._facts import (
    FactQuery,
    Facts,
    entity_documents,
    graph_file,
    mention_offsets,
    read_triples,
)

LINES = (
    "oslo\tcapital_of\tnorway\nnorway\tneighborOf\tsweden\noslo\tlocated_in\tnorway\nstockholm\tcapital_of\tsweden\n"
)


def facts_of(folder: Path, text: str = LINES) -> tuple[Facts, list[str]]:
    path = folder / "graph.txt"
    path.write_text(text, "utf-8")
    warnings: list[str] = []
    return Facts.read(path, warnings.append), warnings


def test_entities_and_relations_are_numbered_as_they_come(tmp_path: Path) -> None:
    facts, warnings = facts_of(tmp_path)
    assert facts.entities == ("oslo", "norway", "sweden", "stockholm")
    assert facts.relations == ("capital_of", "neighborOf", "located_in")
    assert (facts.heads.tolist(), facts.kinds.tolist(), facts.tails.tolist()) == (
        [0, 1, 0, 3],
        [0, 1, 2, 0],
        [1, 2, 1, 2],
    )
    assert warnings == []


def test_an_underscore_before_a_known_relation_is_its_inverse_and_each_fact_counts_once(tmp_path: Path) -> None:
    facts, _ = facts_of(tmp_path, "a\tr\tb\nb\t_r\ta\nc\t_r\td\nc\t_lonely\td\n")
    named = [
        (facts.entities[h], facts.relations[k], facts.entities[t])
        for h, k, t in zip(facts.heads, facts.kinds, facts.tails, strict=True)
    ]
    assert named == [("a", "r", "b"), ("d", "r", "c"), ("c", "_lonely", "d")]


def test_facts_of_an_entity_about_itself_are_left_out_with_a_warning(tmp_path: Path) -> None:
    facts, warnings = facts_of(tmp_path, "a\tr\ta\na\tr\tb\n")
    assert len(facts) == 1
    assert len(warnings) == 1
    assert "graph.txt:1" in warnings[0]
    assert "'a'" in warnings[0]


@pytest.mark.parametrize(
    ("text", "says"), [("a\tb\n", ":1"), ("a\tr\tb\n\na\t\tb\n", ":3"), ("", "no facts"), ("a\tr\ta\n", "no facts")]
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(CorpusError, match=r"graph\.txt") as error:
        facts_of(tmp_path, text)
    assert says in str(error.value)


def test_windows_line_ends_and_spaces_do_not_belong_to_names(tmp_path: Path) -> None:
    path = tmp_path / "dev.txt"
    path.write_bytes(b"\xef\xbb\xbfa \tr\tb\r\n\r\nc\tr\td")
    assert [triple[:3] for triple in read_triples(path, QuestionsError)] == [("a", "r", "b"), ("c", "r", "d")]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("oslo capital_of", (0, 0)),
        ("Oslo capital of", (0, 0)),
        ("  oslo   located  in ", (0, 2)),
        ("norway _capital_of", (1, 3)),
        ("norway neighborof", (1, 1)),
    ],
)
def test_queries_are_read_as_people_write_them(tmp_path: Path, text: str, query: tuple[int, int]) -> None:
    facts, _ = facts_of(tmp_path)
    assert facts.parse(text) == FactQuery(*query)
    assert facts.knows(text)


@pytest.mark.parametrize("text", ["oslo", "oslo eats", "paris capital_of", "", "capital_of oslo"])
def test_what_is_no_query_is_refused_with_an_example(tmp_path: Path, text: str) -> None:
    facts, _ = facts_of(tmp_path)
    assert not facts.knows(text)
    with pytest.raises(QuestionsError, match="oslo capital_of"):
        facts.parse(text)


def test_names_with_spaces_are_heads_too(tmp_path: Path) -> None:
    facts, _ = facts_of(tmp_path, "new york\tin\tusa\nnew\tin\twords\n")
    assert facts.parse("new york in") == FactQuery(0, 0)
    assert facts.parse("new in") == FactQuery(2, 0)


@given(
    st.lists(
        st.tuples(*[st.sampled_from("abcde"), st.sampled_from("rs"), st.sampled_from("abcde")]), min_size=1, max_size=25
    )
)
def test_edges_are_those_of_networkx_read_either_way(triples: list[tuple[str, str, str]]) -> None:
    triples = list(dict.fromkeys(t for t in triples if t[0] != t[2]))
    if not triples:
        return
    facts = Facts.of(triples)
    graph = networkx.MultiDiGraph()
    for head, relation, tail in triples:
        graph.add_edge(head, tail, key=relation)
        graph.add_edge(tail, head, key=f"_{relation}")
    seen = sorted(
        (facts.entities[s], facts.entities[t], facts.kind_name(k))
        for s, k, t in zip(*(a.tolist() for a in facts.edges), strict=True)
    )
    assert seen == sorted(graph.edges(keys=True))
    for row, entity in enumerate(facts.entities):
        at = facts.edges_of(np.array([row]))
        assert sorted({facts.entities[t] for t in facts.edges[2][at]}) == sorted(graph.successors(entity))
        for kind in range(facts.kind_count):
            answers = {facts.entities[t] for t in facts.answers(FactQuery(row, kind))}
            assert answers == {t for _, t, key in graph.out_edges(entity, keys=True) if key == facts.kind_name(kind)}
    for place, number in enumerate(facts.edge_facts.tolist()):
        ends = {int(facts.edges[0][place]), int(facts.edges[2][place])}
        assert ends == {int(facts.heads[number]), int(facts.tails[number])}
        query = FactQuery(int(facts.edges[0][place]), int(facts.edges[1][place]))
        assert facts.number(query, int(facts.edges[2][place])) == number
        assert facts.number(FactQuery(query.head, facts.inverse(query.kind)), query.head) is None


def test_every_entity_is_a_document_whose_text_states_its_facts(tmp_path: Path) -> None:
    facts, _ = facts_of(tmp_path)
    documents = list(entity_documents(facts, "graph.txt"))
    assert [d.id for d in documents] == list(facts.entities)
    assert documents[0].text == "oslo capital of norway. oslo located in norway."
    assert documents[2].text == "sweden."
    starts, ends = mention_offsets(facts)
    for head, tail, start, end in zip(facts.heads, facts.tails, starts, ends, strict=True):
        assert documents[head].text[start:end] == facts.entities[tail]


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    facts, _ = facts_of(tmp_path)
    facts.save(tmp_path / "facts")
    loaded = Facts.load(tmp_path / "facts")
    assert (loaded.entities, loaded.relations) == (facts.entities, facts.relations)
    assert all(np.array_equal(a, b) for a, b in zip(loaded.edges, facts.edges, strict=True))


@pytest.mark.parametrize("names", ['{"entities": ["a"], "relations": ["r"]}', "[]", "{", '{"entities": ["a", "b"]}'])
def test_damaged_facts_are_refused(tmp_path: Path, names: str) -> None:
    facts, _ = facts_of(tmp_path)
    facts.save(tmp_path / "facts")
    (tmp_path / "facts" / "names.json").write_text(names)
    with pytest.raises(DamagedIndexError, match="build the index again"):
        Facts.load(tmp_path / "facts")


def test_a_graph_is_indexed_alone(tmp_path: Path) -> None:
    facts_of(tmp_path)
    (tmp_path / "other").mkdir()
    assert graph_file([tmp_path], print) == graph_file([tmp_path / "graph.txt"], print) == tmp_path / "graph.txt"
    assert graph_file([tmp_path / "other"], print) is None
    with pytest.raises(CorpusError, match="alone"):
        graph_file([tmp_path / "other", tmp_path], print)

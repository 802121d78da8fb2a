"""``trailhound graph``: what a user sees of the knowledge graph, as text, JSON, GraphML and a picture."""

import json
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest
from trailhound import Document, Index
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]

DOCUMENTS = [
    Document("gate", "The Silver Gate", "The Silver Gate was directed by Ada Brun.", atomic=True),
    Document("brun", "Ada Brun", "Ada Brun is a director; her mother is Lena Marsk.", atomic=True),
    Document("marsk", "Lena Marsk", "A painter.", atomic=True),
    Document("torl", "To\x1b[31mrl", "Nothing else.", atomic=True),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three passages that mention one another in a row, one that is alone, and one that was deleted."""
    folder = tmp_path_factory.mktemp("graph") / "i"
    built = Index.build(DOCUMENTS, folder)
    built.add([Document("extra", "Karl Oder", "Karl Oder met Ada Brun.", atomic=True)])
    built.delete(["marsk"])
    return folder


def run(*arguments: str | Path) -> int:
    return main(["graph", *map(str, arguments), "--quiet"])


def test_the_figures_are_those_of_the_index_after_its_changes(index: Path, capsys: Capture) -> None:
    assert run(index, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["passages"] == 4
    assert figures["edges"]["title_mention"] == 2
    assert figures["components"] == 2
    assert figures["largest_share"] == 0.75
    assert figures["isolated"] == ["torl"]
    assert figures["degree_percentiles"]["mentioned_by"]["100"] == 2
    hub = figures["hubs"][0]
    assert (hub["passage"], hub["mentions"], hub["mentioned_by"]) == ("brun", 0, 2)


def test_titles_are_printed_without_control_characters(index: Path, capsys: Capture) -> None:
    assert run(index) == 0
    printed = capsys.readouterr().out
    assert "4 passages" in printed
    assert "Ada Brun (brun)" in printed
    assert "To\ufffd[31mrl (torl)" in printed
    assert "\x1b" not in printed


def test_graphml_holds_what_networkx_is_given(index: Path, tmp_path: Path) -> None:
    assert run(index, "--graphml", tmp_path / "g.graphml") == 0
    read = nx.read_graphml(tmp_path / "g.graphml", node_type=int, force_multigraph=True)
    opened = Index.open(index)
    titles, documents = opened.store.columns()
    expected = opened.graph.to_networkx(titles, documents, opened.store.rows())
    for row in expected:  # what XML cannot hold is replaced
        expected.nodes[row]["title"] = expected.nodes[row]["title"].replace("\x1b", "\ufffd")
    assert dict(read.nodes(data=True)) == dict(expected.nodes(data=True))
    assert sorted(read.edges(keys=True)) == sorted(expected.edges(keys=True))
    for source, target, relation, values in expected.edges(keys=True, data=True):
        found = read.edges[source, target, relation]
        assert found.pop("id", relation) == relation
        assert found == pytest.approx(values)
    assert [path.name for path in tmp_path.iterdir()] == ["g.graphml"]


def test_a_passage_is_shown_and_its_neighbourhood_drawn(index: Path, tmp_path: Path, capsys: Capture) -> None:
    picture = tmp_path / "p.svg"
    assert run(index, "--passage", "gate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mentions"] == ["brun"]
    assert run(index, "--passage", "gate", "--hops", "2", "--svg", picture) == 0
    assert "it mentions 1\n  Ada Brun (brun)" in capsys.readouterr().out
    texts = {element.text for element in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")}
    assert {"The Silver Gate", "Ada Brun", "Karl Oder"} <= texts
    assert "To\ufffd[31mrl" not in texts


@pytest.mark.parametrize("arguments", [["--passage", "nobody"], ["--svg", "x.svg"]])
def test_what_cannot_be_shown_is_said_in_one_line(index: Path, arguments: list[str], capsys: Capture) -> None:
    assert run(index, *arguments) == 2
    assert "--passage" in (error := capsys.readouterr().err) or "nobody" in error

"""An agent over an open index finds what was added by its next search, whoever added it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from trailhound import Document, Index, SearchAgent
from trailhound.agent._fixed_systems import FixedSystem
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers.protocols import Encoder

SHIP = Document("ship", "Zephyrine", "The Zephyrine is a ship that the pirate Barnaby Quill sailed.", atomic=True)
QUILL = Document("quill", "Barnaby Quill", "Barnaby Quill was born in the town of Xanthe.", atomic=True)
QUESTION = "Where was the pirate born who sailed the Zephyrine?"


@pytest.fixture
def index(encyclopedia: Encyclopedia, tmp_path: Path, hashing_encoder: Encoder) -> Index:
    return Index.build(encyclopedia.documents, tmp_path / "x.index", encoder=hashing_encoder)


def ids(agent: SearchAgent, question: str = QUESTION) -> list[str]:
    return [evidence.passage.document_id for evidence in agent.search(question).evidence]


def test_a_policy_finds_and_follows_what_was_added(index: Index, tiny_run: Path) -> None:
    agent = SearchAgent(index, tiny_run)
    before = agent.search("Who sings?").evidence
    assert not {"ship", "quill"} & set(ids(agent))
    index.add([QUILL, SHIP])
    result = agent.search(QUESTION)
    found = {evidence.passage.document_id for evidence in result.evidence}
    assert {"ship", "quill"} <= found
    index.delete(["ship", "quill"])
    assert not {"ship", "quill"} & set(ids(agent))
    assert [evidence.passage for evidence in agent.search("Who sings?").evidence] == [some.passage for some in before]


@pytest.mark.parametrize("system", ["lexical", "dense", "hybrid", "hops", "ppr"])
def test_so_does_every_fixed_system(index: Index, system: str) -> None:
    agent = SearchAgent(index, system=system)
    ids(agent)
    index.add([SHIP, QUILL])
    found = ids(agent)
    assert found[0] == "ship"
    if system in ("hops", "ppr"):
        assert "quill" in found
    index.delete(["ship"])
    assert "ship" not in ids(agent)


def test_another_process_may_have_added_it(index: Index, hashing_encoder: Encoder) -> None:
    agent = SearchAgent(index, system="hybrid")
    other = Index.open(index.path, encoder=hashing_encoder)
    other.add([SHIP])
    assert ids(agent)[0] == "ship"
    other.compact()
    other.add([QUILL])
    assert "quill" in ids(agent, "Barnaby Quill")


def test_searches_of_threads_beside_changes_are_whole(index: Index, tiny_run: Path) -> None:
    agent = SearchAgent(index, tiny_run)
    index.add([SHIP, QUILL])
    done = threading.Event()
    failures: list[BaseException] = []

    def search() -> None:
        try:
            while not done.is_set():
                ids(agent)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        index.delete(["ship"])
        index.add([SHIP])
        index.add([QUILL], replace=True)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_walk_is_made_anew_only_when_the_graph_is_another(index: Index) -> None:
    system = FixedSystem(index, "ppr")
    first = system._walk_of(index.graph)
    assert system._walk_of(index.graph) is first
    index.add([SHIP])
    assert system._walk_of(index.graph) is not first

"""An agent is warmed up, shares what it can with others, and lets go of everything when it is closed."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from trailhound import Document, Index, SearchAgent
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.errors import ClosedError, PolicyError
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.words import _links_folder

WARM = """
import sys
from trailhound import SearchAgent
agent = SearchAgent(sys.argv[1], system=sys.argv[2] or None)
agent.warm_up()
before = set(sys.modules)
result = agent.search("Where was the director of the film born?")
assert result.answer is not None and result.evidence[0].sentence is not None
print(*(set(sys.modules) - before))
"""


@pytest.fixture
def built(encyclopedia: Encyclopedia, tmp_path: Path, hashing_encoder: Encoder) -> Index:
    return Index.build(encyclopedia.documents, tmp_path / "x.index", encoder=hashing_encoder)


def opened() -> set[str]:
    """Return the files that this process has open."""
    files = set()
    for handle in os.listdir("/proc/self/fd"):
        try:
            files.add(f"{handle} {os.readlink(f'/proc/self/fd/{handle}')}")
        except FileNotFoundError:
            continue  # that of the listing itself
    return files


def test_a_closed_index_refuses_and_is_closed_again_without_effect(built: Index) -> None:
    with Index.open(built.path, encoder=built.encoder) as index:
        assert len(index) == len(built)
    for ask in (lambda: index.store, lambda: len(index), index.refresh, lambda: index.encoder, lambda: index.manifest):
        with pytest.raises(ClosedError, match=r"x\.index was closed: open it again"):
            ask()
    with pytest.raises(ClosedError):
        index.add([Document("a", "", "text")])
    index.close()


def test_what_indexes_of_one_folder_share_outlives_the_first(built: Index) -> None:
    one, other = (Index.open(built.path, encoder=built.encoder) for _ in range(2))
    assert one.dense is other.dense
    assert one.store is other.store
    one.close()
    assert other.store.passage(0).text


def test_an_index_that_was_changed_meanwhile_shares_only_what_is_the_same(built: Index) -> None:
    one = Index.open(built.path, encoder=built.encoder)
    one.add([Document("new", "New", "A new document.")])
    other = Index.open(built.path, encoder=built.encoder)
    assert other.parts.segments[0].store is one.parts.segments[0].store
    assert other.store.document("new").text == "A new document."
    one.compact()
    assert len(other) == len(one)
    assert Index.open(built.path, encoder=built.encoder).store is not other.store


def test_a_closed_agent_refuses_and_leaves_an_index_open_that_it_was_given(built: Index, tiny_run: Path) -> None:
    with SearchAgent(built, tiny_run) as agent:
        result = agent.search("Who directed the film?")
    again = SearchAgent(built, tiny_run).search("Who directed the film?")
    with pytest.raises(ClosedError, match="make another one"):
        agent.search("Who directed the film?")
    with pytest.raises(ClosedError, match="make another one"):
        agent.search_many(["Who directed the film?"])
    assert replace(result, milliseconds=0.0) == replace(again, milliseconds=0.0)


def test_a_result_keeps_what_it_has_not_computed_yet(built_in_index: Path) -> None:
    question = "Where was the director of the film born?"
    with SearchAgent(built_in_index) as agent:
        wanted = agent.search(question)
        assert wanted.answer is not None
        assert wanted.evidence[0].sentence is not None
        result = agent.search(question)
    with pytest.raises(ClosedError, match="was closed: open it again"):
        _ = agent.index.store
    assert replace(result, milliseconds=0.0) == replace(wanted, milliseconds=0.0)


def test_agents_of_one_process_share_encoder_index_and_network(built_in_index: Path) -> None:
    one, other = SearchAgent(built_in_index), SearchAgent(built_in_index)
    for agent in (one, other):
        agent.warm_up()
    assert one.index.encoder is other.index.encoder
    assert one.index.dense is other.index.dense
    assert one._system._scorer is other._system._scorer  # type: ignore[attr-defined]
    assert one._reader.value() is other._reader.value()


def test_closing_while_others_search_harms_no_search(built_in_index: Path) -> None:
    agent = SearchAgent(built_in_index, system="hybrid")
    agent.warm_up()

    def search(number: int) -> bool:
        try:
            return bool(agent.search(f"Who directed film {number}?").evidence)
        except ClosedError:
            return True
        finally:
            if number == 10:
                agent.close()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(search, range(60)))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux lists open files")
def test_opening_and_closing_again_and_again_leaves_nothing_behind(
    built: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.add([Document("new", "New", "A new document.")])  # two segments are linked in a temporary folder
    place = tmp_path / "copy.index"
    shutil.copytree(built.path, place)
    folders = []
    make = _links_folder._temporary_folder

    def made() -> Path:
        folders.append(make())
        return folders[-1]

    monkeypatch.setattr(_links_folder, "_temporary_folder", made)

    def use() -> None:
        with (
            Index.open(place, encoder=built.encoder, verify=False) as index,
            SearchAgent(index, system="hops") as agent,
        ):
            assert agent.search("Who directed the film?", 3).evidence

    use()
    gc.collect()  # what other tests left
    before = opened()
    for _ in range(25):
        use()
    assert opened() == before
    assert folders
    assert not [folder for folder in folders if folder.exists()]


@pytest.mark.parametrize("system", ["", "ppr"])
def test_after_warming_up_a_search_imports_nothing(built_in_index: Path, system: str) -> None:
    command = [sys.executable, "-c", WARM, str(built_in_index), system]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2"])
def test_a_number_of_threads_that_cannot_be_is_refused(built: Index, threads: int) -> None:
    with pytest.raises(PolicyError, match="threads: give a whole number, 1 or more"):
        SearchAgent(built, system="lexical", threads=threads)

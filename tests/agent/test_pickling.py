"""Agents, indexes and results pass between processes, and are copied."""

from __future__ import annotations

import copy
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document, Index, SearchAgent, SearchResult
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.vectors._encoder import MiniLMEncoder


@pytest.fixture(scope="module")
def agent(small_index: Index, tiny_run: Path) -> SearchAgent:
    return SearchAgent(small_index, tiny_run)


def essence(result: SearchResult) -> SearchResult:
    """Return everything but the time it took."""
    return replace(result, milliseconds=0.0)


@settings(max_examples=12)
@given(number=st.integers(0, 59), limit=st.integers(1, 30), protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_a_result_is_the_same_after_pickling_and_copying(
    agent: SearchAgent, encyclopedia: Encyclopedia, number: int, limit: int, protocol: int
) -> None:
    result = agent.search(encyclopedia.questions[number].text, limit)
    # Before anybody has looked at its answer and its sentences, which are computed then.
    assert pickle.loads(pickle.dumps(result, protocol)) == result
    assert copy.deepcopy(result) == result
    assert copy.copy(result) == result
    assert pickle.loads(pickle.dumps(result)).to_json() == result.to_json()


def test_an_agent_is_opened_again_by_its_arguments(
    small_index: Index, tiny_run: Path, encyclopedia: Encyclopedia, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_run.parent)
    relative = SearchAgent(small_index, tiny_run.name, system="exhaustive", threads=2)
    question = encyclopedia.questions[0].text
    pickled = pickle.dumps(relative)
    monkeypatch.chdir(os.sep)
    again = pickle.loads(pickled)
    assert again.answered_by == f"exhaustive search, ranked by the policy {tiny_run}"
    assert replace(essence(again.search(question)), answered_by="") == replace(
        essence(relative.search(question)), answered_by=""
    )
    assert pickle.loads(pickle.dumps(again)).answered_by == again.answered_by


def test_a_deep_copy_of_an_agent_is_the_agent(agent: SearchAgent) -> None:
    assert copy.deepcopy({"agent": agent})["agent"] is agent
    assert copy.deepcopy(agent.index) is agent.index


def test_an_index_is_opened_again_as_it_is_by_then(tmp_path: Path, hashing_encoder: Encoder) -> None:
    index = Index.build([Document("a", "Alpha", "The first letter.")], tmp_path / "x.index", encoder=hashing_encoder)
    pickled = pickle.dumps(index)
    index.add([Document("b", "Beta", "The second letter.")])
    again = pickle.loads(pickled)
    assert (again.path, len(again), again.encoder.name) == (index.path, 2, hashing_encoder.name)


def test_an_encoder_is_loaded_again() -> None:
    encoder = MiniLMEncoder(threads=1)
    again = pickle.loads(pickle.dumps(encoder))
    assert again.name == encoder.name
    assert (again.encode(["Verona"]) == encoder.encode(["Verona"])).all()

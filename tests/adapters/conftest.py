"""An agent over the small encyclopedia, and a library whose documents say when they are from and who may read them."""

from __future__ import annotations

import pytest
from trailhound import Document, Index, SearchAgent
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.retrievers.protocols import Encoder

LIBRARY = [
    Document(
        "guide/ferry.md", "The ferry", "The ferry to Torl leaves at nine.", "guide/ferry.md", metadata={"year": 2019}
    ),
    Document("guide/tide #2.md", "The tide", "The ferry waits for the tide at Torl.", metadata={"year": 2023}),
    Document("minutes", "Minutes", "The ferry will be sold in May.", metadata={"year": 2024, "access": ["board"]}),
]


@pytest.fixture(scope="session")
def agent(small_index: Index) -> SearchAgent:
    return SearchAgent(small_index)


@pytest.fixture(scope="session")
def question(encyclopedia: Encyclopedia) -> str:
    return encyclopedia.questions[0].text


@pytest.fixture(scope="session")
def library(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> SearchAgent:
    place = tmp_path_factory.mktemp("library") / "library.index"
    return SearchAgent(Index.build(LIBRARY, place, encoder=hashing_encoder))

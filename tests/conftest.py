"""What several rooms' tests stand on: a small encyclopedia, and an index of it with a fast stand-in encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.encoders import HashingEncoder, HashingTokens
from hypothesis import HealthCheck, settings
from trailhound.demo._encyclopedia import Encyclopedia, generate, write_beir
from trailhound.index.index import Index

# Nothing is timed: a busy machine takes as long as it takes.
settings.register_profile(
    "trailhound",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("trailhound")

pytest_plugins = [
    "fixtures.policy",
    "fixtures.postgres",
    "fixtures.ray_training",
    "fixtures.reading",
    "fixtures.router",
    "fixtures.searches",
]


@pytest.fixture(scope="session")
def hashing_encoder() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture(scope="session")
def encyclopedia() -> Encyclopedia:
    return generate(articles=150, questions=60, seed=3)


@pytest.fixture(scope="session")
def corpus_folder(encyclopedia: Encyclopedia, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder with the splits train, validation and dev."""
    folder = tmp_path_factory.mktemp("encyclopedia") / "corpus"
    write_beir(encyclopedia, folder)
    return folder


@pytest.fixture(scope="session")
def small_index(
    corpus_folder: Path, hashing_encoder: HashingEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Index:
    """An index of the encyclopedia, opened with the stand-in encoder; never changed by a test."""
    place = tmp_path_factory.mktemp("index") / "small.index"
    return Index.build([corpus_folder], place, encoder=hashing_encoder)


@pytest.fixture(scope="session")
def late_index(corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """The same index with word pieces; never changed by a test."""
    place = tmp_path_factory.mktemp("index") / "late.index"
    return Index.build([corpus_folder], place, encoder=HashingTokens())

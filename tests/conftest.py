"""What several rooms' tests stand on: a small encyclopedia, and an index of it with a fast stand-in encoder."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from trailhound.demo._encyclopedia import Encyclopedia, generate, write_beir
from trailhound.index.index import Index
from trailhound.retrievers.protocols import Progress, TokenVectors
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.words._terms import analyse

# Nothing is timed: a busy machine takes as long as it takes.
settings.register_profile(
    "trailhound",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("trailhound")

pytest_plugins = ["fixtures.policy", "fixtures.postgres", "fixtures.reading", "fixtures.router", "fixtures.searches"]


class HashingEncoder:
    """A real bag-of-words encoder by feature hashing: fast, deterministic, and close for texts that share words."""

    max_tokens = 100_000

    def __init__(self, dimension: int = 64) -> None:
        self.name = f"hashing-{dimension}"
        self.dimension = dimension
        self.encoded = 0

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for stem in analyse(text):
                code = zlib.crc32(stem.encode())
                vectors[row, code % self.dimension] += 1 if code >> 31 else -1
        self.encoded += len(texts)
        if progress is not None:
            progress("encoding passages", len(texts), len(texts))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class HashingTokens(HashingEncoder):
    """The stand-in encoder, with a vector for every word: that of the word alone."""

    def encode_with_pieces(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[Vectors, TokenVectors]:
        words = [analyse(text) for text in texts]
        offsets = np.cumsum([0, *map(len, words)]).astype(np.int64)
        codes = [zlib.crc32(stem.encode()) for stems in words for stem in stems]
        vectors = np.zeros((len(codes), self.dimension), np.float16)
        for row, code in enumerate(codes):
            vectors[row, code % self.dimension] = 1 if code >> 31 else -1
        return self.encode(texts, progress), TokenVectors(offsets, vectors)

    def piece_spans(self, text: str) -> NDArray[np.int64]:
        return spans_of_words(text)


def spans_of_words(text: str) -> NDArray[np.int64]:
    """Return where words stand that are analysed one by one; none where some are not."""
    found = [(match.span(), analyse(match[0])) for match in re.finditer(r"\w+", text)]
    spans = [span for span, stems in found for _ in stems]
    whole = analyse(text) == [stem for _, stems in found for stem in stems]
    return np.array(spans if whole else [], np.int64).reshape(-1, 2)


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

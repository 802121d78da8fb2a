"""A stand-in encoder of word pieces: a fixed random direction for every stem."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from trailhound.retrievers.protocols import Progress, TokenVectors
from trailhound.retrievers.words._terms import analyse


class WordVectors:
    """Equal stems have equal vectors; others are nearly at right angles."""

    name = "words"

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = dimension
        self.encoded = 0

    def encode_tokens(self, texts: Sequence[str], progress: Progress | None = None) -> TokenVectors:
        stems = [analyse(text)[:256] for text in texts]  # as the built-in encoder cuts texts
        self.encoded += len(texts)
        offsets = np.cumsum([0, *map(len, stems)]).astype(np.int64)
        rows = [direction(stem, self.dimension) for part in stems for stem in part]
        vectors = np.array(rows, np.float16).reshape(int(offsets[-1]), self.dimension)
        return TokenVectors(offsets, vectors)


@cache
def direction(stem: str, dimension: int) -> np.ndarray:
    vector = np.random.default_rng(zlib.crc32(stem.encode("utf-8", "surrogatepass"))).normal(size=dimension)
    return vector / np.linalg.norm(vector)


@pytest.fixture(scope="session")
def word_vectors() -> WordVectors:
    return WordVectors()

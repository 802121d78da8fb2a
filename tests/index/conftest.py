"""A stand-in encoder of texts and of their word pieces, whose tokens are words."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from trailhound import Index
from trailhound.retrievers.protocols import Progress, TokenVectors
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.words._terms import analyse


class WordEncoder:
    """A text is the sum of its stems' vectors, which are fixed random directions."""

    name = "words-32"
    dimension = 32
    max_tokens = 256

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.asked += texts
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for stem in analyse(text):
                vectors[row] += direction(stem, self.dimension)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))

    def encode_with_pieces(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[Vectors, TokenVectors]:
        stems = [analyse(text) for text in texts]
        offsets = np.cumsum([0, *map(len, stems)]).astype(np.int64)
        rows = [direction(stem, self.dimension) for part in stems for stem in part]
        pieces = np.array(rows, np.float16).reshape(int(offsets[-1]), self.dimension)
        return self.encode(texts, progress), TokenVectors(offsets, pieces)

    def piece_spans(self, text: str) -> NDArray[np.int64]:
        return np.zeros((0, 2), np.int64)

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@cache
def direction(stem: str, dimension: int) -> Vectors:
    vector = np.random.default_rng(zlib.crc32(stem.encode("utf-8", "surrogatepass"))).normal(size=dimension)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


@pytest.fixture
def word_encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture
def files_of() -> Callable[[Index], dict[str, Any]]:
    """Returns size and hash of each file of an index of one segment; tantivy's are left out: their names are random."""

    def listed(index: Index) -> dict[str, Any]:
        (entry,) = index.manifest["segments"]
        files = json.loads((index.path / "segments" / entry["name"] / "segment.json").read_text())["files"]
        return {name: value for name, value in files.items() if not name.startswith("lexical/")}

    return listed

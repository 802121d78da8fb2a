"""The seams: what a sub-index, an encoder and a re-ranker must offer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .records import Candidates, Hits, Passage, Query, SupportingSentence, Vectors

Progress = Callable[[str, int, int], None]
"""Called with (stage in words, done, total); the command line draws it, the library stays silent."""

READING = "reading files"
"""The stage in which the files of a corpus are read, whose rate the command line says."""


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into unit vectors whose inner product is their similarity."""

    name: str
    """Identifies the weights: two encoders with one name give equal vectors."""

    dimension: int

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into float32 [len(texts), dimension], rows of length 1.

        A text's vector does not depend on what it is encoded together with.

        Raises:
            EncoderError: when a vector is not finite.
        """
        ...


@runtime_checkable
class QueryEncoder(Protocol):
    """An encoder that reads a query otherwise than a passage, such as behind other words."""

    def encode_queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode queries; their inner products with what :meth:`Encoder.encode` makes of passages are similarities."""
        ...


def query_vectors(encoder: Encoder, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
    """Encode queries, float32 [len(texts), dimension]: in their own way where the encoder has one."""
    encode = encoder.encode_queries if isinstance(encoder, QueryEncoder) else encoder.encode
    return encode(texts, progress)


@runtime_checkable
class TokenCounter(Protocol):
    """An encoder that says how long a text is to it."""

    max_tokens: int
    """How many tokens of a text it reads, special ones included."""

    def count_tokens(self, text: str) -> int:
        """Return the tokens of ``text``, special ones left out, however many it reads."""
        ...


@runtime_checkable
class SubIndex(Protocol):
    """One way of finding passages."""

    @property
    def name(self) -> str:
        """What it is called, such as ``lexical``."""
        ...

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages, best first, ties by row; none is listed twice."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Scores again what a first stage found, and says which sentence of a passage supports the question best.

    Contract, held by ``tests/agent/test_reranker_contract.py``: neither depends on the order in which the
    candidates are given, and both are the same every time.
    """

    name: str

    def scores(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the new score of every candidate, finite float64 [n], higher is better."""
        ...

    def sentences(self, query: Query, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return the best sentence of every passage, [n]; None where a passage has none."""
        ...


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The vectors of texts, one after the other.

    Attributes:
        offsets: int64 [n+1]: those of text ``i`` are ``[offsets[i], offsets[i+1])``.
        vectors: float16 [t, d], rows of length 1 (three digits: more than codes of them keep).
    """

    offsets: NDArray[np.int64]
    vectors: NDArray[np.float16]

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def of(self, text: int) -> NDArray[np.float16]:
        """Return the vectors of one text, float16 [l, d]."""
        return self.vectors[self.offsets[text] : self.offsets[text + 1]]

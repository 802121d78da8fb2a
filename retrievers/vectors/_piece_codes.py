"""Codes of word pieces: the sign of every number of their vectors, after a random rotation.

Signs keep the angle between vectors (Charikar 2002, "Similarity estimation techniques from rounding algorithms"), and
the rotation lets every number say as much as any other. Only passages are rounded: a question's pieces stay as they
are. Nothing is learned, so codes fit every corpus, and those of any two indexes of one encoder are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..protocols import Encoder, Progress, TokenVectors, query_vectors
from ..records import Query, Rows, Vectors


@dataclass(frozen=True)
class CodedPieces:
    """The word pieces of some texts as they are kept, one text after the other.

    Attributes:
        counts: how many each text has, int64 [n].
        codes: uint8 [t, w].
    """

    counts: NDArray[np.int64]
    codes: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.counts)

    @classmethod
    def joined(cls, parts: Sequence[CodedPieces]) -> CodedPieces:
        """Put the texts of several, at least one, behind each other."""
        return cls(np.concatenate([part.counts for part in parts]), np.concatenate([part.codes for part in parts]))

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where the pieces of each text begin, and the number of pieces: int64 [n+1]."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)

    def of(self, text: int) -> NDArray[np.uint8]:
        """Return the codes of one text, uint8 [l, w]; a view, not a copy."""
        return self.codes[self.offsets[text] : self.offsets[text + 1]]

    def take(self, rows: Rows) -> CodedPieces:
        """Return some of the texts, in the order of ``rows``."""
        parts = [self.codes[:0], *(self.of(row) for row in rows.tolist())]
        return CodedPieces(self.counts[rows], np.concatenate(parts))


def width_of(dimension: int) -> int:
    """Return the bytes of a code."""
    return -(-dimension // 8)


@cache
def rotation(dimension: int) -> Vectors:
    """Return the rotation of vectors of a length, float32 [d, d]: always the same one."""
    drawn = np.random.default_rng(0).standard_normal((dimension, dimension))
    axes, triangle = np.linalg.qr(drawn)
    return np.asarray(axes * np.sign(np.diag(triangle)), np.float32)  # the one whose triangle has positive ends


def encode(texts: TokenVectors) -> CodedPieces:
    """Return the codes of the word pieces of texts."""
    turned = texts.vectors.astype(np.float32) @ rotation(texts.vectors.shape[1])
    return CodedPieces(np.diff(texts.offsets), np.packbits(turned > 0, axis=1))


def decode(codes: NDArray[np.uint8], dimension: int) -> Vectors:
    """Return what codes [t, w] say: unit vectors, float32 [t, d]."""
    signs = 2 * np.unpackbits(codes, axis=1, count=dimension).astype(np.float32) - 1
    return np.asarray(signs @ rotation(dimension).T / np.sqrt(np.float32(dimension)), np.float32)


class AskedPieces:
    """A question's word pieces, ready to be compared with codes.

    Args:
        pieces: unit vectors, float32 [l, d].
    """

    def __init__(self, pieces: Vectors) -> None:
        self._dimension = pieces.shape[1]
        turned = pieces @ rotation(self._dimension) / np.sqrt(np.float32(self._dimension))
        self._gain: Vectors = 2 * turned  # a bit is 0 or 1, a sign -1 or 1
        self._none: Vectors = turned.sum(axis=1, keepdims=True)

    def similarity(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the inner products with what codes [t, w] say, float32 [l, t]."""
        bits = np.unpackbits(codes, axis=1, count=self._dimension).astype(np.float32)
        found: NDArray[np.float32] = self._gain @ bits.T
        found -= self._none
        return found


@runtime_checkable
class PieceEncoder(Protocol):
    """An encoder that also gives a unit vector for every word piece of a text, in the same pass."""

    def encode_with_pieces(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[Vectors, TokenVectors]:
        """Return what :meth:`Encoder.encode` does, and the vectors of word pieces."""
        ...

    def piece_spans(self, text: str) -> NDArray[np.int64]:
        """Return where in a text the word pieces stand that have vectors, ``[start, end)`` each, int64 [l, 2].

        All of them, however long the text is; none where the text is changed before it is read.
        """
        ...


def queries_of(encoder: Encoder, texts: Sequence[str]) -> list[Query]:
    """Return texts as queries: with their vectors, and their word pieces where the encoder gives them."""
    if not texts:
        return []
    if not isinstance(encoder, PieceEncoder):
        vectors = query_vectors(encoder, texts)
        return [Query(text, vector) for text, vector in zip(texts, vectors, strict=True)]
    vectors, pieces = encoder.encode_with_pieces(texts)
    return [
        Query(text, vector, pieces.of(place).astype(np.float32))
        for place, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]

"""Shorter vectors of the same encoder: a linear map that is learned from the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ...errors import DamagedIndexError, EncoderError
from ..protocols import Encoder, Progress, TokenCounter
from ..records import Vectors
from .token_vectors import TokenEncoder, TokenVectors

PROJECTION = "projection.npy"

_SAMPLE = 1 << 16


def learn_projection(vectors: Vectors, dimension: int) -> Vectors:
    """Return the map to ``dimension`` numbers, float32 [d, dimension], that keeps inner products best.

    Its columns are the first eigenvectors of the vectors' second moments: of all maps of that rank the one that loses
    least of the inner products of vectors like these (Eckart and Young 1936). Nothing is subtracted: the mean says
    something to a question.

    Raises:
        EncoderError: when there are not as many numbers to begin with.
    """
    if not 0 < dimension < vectors.shape[1]:
        raise EncoderError(
            f"the encoder's vectors have {vectors.shape[1]} numbers and cannot be made shorter to {dimension}:"
            " choose a dimension below, or leave it out"
        )
    rows = np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]
    sample = vectors[np.sort(rows)].astype(np.float64)
    _, axes = np.linalg.eigh(sample.T @ sample)  # ascending
    first = axes[:, ::-1][:, :dimension]
    signs = np.sign(first[np.abs(first).argmax(axis=0), np.arange(dimension)])  # an eigenvector may point either way
    return np.ascontiguousarray(first * signs, np.float32)


class ProjectedEncoder:
    """An encoder whose vectors are made shorter; fulfils ``Encoder``.

    Args:
        encoder: the encoder.
        projection: float32 [d, dimension].
    """

    def __init__(self, encoder: Encoder, projection: Vectors) -> None:
        self._encoder = encoder
        self._projection = projection
        self.dimension = int(projection.shape[1])
        digest = blake2b(projection.tobytes(), digest_size=6).hexdigest()
        self.name = f"{encoder.name}/{self.dimension}@{digest}"

    @classmethod
    def over(cls, encoder: Encoder, projection: Vectors) -> ProjectedEncoder:
        """Return the encoder with a map that was read from an index.

        Raises:
            DamagedIndexError: when it is not a map of the encoder's vectors.
        """
        if projection.ndim != 2 or projection.dtype != np.float32 or len(projection) != encoder.dimension:
            raise DamagedIndexError(
                f"{PROJECTION} is {projection.dtype} {projection.shape}, not float32 [{encoder.dimension}, n]:"
                " build the index again"
            )
        return cls(encoder, projection)

    def save(self, folder: Path) -> None:
        """Write the map into ``folder``, which is there."""
        np.save(folder / PROJECTION, self._projection, allow_pickle=False)

    def shortened(self, vectors: Vectors) -> Vectors:
        """Return the short ones of the encoder's vectors [n, d], float32 [n, dimension], rows of length 1.

        Every row is mapped alone: beside others a matrix product may round it differently.
        """
        short = np.zeros((len(vectors), self.dimension), np.float32)
        for row, vector in enumerate(vectors):
            short[row] = vector @ self._projection
        short /= np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-12)
        return short

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, dimension]."""
        return self.shortened(self._encoder.encode(texts, progress))

    def encode_tokens(self, texts: Sequence[str], progress: Progress | None = None) -> TokenVectors:
        """Encode word pieces as the encoder does: they are not made shorter.

        Raises:
            EncoderError: when the encoder has no vectors of word pieces.
        """
        if not isinstance(self._encoder, TokenEncoder):
            raise EncoderError(f"{self._encoder.name} gives no vectors of word pieces")
        return self._encoder.encode_tokens(texts, progress)

    @property
    def max_tokens(self) -> int:
        """How many tokens of a text the encoder reads.

        Raises:
            EncoderError: when it does not count tokens.
        """
        return self._counter.max_tokens

    def count_tokens(self, text: str) -> int:
        """Return the tokens of ``text`` as the encoder counts them.

        Raises:
            EncoderError: when it does not count tokens.
        """
        return self._counter.count_tokens(text)

    @property
    def _counter(self) -> TokenCounter:
        if not isinstance(self._encoder, TokenCounter):
            raise EncoderError(f"{self._encoder.name} has no count_tokens and max_tokens: give a budget in words")
        return self._encoder

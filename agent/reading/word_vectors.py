"""Vectors of word pieces without context: MiniLM's input embeddings, rotated to fewer dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...retrievers.records import Vectors
from ...retrievers.vectors.minilm import model_folder

DIMENSION = 96
_TABLE = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text cut into word pieces.

    Attributes:
        starts, ends: int64 [n], characters of each piece.
        vectors: float32 [n, DIMENSION].
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    vectors: Vectors

    def within(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the pieces ``[first, last)`` that lie in each ``[start, end)`` of the text, int64 [s] both."""
        return np.searchsorted(self.starts, start), np.searchsorted(self.starts, end)


class WordVectors:
    """Cuts texts into word pieces and looks up their vectors.

    The 384 dimensions of the embeddings of all-MiniLM-L6-v2 are rotated onto their ``DIMENSION`` principal axes and
    scaled to a mean square of 1, so nothing but the encoder's own weights is needed, and the same weights give the
    same vectors up to rounding.
    """

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        folder = model_folder()
        table = load_file(folder / "model.safetensors")[_TABLE].astype(np.float32)  # [v, 384]
        table -= table.mean(axis=0)
        _, axes = np.linalg.eigh(table.T.astype(np.float64) @ table)  # ascending
        axes = axes[:, ::-1][:, :DIMENSION]
        axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(DIMENSION)])  # an axis has no sign of its own
        reduced = table @ axes.astype(np.float32)
        self._table: Vectors = reduced / np.sqrt((reduced**2).mean())
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def cut(self, text: str) -> Pieces:
        """Cut a text into word pieces."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        return Pieces(offsets[:, 0], offsets[:, 1], self._table[encoding.ids])

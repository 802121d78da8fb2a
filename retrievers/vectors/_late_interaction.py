"""Late interaction: every word piece of a question finds the piece of a passage that fits it best.

Khattab and Zaharia 2020, "ColBERT" (arXiv:2004.12832): the greatest inner products ("MaxSim") of a question's word
pieces with those of a passage; here their mean, so that scores of long and short questions are on one scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, EncoderError
from .._atomic_file import map_array
from ..records import Rows, Vectors
from ._piece_codes import AskedPieces, CodedPieces, width_of

PIECES = "pieces"
"""Name of the folder."""

CODES = "codes.npy"
_COUNTS = "counts.npy"

LOWEST = np.float32(-1)
"""The score of a passage without a word piece: as if everything in it were opposite to the question."""

_TOGETHER = 1024
"""Word pieces that are compared together: their numbers stay in the processor's cache."""


class PieceIndex:
    """The word pieces of passages, which are compared where they lie on the disk. Threads may share one.

    Args:
        folder: what :meth:`write` wrote.

    Attributes:
        coded: the word pieces of all passages.

    Raises:
        DamagedIndexError: when the files cannot be read or do not belong together.
    """

    def __init__(self, folder: Path) -> None:
        counts, codes = (np.asarray(map_array(folder / name)) for name in (_COUNTS, CODES))
        right = counts.ndim == 1 and counts.dtype == np.int64 and codes.ndim == 2 and codes.dtype == np.uint8
        if not right or len(codes) != int(counts.sum()):
            raise DamagedIndexError(f"the files of {folder} do not belong together: build the index again")
        self.coded = CodedPieces(counts, codes)

    @classmethod
    def write(cls, folder: Path, coded: CodedPieces) -> None:
        """Write the codes of passages in row order into ``folder``, which is made."""
        folder.mkdir(parents=True)
        np.save(folder / _COUNTS, coded.counts, allow_pickle=False)
        np.save(folder / CODES, coded.codes, allow_pickle=False)

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.coded)

    def codes(self, rows: Rows) -> list[NDArray[np.uint8]]:
        """Return the codes of the word pieces of passages, uint8 [t, w] each."""
        return [self.coded.of(row).copy() for row in rows.tolist()]

    def score(self, pieces: Vectors, rows: Rows) -> NDArray[np.float32]:
        """Return the mean over a question's word pieces of the best of each passage's, float32 [l, d] -> float32 [n].

        A passage without word pieces has the lowest score, and so have all for a question without any.

        Raises:
            EncoderError: when the pieces have another length than those that were coded.
        """
        scores = np.full(len(rows), LOWEST, np.float32)
        full = np.flatnonzero(self.coded.counts[rows])
        if not len(pieces) or not len(full):
            return scores
        if width_of(pieces.shape[1]) != self.coded.codes.shape[1]:
            raise EncoderError(
                f"the question's word pieces have {pieces.shape[1]} numbers, and those of the index"
                f" {8 * self.coded.codes.shape[1]}: ask with the encoder that it was built with"
            )
        asked = AskedPieces(pieces)
        begins, counts = self.coded.offsets[rows[full]], self.coded.counts[rows[full]]
        for some in _blocks(counts):
            parts = zip(begins[some].tolist(), counts[some].tolist(), strict=True)
            codes = np.concatenate([self.coded.codes[begin : begin + count] for begin, count in parts])
            starts = np.cumsum(counts[some]) - counts[some]
            best = np.maximum.reduceat(asked.similarity(codes), starts, axis=1)  # [l, t] -> [l, passages]
            scores[full[some]] = best.mean(axis=0)
        return scores


def _blocks(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Iterate over passages in blocks that are compared together, by how many word pieces they have."""
    first, held = 0, 0
    for place, count in enumerate(counts.tolist()):
        if place > first and held + count > _TOGETHER:
            yield slice(first, place)
            first, held = place, 0
        held += count
    yield slice(first, len(counts))

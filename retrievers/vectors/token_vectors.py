"""Vectors of single word pieces: what late interaction compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..protocols import Progress

Offsets = NDArray[np.int64]
"""Where each text's vectors begin, [n+1]: those of text ``i`` are ``[offsets[i], offsets[i+1])``."""


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The vectors of texts, one after the other.

    Attributes:
        offsets: int64 [n+1].
        vectors: float16 [t, d], rows of length 1 (three digits: more than late interaction can tell apart).
    """

    offsets: Offsets
    vectors: NDArray[np.float16]

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.offsets) - 1

    def of(self, text: int) -> NDArray[np.float16]:
        """Return the vectors of one text, float16 [l, d]."""
        return self.vectors[self.offsets[text] : self.offsets[text + 1]]


@runtime_checkable
class TokenEncoder(Protocol):
    """Turns texts into unit vectors of their word pieces."""

    name: str

    def encode_tokens(self, texts: Sequence[str], progress: Progress | None = None) -> TokenVectors:
        """Encode ``texts``; a text's vectors do not depend on what it is encoded together with."""
        ...

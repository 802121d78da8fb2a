"""How far an index with changes, and recent questions, lie from its base and from what was trained on that.

Every measure is from 0 (nothing has moved) to 1. None says that anything is wrong: they say when to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..retrievers.records import Rows, Vectors
from ..retrievers.words._terms import TermHashes, term_hashes
from .index import Index

ORDINARY = 0.95
"""Share of the base's passages whose likeness to others counts as ordinary."""

_SAMPLE = 1000
"""Passages of the base that stand for all of it."""

_LOOKED_AT = 10
"""Results of each sub-index that are looked at for each question."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far an index has moved from its base; every measure from 0 to 1.

    Attributes:
        unknown_terms: share of the terms of new passages that the base does not have.
        centroid_shift: of the vectors of new passages.
        outlying: share of new passages that are less like any of the base than 95 % of its own are.
        question_unknown_terms: share of the terms of recent questions that the base does not have.
        unseen: share of new passages among the top results of recent questions.
    """

    unknown_terms: float
    centroid_shift: float
    outlying: float
    question_unknown_terms: float | None = None
    unseen: float | None = None


def measure_drift(index: Index, questions: Sequence[str] = ()) -> Drift:
    """Measure how far the passages that were added, and recent questions, lie from the base.

    Args:
        index: the index; without changes nothing has moved.
        questions: recent ones; without them what is said of questions is None.
    """
    with index.snapshot():
        parts = index.parts
        if not parts.changed:
            return Drift(0.0, 0.0, 0.0)
        rows, base = index.store.rows(), len(parts.base)
        new, old = rows[rows >= base], rows[rows < base]
        old = old[np.unique(np.linspace(0, len(old) - 1, min(_SAMPLE, len(old))).astype(np.int64))]
        vectors, base_vectors = index.dense.reconstruct(new), index.dense.reconstruct(old)
        frequency = parts.base.terms.document_frequency
        drift = (
            unknown_terms([index.terms.terms(int(row)) for row in new], frequency),
            centroid_shift(base_vectors, vectors),
            outlying_share(base_vectors, vectors),
        )
        if not questions:
            return Drift(*drift)
        asked = [index.query(question) for question in questions]
        found = [part.search(query, _LOOKED_AT).rows for query in asked for part in (parts.lexical, parts.dense)]
        words = [term_hashes(question) for question in questions]
        return Drift(*drift, unknown_terms(words, frequency), unseen_share(found, base))


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

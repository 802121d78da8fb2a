"""The drift of an index with changes from its base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..retrievers.changing.drift import centroid_shift, outlying_share, unknown_terms, unseen_share
from ..retrievers.words.terms import term_hashes
from .index import Index
from .parts import LiveParts

_SAMPLE = 1000
"""Passages of the base that stand for all of it."""

_LOOKED_AT = 10
"""Results of each sub-index that are looked at for each question."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far an index has moved from its base; every measure from 0 to 1, see :mod:`..retrievers.changing.drift`.

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
        if not isinstance(parts, LiveParts):
            return Drift(0.0, 0.0, 0.0)
        rows = index.store.rows()
        new, old = rows[rows >= parts.base_rows], rows[rows < parts.base_rows]
        old = old[np.unique(np.linspace(0, len(old) - 1, min(_SAMPLE, len(old))).astype(np.int64))]
        vectors, base_vectors = index.dense.reconstruct(new), index.dense.reconstruct(old)
        frequency = parts.terms.base_frequency
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
        return Drift(*drift, unknown_terms(words, frequency), unseen_share(found, parts.base_rows))

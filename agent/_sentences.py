"""Finds the sentence of a passage that answers a question best: by the question's words, and by its vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..index._searchable import Searchable
from ..retrievers.protocols import Encoder
from ..retrievers.records import Passage, SupportingSentence, Vectors
from ..retrievers.words._terms import among, term_hashes

COMPARED = 3
"""Passages, the first ones, whose sentences are compared by their vectors too: encoding is what costs."""

CANDIDATES = 3
"""Sentences of each of them that are encoded: those with most of the question's words."""


class SupportingSentences:
    """Seeks the sentences that support a question, as the index weighs its words now.

    Args:
        index: that was searched; it may be closed before the sentences are sought.
        question: as it is read.
        vector: of the question, float32 [d]: sentences are compared with it too; None for a search that has none.
    """

    def __init__(self, index: Searchable, question: str, vector: Vectors | None) -> None:
        self._encoder: Encoder | None = None if vector is None else index.encoder
        self._vector = vector
        self._terms = term_hashes(question)
        idf = index.terms.idf(self._terms)
        self._weights = idf / max(float(idf.sum()), 1e-9)

    def best(self, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return for each passage, best first, the sentence that agrees best with the question; None without any.

        A sentence scores the share of the question's terms, weighed by their idf, that it has, 0 to 1. In the first
        ``COMPARED`` passages the cosine of the sentence with the question is added, so that these rank before the
        rest; not without a vector.
        """
        found = [_scored(passage, self._terms, self._weights) for passage in passages]
        compared = [sorted(mine, key=lambda one: -one.score)[:CANDIDATES] for mine in found[:COMPARED]]
        texts = [
            passage.text[one.start : one.end] for passage, mine in zip(passages, compared, strict=False) for one in mine
        ]
        if texts and self._encoder is not None and self._vector is not None:
            cosines = iter((self._encoder.encode(texts) @ self._vector).tolist())
            found[:COMPARED] = [[_raised(one, next(cosines)) for one in mine] for mine in compared]
        return [max(mine, key=lambda one: one.score, default=None) for mine in found]


def _scored(passage: Passage, terms: np.ndarray, weights: np.ndarray) -> list[SupportingSentence]:
    """Return every sentence of a passage with the share of the question's terms that it has."""
    scored = []
    for start, end in passage.sentences:
        text = passage.text[start:end]
        start += len(text) - len(text.lstrip())
        end -= len(text) - len(text.rstrip())
        if start < end and (not text.lstrip().startswith("#") or len(passage.sentences) == 1):  # a heading says little
            share = float(weights[among(terms, term_hashes(text))].sum())
            scored.append(SupportingSentence(start, end, passage.start + start, passage.start + end, share))
    return scored


def _raised(sentence: SupportingSentence, more: float) -> SupportingSentence:
    start, end, first, last = sentence.start, sentence.end, sentence.document_start, sentence.document_end
    return SupportingSentence(start, end, first, last, sentence.score + more)

"""Finds the sentence of a passage that answers a question best: by the question's words, and by its word pieces.

The word pieces of a sentence are those that the index keeps of its passage, so nothing is encoded; without any the
vector of the sentence is compared instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..index._searchable import Searchable
from ..retrievers.protocols import Encoder
from ..retrievers.records import Passage, Query, Rows, SupportingSentence
from ..retrievers.vectors._late_interaction import LOWEST
from ..retrievers.vectors._piece_codes import AskedPieces, PieceEncoder
from ..retrievers.words._terms import among, term_hashes

COMPARED = 3
"""Passages, the first ones, whose sentences are compared with the question by more than words."""

CANDIDATES = 3
"""Sentences of each of them that are: those with most of the question's words."""


class SupportingSentences:
    """Seeks the sentences that support a question, as the index weighs its words now.

    Args:
        index: that was searched; it may be closed before the sentences are sought.
        question: as it is read.
        query: the question as it was encoded, with which sentences are compared too; None for a search by words.
        rows: of the passages whose sentences are to be sought, best first.
    """

    def __init__(self, index: Searchable, question: str, query: Query | None, rows: Rows) -> None:
        self._encoder: Encoder | None = None if query is None else index.encoder
        self._vector = None if query is None else query.vector
        self._asked, self._codes = None, list[NDArray[np.uint8]]()
        pieces = None if query is None else query.pieces
        if pieces is not None and len(pieces) and index.pieces is not None:
            self._asked, self._codes = AskedPieces(pieces), index.pieces.codes(rows[:COMPARED])
        self._terms = term_hashes(question)
        idf = index.terms.idf(self._terms)
        self._weights = idf / max(float(idf.sum()), 1e-9)

    def best(self, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return for each passage, best first, the sentence that agrees best with the question; None without any.

        A sentence scores the share of the question's terms, weighed by their idf, that it has, 0 to 1. In the first
        ``COMPARED`` passages the mean over the question's word pieces of the most similar one of the sentence is added,
        or without kept word pieces the cosine of its vector with the question's, so that these rank before the rest;
        nothing without a vector.
        """
        found = [_scored(passage, self._terms, self._weights) for passage in passages]
        for place, passage in enumerate(passages[:COMPARED]):
            first = sorted(found[place], key=lambda one: -one.score)[:CANDIDATES]
            more = self._more(passage, first, place)
            if more is not None:
                found[place] = [_raised(one, value) for one, value in zip(first, more, strict=True)]
        return [max(mine, key=lambda one: one.score, default=None) for mine in found]

    def _more(self, passage: Passage, sentences: Sequence[SupportingSentence], place: int) -> list[float] | None:
        """Return how like the question some sentences of a passage are; None where that is not known."""
        if not sentences or self._encoder is None or self._vector is None:
            return None
        if self._asked is not None and isinstance(self._encoder, PieceEncoder):
            spans, codes = self._encoder.piece_spans(passage.text), self._codes[place]
            if 0 < len(spans) <= len(codes):  # what stands before a text, such as its title, has pieces too
                return _by_pieces(sentences, spans, self._asked.similarity(codes[-len(spans) :]))
        vectors = self._encoder.encode([passage.text[one.start : one.end] for one in sentences])
        found: list[float] = (vectors @ self._vector).tolist()
        return found


def _by_pieces(
    sentences: Sequence[SupportingSentence], spans: NDArray[np.int64], alike: NDArray[np.float32]
) -> list[float]:
    """Return the mean over the question's word pieces of the most similar one of each sentence.

    Args:
        sentences: of a passage.
        spans: where its word pieces stand, int64 [t, 2].
        alike: inner products of the question's word pieces with them, float32 [l, t].
    """
    within = [(spans[:, 0] >= one.start) & (spans[:, 1] <= one.end) for one in sentences]
    return [float(alike[:, mine].max(axis=1).mean()) if mine.any() else float(LOWEST) for mine in within]


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

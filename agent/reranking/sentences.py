"""The sentence of a passage that supports a question best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...envs.question_view import QuestionView
from ...index.index import Index
from ...retrievers.records import Passage, Query, SupportingSentence
from ...retrievers.vectors.encoder import embedding_text
from ...retrievers.words.terms import term_hashes

Judge = Callable[[list[str], list[str]], NDArray[np.float64]]
"""Scores sentences, [m]; is given them, and the same with the title of their passage before them."""


def best_sentences(passages: Sequence[Passage], judge: Judge) -> list[SupportingSentence | None]:
    """Return the best sentence of every passage by ``judge``, the first of equals; None where there is none."""
    spans = [passage.sentences for passage in passages]
    texts = [p.text[start:end] for p, own in zip(passages, spans, strict=True) for start, end in own]
    titles = [p.title for p, own in zip(passages, spans, strict=True) for _ in own]
    if not texts:
        return [None] * len(passages)
    titled = [embedding_text(title, text) for title, text in zip(titles, texts, strict=True)]
    parts = np.split(judge(texts, titled), np.cumsum([len(own) for own in spans])[:-1])
    return [_best(passage, own, scores) for passage, own, scores in zip(passages, spans, parts, strict=True)]


def _best(passage: Passage, spans: Sequence[tuple[int, int]], scores: NDArray[np.float64]) -> SupportingSentence | None:
    if not spans:
        return None
    best = int(scores.argmax())
    start, end = spans[best]
    return SupportingSentence(start, end, passage.start + start, passage.start + end, float(scores[best]))


def agreeing_sentences(index: Index, query: Query, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
    """Return the sentence of every passage that agrees most with a question.

    The score is the weighted share of the question's terms that the sentence has, plus the cosine of both: that is
    how much it says of what was asked, by its words and by its meaning, each at most 1.
    """
    view = QuestionView.of(index, query.text, query.vector)

    def agreement(texts: list[str], titled: list[str]) -> NDArray[np.float64]:
        words = np.array([view.agreement(term_hashes(text)) for text in texts], np.float64)
        vectors = index.encoder.encode(titled)
        scores: NDArray[np.float64] = words + np.einsum("nd,d->n", vectors, view.vector)
        return scores

    return best_sentences(passages, agreement)

"""A question as the features see it: its vector, its weighted terms, the titles it names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..index.index import Index
from ..retrievers.records import Rows, Vectors
from ..retrievers.words.terms import among, term_hashes
from .settings import STATIC


def similarity(index: Index, rows: Rows, vector: Vectors) -> NDArray[np.float32]:
    """Return the inner product of each row's vector with ``vector`` [d], float32 [n].

    A matrix product may round a row differently when other rows are beside it; einsum sums each row alone, which
    is what makes a resumed training equal to one that was not interrupted.
    """
    return np.asarray(np.einsum("nd,d->n", index.dense.reconstruct(rows), vector), np.float32)


_NAMED = slice(STATIC.index("named_exactly"), STATIC.index("named_position") + 1)


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question, analysed once.

    Attributes:
        text: the question.
        vector: float32 [d].
        hop_vector: float32 [d], by the tuned hop encoder; ``vector`` where there is none.
        terms: uint32 [t], its analysed terms, sorted.
        weights: float32 [t], their idf, scaled to sum to 1.
        named: row -> the features ``named_exactly .. named_position``, float32 [5], of the titles it names.
    """

    text: str
    vector: Vectors
    hop_vector: Vectors
    terms: NDArray[np.uint32]
    weights: NDArray[np.float32]
    named: dict[int, NDArray[np.float32]]

    @classmethod
    def of(
        cls, index: Index, text: str, vector: Vectors | None = None, hop_vector: Vectors | None = None
    ) -> QuestionView:
        """Analyse ``text`` over ``index``; encodes it unless its vector is given."""
        if vector is None:
            vector = index.encoder.encode([text])[0]
        if hop_vector is None:
            hop_vector = vector
        terms = term_hashes(text)
        idf = index.terms.idf(terms)
        return cls(text, vector, hop_vector, terms, idf / max(float(idf.sum()), 1e-9), _named_titles(index, text))

    def agreement(self, terms: NDArray[np.uint32]) -> float:
        """Return the weighted share of the question's terms that are among ``terms``, sorted."""
        return float(self.weights[among(self.terms, terms)].sum())

    def static_features(self, index: Index, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the static features float32 [n, len(STATIC)] and the term hits float32 [n, t] of ``rows``.

        A hit holds the term's weight where the passage has it, else 0.
        """
        passages = index.store.passages(rows.tolist())
        features = np.zeros((len(rows), len(STATIC)), np.float32)
        hits = np.zeros((len(rows), len(self.terms)), np.float32)
        features[:, 0] = similarity(index, rows, self.vector)
        features[:, 13] = similarity(index, rows, self.hop_vector)
        features[:, 9] = np.log1p(index.graph.in_degree[rows]) / 4
        features[:, 10] = np.log1p(index.graph.out_degree[rows]) / 4
        terms, owner = index.terms.terms_of(rows)
        asked = among(terms, self.terms)
        place = np.searchsorted(self.terms, terms[asked])
        hits[owner[asked], place] = self.weights[place]
        for k, (row, passage) in enumerate(zip(rows.tolist(), passages, strict=True)):
            features[k, 11] = np.log1p(passage.text.count(" ") + 1) / 6
            if passage.title:
                title = term_hashes(passage.title)
                title_idf = index.terms.idf(title)
                inside = among(title, self.terms)
                features[k, 2] = title_idf[inside].sum() / max(float(title_idf.sum()), 1e-9)
                features[k, 3] = self.agreement(title)
                features[k, 12] = 1
            if row in self.named:
                features[k, _NAMED] = self.named[row]
        features[:, 1] = hits.sum(axis=1)
        return features, hits


def _named_titles(index: Index, text: str) -> dict[int, NDArray[np.float32]]:
    """Find the titles that ``text`` names; the most specific mention of each row counts."""
    named: dict[int, NDArray[np.float32]] = {}
    size = max(len(text), 1)
    for mention in index.titles.find_in_question(text):
        share = (mention.end - mention.start) / size
        alias = float(mention.kind == "alias")
        values = np.array([mention.exact, 1 - alias, alias, share, mention.start / size], np.float32)
        for row in mention.rows:
            before = named.get(row)
            if before is None or (values[0], values[3]) > (before[0], before[3]):
                named[row] = values
    return named

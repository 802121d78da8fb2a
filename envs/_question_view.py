"""A question as the features see it: its vector, its weighted terms, the titles it names."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..index._searchable import Searchable
from ..retrievers.records import Query, Rows, Vectors
from ..retrievers.words._terms import among, term_hashes
from .settings import QUESTION_WORDS

_ASKING = QUESTION_WORDS[:9]
_CODE = re.compile(r"\w[_./:\\()=<>-]+\w|\w\(|[A-Za-z]\d|\d[A-Za-z]|[a-z][A-Z]")


def question_form(text: str, named: int) -> NDArray[np.float32]:
    """Return what kind of question ``text`` is, which names so many passages: float32 [len(QUESTION)]."""
    said = text.split()
    plain = [word.strip(".,;:!?()[]\"'").lower() for word in said]
    words = set(plain)
    form = [float(word in words) for word in QUESTION_WORDS]
    form += [
        float(bool(plain) and plain[0] in _ASKING),
        float("?" in text),
        np.log1p(len(said)) / 4,
        np.log1p(sum(word[:1].isupper() for word in said[1:])) / 3,
        np.log1p(sum(any(map(str.isdigit, word)) for word in said)) / 3,
        float(_CODE.search(text) is not None),
        np.log1p(named) / 3,
    ]
    return np.array(form, np.float32).clip(max=1)


@dataclass(frozen=True, slots=True)
class QuestionView:
    """A question, analysed once.

    Attributes:
        text: the question.
        vector: float32 [d].
        terms: uint32 [t], its analysed terms, sorted.
        weights: float32 [t], their idf, scaled to sum to 1.
        named: row -> the features ``named_exactly .. named_position``, float32 [5], of the titles it names.
        form: float32 [len(QUESTION)], what kind of question it is.
        pieces: vectors of its word pieces, float32 [l, d]; None where they were not encoded with it.
    """

    text: str
    vector: Vectors
    terms: NDArray[np.uint32]
    weights: NDArray[np.float32]
    named: dict[int, NDArray[np.float32]]
    form: NDArray[np.float32]
    pieces: Vectors | None = None

    @classmethod
    def of(cls, index: Searchable, text: str, vector: Vectors | None = None) -> QuestionView:
        """Analyse ``text`` over ``index``; encodes it unless its vector is given."""
        return cls.of_query(index, index.query(text) if vector is None else Query(text, vector))

    @classmethod
    def of_query(cls, index: Searchable, query: Query) -> QuestionView:
        """Analyse a question that is encoded already."""
        assert query.vector is not None  # an index's query has one
        terms = term_hashes(query.text)
        idf = index.terms.idf(terms)
        named = _named_titles(index, query.text)
        weights = idf / max(float(idf.sum()), 1e-9)
        form = question_form(query.text, len(named))
        return cls(query.text, query.vector, terms, weights, named, form, query.pieces)

    def agreement(self, terms: NDArray[np.uint32]) -> float:
        """Return the weighted share of the question's terms that are among ``terms``, sorted."""
        return float(self.weights[among(self.terms, terms)].sum())

    def coverage(self, index: Searchable, rows: Rows) -> NDArray[np.float32]:
        """Return the weighted share of the question's terms that each row has, float32 [n]."""
        terms, owner = index.terms.terms_of(rows)
        asked = among(terms, self.terms)
        place = np.searchsorted(self.terms, terms[asked])
        return np.bincount(owner[asked], self.weights[place], len(rows)).astype(np.float32)


def _named_titles(index: Searchable, text: str) -> dict[int, NDArray[np.float32]]:
    """Find what ``text`` names by title or identifier; the most specific mention of each row counts."""
    named: dict[int, NDArray[np.float32]] = {}
    size = max(len(text), 1)
    for mention in index.entity.mentions(text):
        share = (mention.end - mention.start) / size
        alias = float(mention.kind == "alias")
        values = np.array([mention.exact, 1 - alias, alias, share, mention.start / size], np.float32)
        for row in mention.rows:
            before = named.get(row)
            if before is None or (values[0], values[3]) > (before[0], before[3]):
                named[row] = values
    return named

"""A question as the features see it: its vector, its weighted terms, the titles it names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph._knowledge_graph import GROUPS, Relation
from ..index._searchable import Searchable
from ..retrievers.records import Query, Rows, Vectors
from ..retrievers.words._terms import among, term_hashes, title_hashes
from .settings import PAIR, QUESTION_WORDS, STATIC


def similarity(index: Searchable, rows: Rows, vector: Vectors) -> NDArray[np.float32]:
    """Return the inner product of each row's vector with ``vector`` [d], float32 [n].

    A matrix product may round a row differently when other rows are beside it; einsum sums each row alone, which
    is what makes a resumed training equal to one that was not interrupted.
    """
    return np.asarray(np.einsum("nd,d->n", index.dense.reconstruct(rows), vector), np.float32)


_SCALE = 4.0


def standardised(index: Searchable, rows: Rows, vector: Vectors) -> NDArray[np.float32]:
    """Return how far each row's cosine with ``vector`` [d] stands above those of the corpus, float32 [n].

    In standard deviations, divided by 4. So encoders whose cosines lie close together say the same as those that spread
    them.
    """
    usual, deviation = index.sample.spread(vector)
    return (similarity(index, rows, vector) - usual) / (_SCALE * deviation)


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


_NAMED = slice(STATIC.index("named_exactly"), STATIC.index("named_position") + 1)


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

    def static_features(self, index: Searchable, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the static features float32 [n, len(STATIC)] and the term hits float32 [n, t] of ``rows``.

        A hit holds the term's weight where the passage has it, else 0.
        """
        passages = index.store.passages(rows.tolist())
        features = np.zeros((len(rows), len(STATIC)), np.float32)
        hits = np.zeros((len(rows), len(self.terms)), np.float32)
        features[:, 0] = standardised(index, rows, self.vector)
        features[:, 9] = np.log1p(index.graph.in_degree[rows]) / 4
        features[:, 10] = np.log1p(index.graph.out_degree[rows]) / 4
        terms, owner = index.terms.terms_of(rows)
        asked = among(terms, self.terms)
        place = np.searchsorted(self.terms, terms[asked])
        hits[owner[asked], place] = self.weights[place]
        features[:, 11] = np.log1p([passage.text.count(" ") + 1 for passage in passages]) / 6
        features[:, 12] = [bool(passage.title) for passage in passages]
        features[:, 2], features[:, 3] = self._title_agreement(index, [passage.title for passage in passages])
        if self.named:
            for k, row in enumerate(rows.tolist()):
                if row in self.named:
                    features[k, _NAMED] = self.named[row]
        features[:, 1] = hits.sum(axis=1)
        return features, hits

    def _title_agreement(
        self, index: Searchable, titles: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the idf-weighted shares of each title's terms in the question, and of the question's in the title."""
        each = [title_hashes(title) for title in titles]
        owner = np.repeat(np.arange(len(each)), [len(hashes) for hashes in each])
        terms = np.concatenate([np.zeros(0, np.uint32), *each])
        idf = index.terms.idf(terms)
        inside = among(terms, self.terms)
        shared = np.bincount(owner, idf * inside, len(each)) / np.maximum(np.bincount(owner, idf, len(each)), 1e-9)
        weights = self.weights[np.searchsorted(self.terms, terms[inside])]
        return shared, np.bincount(owner[inside], weights, len(each)).astype(np.float64)


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


_AT = {name: k for k, name in enumerate(PAIR)}
_MENTIONED = [_AT["mention_position"], _AT["mention_agreement"]]
_MENTIONS = [_AT["mentions_position"], _AT["mentions_agreement"]]


@dataclass(slots=True)
class _Beside:
    """The pair features of one evidence, filled for the first ``done`` places in view."""

    values: NDArray[np.float32]
    done: int
    links: dict[str, dict[int, list[tuple[int, int]]]]
    terms: NDArray[np.uint32]
    idf: NDArray[np.float32]


class PairFeatures:
    """Pair features of one question's passages, computed once per (evidence, candidate)."""

    def __init__(self, index: Searchable, view: QuestionView) -> None:
        self._index = index
        self._view = view
        self._beside: dict[int, _Beside] = {}
        self._mentions: dict[tuple[int, int], tuple[float, float]] = {}
        self._weights = np.zeros(0)
        """Summed idf of the terms of each place in view, float64 [n]."""

    def beside(self, evidence: int, rows: Rows) -> NDArray[np.float32]:
        """Return the features of ``rows`` beside the evidence at place ``evidence``, float32 [n, len(PAIR)]."""
        row = int(rows[evidence])
        known = self._beside.get(evidence)
        if known is None:
            values = np.zeros((len(rows), len(PAIR)), np.float32)
            terms = self._index.terms.terms(row)
            known = _Beside(values, 0, self._links(row), terms, self._index.terms.idf(terms))
            self._beside[evidence] = known
        if known.done < len(rows):
            if len(known.values) < len(rows):
                grown = np.zeros((max(len(rows), 2 * len(known.values)), len(PAIR)), np.float32)
                grown[: known.done] = known.values[: known.done]
                known.values = grown
            self._fill(known, row, rows, known.values)
            known.done = len(rows)
        return known.values[: len(rows)]

    def _links(self, row: int) -> dict[str, dict[int, list[tuple[int, int]]]]:
        """Gather the links of a row: group -> neighbour row -> (relation, start)."""
        gathered: dict[str, dict[int, list[tuple[int, int]]]] = {}
        for group in GROUPS:
            links = self._index.graph.neighbours(row, group)
            by_row = gathered[group] = {}
            places = zip(links.relations.tolist(), links.starts.tolist(), strict=True)
            for neighbour, place in zip(links.rows.tolist(), places, strict=True):
                by_row.setdefault(neighbour, []).append(place)
        return gathered

    def _fill(self, known: _Beside, row: int, in_view: Rows, values: NDArray[np.float32]) -> None:
        """Compute the features of those rows ``in_view`` that are new beside evidence ``row`` into ``values``."""
        index = self._index
        rows, out = in_view[known.done :], values[known.done : len(in_view)]
        out[:, _AT["dense"]] = standardised(index, rows, index.dense.reconstruct(np.array([row]))[0])
        out[:, _AT["overlap"]] = self._overlap(known, in_view)
        *titles, title = (passage.title for passage in index.store.passages([*rows.tolist(), row]))
        if title:
            out[:, _AT["same_title"]] = [other == title for other in titles]
        place = {candidate: k for k, candidate in enumerate(rows.tolist())}
        for group in ("shares", "adjacent"):
            out[[place[other] for other in known.links[group] if other in place], _AT[group]] = 1
        for candidate in known.links["mentions"].keys() & place.keys():
            for relation, start in known.links["mentions"][candidate]:
                kind = "mentioned" if relation == Relation.TITLE_MENTION else "mentioned_alias"
                out[place[candidate], _AT[kind]] = 1
                out[place[candidate], _MENTIONED] = self._mention(row, start)
        for candidate in known.links["mentioned_by"].keys() & place.keys():
            out[place[candidate], _AT["mentions"]] = 1
            for _, start in known.links["mentioned_by"][candidate]:
                out[place[candidate], _MENTIONS] = self._mention(candidate, start)

    def _overlap(self, known: _Beside, in_view: Rows) -> NDArray[np.float64]:
        """Return the idf-weighted share of each new row's terms that the evidence has, float64 [m]."""
        index = self._index
        if len(self._weights) < len(in_view):
            fresh = in_view[len(self._weights) :]
            terms, owner = index.terms.terms_of(fresh)
            weights = np.bincount(owner, index.terms.idf(terms), len(fresh)).astype(np.float64)
            self._weights = np.concatenate((self._weights, weights))
        rows = in_view[known.done :]
        terms, owner = index.terms.terms_of(rows)
        shared = among(terms, known.terms)
        idf = known.idf[np.searchsorted(known.terms, terms[shared])]
        weights = self._weights[known.done : len(in_view)]
        return np.bincount(owner[shared], idf, len(rows)) / np.maximum(weights, 1e-9)

    def _mention(self, row: int, start: int) -> tuple[float, float]:
        """Return where in passage ``row`` a mention stands (0 to 1), and how its sentence agrees with the question."""
        if (row, start) not in self._mentions:
            passage = self._index.store.passage(row)
            around = next((passage.text[s:e] for s, e in passage.sentences if s <= start < e), "")
            agreement = self._view.agreement(term_hashes(around)) if around else 0.0
            self._mentions[row, start] = start / max(len(passage.text), 1), agreement
        return self._mentions[row, start]

"""The passages of questions that have come into view, as arrays: what brings many is one program over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..index._searchable import Searchable
from ..retrievers.records import Rows
from ..retrievers.words._terms import TermSets, title_hashes
from ._nearness import standardised
from ._question_view import QuestionView
from .settings import STATIC

_AT = {name: k for k, name in enumerate(STATIC)}
_NAMED = slice(_AT["named_exactly"], _AT["named_position"] + 1)


class InView:
    """The passages of one question that have come into view, by place: the order in which they came.

    Args:
        index: whose passages they are.
        view: the analysed question.
    """

    def __init__(self, index: Searchable, view: QuestionView) -> None:
        self.index = index
        self.view = view
        self.titles: list[str] = []
        self._place: dict[int, int] = {}
        self._rows = np.zeros(64, np.int64)
        self._static = np.zeros((64, len(STATIC)), np.float32)
        self._hits = np.zeros((64, len(view.terms)), np.float32)
        self._rarity = np.zeros(64)
        self._links = np.zeros((64, 64), np.uint8)

    def __len__(self) -> int:
        """Return how many passages have come into view."""
        return len(self.titles)

    @property
    def rows(self) -> Rows:
        """Rows in view, int64 [n]."""
        return self._rows[: len(self)]

    @property
    def static(self) -> NDArray[np.float32]:
        """Static features, float32 [n, len(STATIC)]."""
        return self._static[: len(self)]

    @property
    def hits(self) -> NDArray[np.float32]:
        """Weights of the question's terms where a passage has them, float32 [n, t]."""
        return self._hits[: len(self)]

    @property
    def rarity(self) -> NDArray[np.float64]:
        """The summed idf of each passage's terms, float64 [n]."""
        return self._rarity[: len(self)]

    def places(self, rows: Rows) -> Rows:
        """Return the places of rows that are in view, int64 [m]."""
        return np.array([self._place[row] for row in rows.tolist()], np.int64)

    def links_among(self, places: Rows) -> NDArray[np.uint8]:
        """Return the links among places, uint8 [m, m]: bit ``r`` of [a, b] says that a links to b by Relation r."""
        return self._links[places[:, None], places]

    def without_known(self, rows: Rows) -> Rows:
        """Return those rows, each once, that are not in view yet."""
        return np.array([row for row in dict.fromkeys(rows.tolist()) if row not in self._place], np.int64)

    def append(self, rows: Rows, features: PassageFeatures, part: slice) -> None:
        """Bring new rows into view, whose features stand in a part of ``features``."""
        first, last = len(self), len(self) + len(rows)
        self._reserve(last)
        self._rows[first:last] = rows
        self._static[first:last] = features.static[part]
        self._hits[first:last] = features.hits[part, : self._hits.shape[1]]
        self._rarity[first:last] = features.rarity[part]
        self.titles += features.titles[part]
        self._place.update((row, first + k) for k, row in enumerate(rows.tolist()))
        sources, targets, relations = self.index.graph.links_between(self.rows)
        np.bitwise_or.at(self._links, (sources, targets), np.left_shift(1, relations).astype(np.uint8))

    def _reserve(self, needed: int) -> None:
        capacity = len(self._rows)
        if needed <= capacity:
            return
        more = max(needed, 2 * capacity) - capacity
        self._rows, self._rarity = np.pad(self._rows, (0, more)), np.pad(self._rarity, (0, more))
        self._static, self._hits = (np.pad(array, ((0, more), (0, 0))) for array in (self._static, self._hits))
        self._links = np.pad(self._links, ((0, more), (0, more)))


def bring(wanted: Sequence[tuple[InView, Rows]]) -> list[Rows]:
    """Bring rows of several questions into view together; returns their places, int64 [m] for each question."""
    fresh: dict[int, tuple[InView, list[Rows]]] = {}
    for seen, rows in wanted:
        fresh.setdefault(id(seen), (seen, []))[1].append(rows)
    by_index: dict[int, list[tuple[InView, Rows]]] = {}
    for seen, parts in fresh.values():
        new = seen.without_known(np.concatenate(parts))
        if len(new):
            by_index.setdefault(id(seen.index), []).append((seen, new))
    for group in by_index.values():
        sizes = [len(rows) for _, rows in group]
        owner = np.repeat(np.arange(len(group)), sizes)
        rows = np.concatenate([rows for _, rows in group])
        features = passage_features(group[0][0].index, [seen.view for seen, _ in group], rows, owner)
        last = 0
        for (seen, new), size in zip(group, sizes, strict=True):
            first, last = last, last + size
            seen.append(new, features, slice(first, last))
    return [seen.places(rows) for seen, rows in wanted]


@dataclass(frozen=True, slots=True)
class PassageFeatures:
    """What is known of passages, each under a question.

    Attributes:
        static: float32 [n, len(STATIC)].
        hits: float32 [n, t], a term's weight where the passage has it, else 0; t is that of the longest question.
        titles: [n].
        rarity: the summed idf of the passage's terms, float64 [n].
    """

    static: NDArray[np.float32]
    hits: NDArray[np.float32]
    titles: list[str]
    rarity: NDArray[np.float64]


def passage_features(
    index: Searchable, views: Sequence[QuestionView], rows: Rows, owner: NDArray[np.int64]
) -> PassageFeatures:
    """Return the features of ``rows``, each under the question ``views[owner]``: one program over all questions."""
    distinct, back = np.unique(rows, return_inverse=True)
    passages = index.store.passages(distinct.tolist())
    titles = [passages[k].title for k in back.tolist()]
    asked = TermSets([view.terms for view in views])
    weights = np.concatenate([view.weights for view in views])
    terms, holder = index.terms.terms_of(rows)
    found, place = asked.find(terms, owner[holder])
    hits = np.zeros((len(rows), asked.longest), np.float32)
    at, by = holder[found], place[found]
    hits[at, by - asked.begins[owner[at]]] = weights[by]
    features = np.zeros((len(rows), len(STATIC)), np.float32)
    features[:, _AT["dense"]] = standardised(index, rows, [view.vector for view in views], owner)
    features[:, _AT["lexical"]] = np.bincount(at, weights[by], len(rows))
    features[:, _AT["in_degree"]] = np.log1p(index.graph.in_degree[rows]) / 4
    features[:, _AT["out_degree"]] = np.log1p(index.graph.out_degree[rows]) / 4
    features[:, _AT["length"]] = np.log1p([passage.text.count(" ") + 1 for passage in passages])[back] / 6
    features[:, _AT["titled"]] = [bool(title) for title in titles]
    shared = _title_agreement(index, titles, asked, weights, owner)
    features[:, _AT["title_in_question"]], features[:, _AT["question_in_title"]] = shared
    for number, view in enumerate(views):
        if view.named:
            for k in np.flatnonzero(owner == number)[np.isin(rows[owner == number], list(view.named))].tolist():
                features[k, _NAMED] = view.named[int(rows[k])]
    return PassageFeatures(
        features, hits, titles, np.bincount(holder, index.terms.idf(terms), len(rows)).astype(np.float64)
    )


def _title_agreement(
    index: Searchable,
    titles: Sequence[str],
    asked: TermSets,
    weights: NDArray[np.float32],
    owner: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the idf-weighted shares of each title's terms in its question, and of the question's in the title."""
    each = [title_hashes(title) for title in titles]
    holder = np.repeat(np.arange(len(each)), [len(hashes) for hashes in each])
    terms = np.concatenate([np.zeros(0, np.uint32), *each])
    idf = index.terms.idf(terms)
    found, place = asked.find(terms, owner[holder])
    shared = np.bincount(holder, idf * found, len(each)) / np.maximum(np.bincount(holder, idf, len(each)), 1e-9)
    return shared, np.bincount(holder[found], weights[place[found]], len(each)).astype(np.float64)

"""What passages in view are to a piece of evidence: mentions, neighbourhood, likeness, for many questions at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..graph._knowledge_graph import GROUPS, Relation
from ..retrievers.records import Rows
from ..retrievers.words._terms import TermHashes, TermSets, term_hashes
from ._in_view import InView
from ._nearness import standardised
from .settings import PAIR

_AT = {name: k for k, name in enumerate(PAIR)}
_MENTIONED = [_AT["mention_position"], _AT["mention_agreement"]]
_MENTIONS = [_AT["mentions_position"], _AT["mentions_agreement"]]


@dataclass(slots=True)
class _Beside:
    """The features beside one evidence, of the first ``done`` places in view; ``links`` by group and neighbour."""

    row: int
    title: str
    links: dict[str, dict[int, list[tuple[int, int]]]]
    terms: TermHashes
    idf: NDArray[np.float32]
    values: NDArray[np.float32]
    done: int = 0


class PairFeatures:
    """Pair features of one question's passages in view, computed once for each evidence and candidate."""

    def __init__(self, in_view: InView) -> None:
        self.in_view = in_view
        self._beside: dict[int, _Beside] = {}
        self._mentions: dict[tuple[int, int], tuple[float, float]] = {}

    def beside(self, evidence: int) -> NDArray[np.float32]:
        """Return the features of what is in view beside the evidence at a place, float32 [n, len(PAIR)]."""
        compare([(self, evidence)])
        return self._beside[evidence].values[: len(self.in_view)]

    def behind(self, evidence: int) -> _Beside | None:
        """Return what is known beside an evidence, where some of what is in view is not compared with it yet."""
        known = self._beside.get(evidence)
        if known is None:
            known = self._beside[evidence] = self._begun(evidence)
        return known if known.done < len(self.in_view) else None

    def _begun(self, evidence: int) -> _Beside:
        index, row = self.in_view.index, int(self.in_view.rows[evidence])
        links: dict[str, dict[int, list[tuple[int, int]]]] = {}
        for group in GROUPS:
            found = index.graph.neighbours(row, group)
            by_row = links[group] = {}
            places = zip(found.relations.tolist(), found.starts.tolist(), strict=True)
            for neighbour, place in zip(found.rows.tolist(), places, strict=True):
                by_row.setdefault(neighbour, []).append(place)
        terms = index.terms.terms(row)
        nothing = np.zeros((0, len(PAIR)), np.float32)
        return _Beside(row, self.in_view.titles[evidence], links, terms, index.terms.idf(terms), nothing)

    def keep(self, known: _Beside, fresh: NDArray[np.float32]) -> None:
        """Keep the features of the places that were not compared yet, and fill in what the links say of them."""
        first, last = known.done, known.done + len(fresh)
        if len(known.values) < last:
            grown = np.zeros((max(last, 2 * len(known.values)), len(PAIR)), np.float32)
            grown[:first] = known.values[:first]
            known.values = grown
        known.values[first:last] = fresh
        known.done = last
        out = known.values[first:last]
        if known.title:
            out[:, _AT["same_title"]] = [title == known.title for title in self.in_view.titles[first:last]]
        place = {candidate: k for k, candidate in enumerate(self.in_view.rows[first:last].tolist())}
        for group in ("shares", "adjacent"):
            out[[place[other] for other in known.links[group] if other in place], _AT[group]] = 1
        for candidate in known.links["mentions"].keys() & place.keys():
            for relation, start in known.links["mentions"][candidate]:
                kind = "mentioned" if relation == Relation.TITLE_MENTION else "mentioned_alias"
                out[place[candidate], _AT[kind]] = 1
                out[place[candidate], _MENTIONED] = self._mention(known.row, start)
        for candidate in known.links["mentioned_by"].keys() & place.keys():
            out[place[candidate], _AT["mentions"]] = 1
            for _, start in known.links["mentioned_by"][candidate]:
                out[place[candidate], _MENTIONS] = self._mention(candidate, start)

    def _mention(self, row: int, start: int) -> tuple[float, float]:
        """Return where in passage ``row`` a mention stands (0 to 1), and how its sentence agrees with the question."""
        if (row, start) not in self._mentions:
            passage = self.in_view.index.store.passage(row)
            around = next((passage.text[s:e] for s, e in passage.sentences if s <= start < e), "")
            agreement = self.in_view.view.agreement(term_hashes(around)) if around else 0.0
            self._mentions[row, start] = start / max(len(passage.text), 1), agreement
        return self._mentions[row, start]


def compare(wanted: Sequence[tuple[PairFeatures, int]]) -> None:
    """Compare what is in view with pieces of evidence, (pair features, place) each, those of all questions together."""
    by_index: dict[int, list[tuple[PairFeatures, _Beside]]] = {}
    for pairs, evidence in dict.fromkeys(wanted):
        known = pairs.behind(evidence)
        if known is not None:
            by_index.setdefault(id(pairs.in_view.index), []).append((pairs, known))
    for group in by_index.values():
        fresh = [pairs.in_view.rows[known.done :] for pairs, known in group]
        features = _features(group, fresh)
        last = 0
        for (pairs, known), rows in zip(group, fresh, strict=True):
            first, last = last, last + len(rows)
            pairs.keep(known, features[first:last])


def _features(group: Sequence[tuple[PairFeatures, _Beside]], fresh: Sequence[Rows]) -> NDArray[np.float32]:
    """Return what vectors and terms say of fresh rows beside each evidence, one after the other [n, len(PAIR)]."""
    index = group[0][0].in_view.index
    rows, owner = np.concatenate(fresh), np.repeat(np.arange(len(fresh)), [len(part) for part in fresh])
    features = np.zeros((len(rows), len(PAIR)), np.float32)
    evidence = index.dense.reconstruct(np.array([known.row for _, known in group]))
    features[:, _AT["dense"]] = standardised(index, rows, list(evidence), owner)
    terms, holder = index.terms.terms_of(rows)
    found, place = TermSets([known.terms for _, known in group]).find(terms, owner[holder])
    idf = np.concatenate([known.idf for _, known in group])[place[found]]
    rarity = np.concatenate([pairs.in_view.rarity[known.done :] for pairs, known in group])
    features[:, _AT["overlap"]] = np.bincount(holder[found], idf, len(rows)) / np.maximum(rarity, 1e-9)
    return features

"""What a finished search is judged by: signals that depend on no corpus and on no encoder.

Shares of the question's weighted terms, cosines in standard deviations over the corpus, ranks; and of a policy, how it
ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..envs._fact_world import FactWorld
from ..envs._nearness import similarity
from ..envs._world import QuestionWorld
from ..envs.settings import SUB_INDEXES
from ..index._searchable import Searchable
from ..retrievers.records import Hits, Rows, Vectors
from ..retrievers.words._terms import TermHashes, among
from ._rollout import SIGNALS as OF_THE_POLICY

TOP = 5
"""The first passages, which should hold all the evidence."""

OF_WORDS = (
    "unknown",  # idf-weighted share of the question's terms that the corpus does not have
    "unseen",  # of those that none of the first passages has
    "scattered",  # of those that one of them has, but not the one that has most
    "covered_first",  # of those that the first has
    "rarest_known",  # whether the corpus has the question's rarest term
    "rarest_seen",  # whether one of the first passages has it
    "matched",  # sum of the idf of the terms of the one that has most / log(1 + passages)
    "length",  # log(1 + terms)
    "named",  # whether the question names a passage, by title or identifier
    "named_first",  # whether it names one of the first
    "best_score",  # greatest lexical score / sum of the idf of the question's terms
    "tenth_score",  # share of it that the tenth lacks
    "last_score",  # and the last that is looked at
)
"""Signals of a search for words alone."""

OF_VECTORS = (
    "nearest",  # the nearest passage's cosine above the corpus' mean: in its deviations / sqrt(2 log(1 + passages))
    "near_first",  # the same of the first passage
    "near",  # mean of the first passages
    "tenth_nearest",  # how far the tenth nearest lies below the nearest
    "last_nearest",  # and the last that is looked at
    "at_home",  # how near the corpus is to the question on average, beside how near it is to itself, in its deviations
    "as_near",  # the same of the nearest passage, beside the nearest neighbours in a sample
    "alike",  # mean of the other first passages, seen from the first
    "agreement",  # share of the first ten passages by words that are among the first ten by vectors
    "first_agreement",  # whether both have the same first passage
    "rank_by_words",  # 1 / (1 + rank) of the first passage
    "rank_by_vectors",
)
"""Signals of a search that compares vectors, beside those."""

SIGNALS = {
    "words": OF_WORDS,
    "vectors": (*OF_WORDS, *OF_VECTORS),
    "policy": (*OF_WORDS, *OF_VECTORS, *OF_THE_POLICY),
}
"""What each kind of search is judged by."""

LOOKED_AT = 50
"""Passages of each list that are looked at."""

_LEXICAL, _DENSE = (SUB_INDEXES.index(name) for name in ("lexical", "dense"))


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and the lists of its words and of its vector over an index.

    Attributes:
        index: the index.
        terms: of the question, uint32 [t], sorted.
        named: rows that it names.
        lexical: what its words find.
        vector: its vector, float32 [d], and what that finds; None where vectors are not compared.
    """

    index: Searchable
    terms: TermHashes
    named: frozenset[int]
    lexical: Hits
    vector: tuple[Vectors, Hits] | None = None

    @classmethod
    def of(cls, world: QuestionWorld) -> Asked:
        """Return what a search over texts has asked first."""
        view = world.view
        lexical, dense = (world.seen(number, ()) for number in (_LEXICAL, _DENSE))
        return cls(world.index, view.terms, frozenset(view.named), lexical, (view.vector, dense))

    def signals(self, rows: Rows) -> NDArray[np.float64]:
        """Return the signals of a ranking, best first, float64 [k]; of vectors only where there are any."""
        first = rows[:TOP]
        values = _word_signals(self, first, self.lexical.scores[:LOOKED_AT])
        names: tuple[str, ...] = OF_WORDS
        if self.vector is not None:
            vector, dense = self.vector
            values |= _vector_signals(self, first, vector, dense.rows[:LOOKED_AT])
            names = SIGNALS["vectors"]
        return np.array([values.get(name, 0.0) for name in names])


def policy_signals(world: QuestionWorld, rows: Rows, ending: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the signals of a policy's ranking, best first, of a search that ended so; over facts, of its end alone."""
    over_facts = isinstance(world, FactWorld)
    ranking = np.zeros(len(SIGNALS["vectors"])) if over_facts else Asked.of(world).signals(rows)
    return np.concatenate((ranking, ending))


def _word_signals(asked: Asked, first: Rows, scores: NDArray[np.float32]) -> dict[str, float]:
    terms = asked.index.terms
    idf, known = terms.idf(asked.terms).astype(np.float64), terms.document_frequency(asked.terms) > 0
    whole = max(float(idf.sum()), 1e-9)
    values = {
        "unknown": float(idf[~known].sum()) / whole,
        "unseen": 1.0,
        "length": float(np.log1p(len(idf))),
        "named": float(bool(asked.named)),
        "named_first": float(not asked.named.isdisjoint(first.tolist())),
    }
    if len(first) and len(idf):
        theirs, owner = terms.terms_of(first)
        has = np.array([among(asked.terms, theirs[owner == place]) for place in range(len(first))])  # [first, t]
        seen: NDArray[np.bool_] = np.any(has, axis=0)
        each, rarest = has @ idf, int(idf.argmax())
        values |= {
            "unseen": float(idf[~seen].sum()) / whole,
            "scattered": (float(idf[seen].sum()) - float(each.max())) / whole,
            "covered_first": float(each[0]) / whole,
            "rarest_known": float(known[rarest]),
            "rarest_seen": float(seen[rarest]),
            "matched": float(each.max()) / float(np.log1p(len(asked.index))),
        }
    if len(scores):
        best = max(float(scores[0]), 1e-9)
        values |= {
            "best_score": best / whole,
            "tenth_score": 1 - float(scores[min(9, len(scores) - 1)]) / best,
            "last_score": 1 - float(scores[-1]) / best,
        }
    return values


def _vector_signals(asked: Asked, first: Rows, vector: Vectors, found: Rows) -> dict[str, float]:
    index = asked.index
    if not len(first) or not len(found):
        return {}
    chance = float(np.sqrt(2 * np.log1p(len(index))))
    """About what the nearest of so many passages has by chance."""
    usual, deviation = index.sample.spread(vector)
    both = similarity(index, np.concatenate((found, first)), vector)  # asked at once
    cosines, near = both[: len(found)], (both[len(found) :] - usual) / (deviation * chance)
    by_vector = np.sort((cosines - usual) / (deviation * chance))[::-1]
    by_words, agreed = asked.lexical.rows, np.intersect1d(asked.lexical.rows[:10], found[:10])
    itself, neighbours, own_deviation = index.sample.own_nearness
    return {
        "at_home": (usual - itself) / own_deviation,
        "as_near": (float(cosines.max()) - neighbours) / own_deviation,
        "nearest": float(by_vector[0]),
        "near_first": float(near[0]),
        "near": float(near.mean()),
        "tenth_nearest": float(by_vector[0] - by_vector[min(9, len(by_vector) - 1)]),
        "last_nearest": float(by_vector[0] - by_vector[-1]),
        "alike": _likeness(index, first) / chance,
        "agreement": len(agreed) / 10,
        "first_agreement": float(bool(len(by_words)) and by_words[0] == found[0]),
        "rank_by_words": _nearness_to_head(by_words, int(first[0])),
        "rank_by_vectors": _nearness_to_head(found, int(first[0])),
    }


def _likeness(index: Searchable, first: Rows) -> float:
    """Return how near the other first passages are to the first, in its deviations; 0 where there are none."""
    if len(first) < 2:
        return 0.0
    vector = index.dense.reconstruct(first[:1])[0]
    usual, deviation = index.sample.spread(vector)
    return float(similarity(index, first[1:], vector).mean() - usual) / deviation


def _nearness_to_head(rows: Rows, row: int) -> float:
    """Return 1 / (1 + rank) of a row, 0 where it is not listed."""
    places = np.flatnonzero(rows == row)
    return 1 / (1 + int(places[0])) if len(places) else 0.0

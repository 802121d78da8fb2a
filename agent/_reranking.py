"""Re-rankers of a few weights: the score of a candidate is the weighted sum of its features.

A feature is a number from 0 to 1, or the log of a rank. None depends on the order in which the candidates are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs._nearness import similarity
from ..envs._question_view import QuestionView
from ..errors import PolicyError
from ..graph._pagerank import PageRank
from ..index._searchable import Searchable, one_index
from ..retrievers._hashed_files import read_sealed_json, write_sealed_json
from ..retrievers.protocols import Reranker
from ..retrievers.records import Candidates, Passage, Query, Rows, SupportingSentence
from ..retrievers.vectors._encoder import embedding_text
from ..retrievers.words._terms import term_hashes

FORMAT = 1
DESCRIPTION = "linear_reranker.json"

CANDIDATES = 20
"""Passages at the head of a ranking that are put in a new order."""

SPARSE_DEPTH = 100
"""Passages of the lexical index whose scores are looked up; what is not among them has the score of the last."""

FAINTEST = 1e-4
"""Share of the greatest PageRank among the candidates below which a share counts as this."""

Features = Callable[[Query, Candidates], NDArray[np.float64]]

HYBRID = ("first_stage", "sparse", "dense")
GRAPH = ("first_stage", "named", "page_rank", "linked")
NAMES = {"hybrid": HYBRID, "graph": GRAPH}
"""Kind of re-ranker -> what its weights belong to, in order."""


class HybridFeatures:
    """How well the words and the vectors agree.

    *first_stage*: -log of the rank that the candidate came with. *sparse*: its BM25 score over the best there is.
    *dense*: its cosine with the question.
    """

    def __init__(self, index: Searchable) -> None:
        self._index = index

    def __call__(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the features, float64 [n, 3]."""
        vector = query.vector if query.vector is not None else self._index.query(query.text).vector
        assert vector is not None  # `Index.query` encodes
        hits = self._index.lexical.search(query, SPARSE_DEPTH)
        best = float(hits.scores[:1].sum()) or 1.0
        known = dict(zip(hits.rows.tolist(), (hits.scores / best).tolist(), strict=True))
        last = min(known.values()) if len(hits) == SPARSE_DEPTH else 0.0
        sparse = [known.get(row, last) for row in candidates.rows.tolist()]
        dense = similarity(self._index, candidates.rows, vector)
        return np.column_stack((-np.log(candidates.first_ranks()), np.array(sparse, np.float64), dense))


class GraphFeatures:
    """How the candidates hang together.

    *first_stage*: -log of the rank that the candidate came with. *named*: whether the question names its title.
    *page_rank*: the log of its PageRank, walked from the titles that the question names and from the candidates by
    1 / rank, over the greatest among the candidates, scaled from ``FAINTEST`` (0) to the greatest (1). *linked*: the
    share of the other candidates, by 1 / rank, that it mentions or that mention it.
    """

    def __init__(self, index: Searchable) -> None:
        self._index = index
        self._pagerank = PageRank(one_index(index, "a re-ranker with PageRank").graph)

    def __call__(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the features, float64 [n, 4]."""
        if not len(candidates):
            return np.zeros((0, len(GRAPH)))
        ranks = candidates.first_ranks()
        named = QuestionView.of(self._index, query.text, np.zeros(0, np.float32)).named  # no vector: titles alone count
        seeds = dict.fromkeys(named, 1.0)
        for row, rank in sorted(zip(candidates.rows.tolist(), ranks.tolist(), strict=True)):
            seeds[row] = seeds.get(row, 0.0) + 1 / rank
        mass = self._pagerank.personalised(seeds)[candidates.rows]
        strength = 1 - np.log(np.maximum(mass / mass.max(), FAINTEST)) / np.log(FAINTEST)
        is_named = np.array([row in named for row in candidates.rows.tolist()], np.float64)
        return np.column_stack((-np.log(ranks), is_named, strength, self._linked(candidates, 1 / ranks)))

    def _linked(self, candidates: Candidates, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for each candidate the share of the others that a mention links it with, float64 [n]."""
        place = {row: k for k, row in enumerate(candidates.rows.tolist())}
        linked = np.zeros((len(candidates), len(candidates)), np.bool_)
        for row, k in place.items():
            for other in self._index.graph.neighbours(row, "mentions").rows.tolist():
                if other in place and other != row:
                    linked[k, place[other]] = linked[place[other], k] = True
        order = np.argsort(candidates.rows)  # added up in the order of the rows, so that sums round alike
        sums = (linked[:, order] * weights[order]).sum(axis=1)
        total = weights[order].sum() - weights
        shares: NDArray[np.float64] = np.divide(sums, total, out=np.zeros(len(candidates)), where=total > 0)
        return shares


def features_of(kind: str, index: Searchable) -> Features:
    """Return what computes the features of a kind over an index, float64 [n, features] of n candidates."""
    return HybridFeatures(index) if kind == "hybrid" else GraphFeatures(index)


class LinearReranker:
    """The kinds ``hybrid`` and ``graph``, see :class:`HybridFeatures` and :class:`GraphFeatures`.

    Args:
        index: that the candidates come from.
        kind: which features.
        weights: one of each; with all but the first 0 every ranking stays as it is.

    Raises:
        PolicyError: when there is no such kind, it has another number of features,
            or the index is a knowledge graph.
    """

    def __init__(self, index: Searchable, kind: str, weights: Sequence[float]) -> None:
        if kind not in NAMES:
            raise PolicyError(f"there is no linear re-ranker {kind!r}: choose one of {', '.join(NAMES)}")
        if len(weights) != len(NAMES[kind]) or not np.isfinite(weights).all():
            raise PolicyError(f"the {kind} re-ranker needs weights of {', '.join(NAMES[kind])}, not {list(weights)}")
        if index.facts is not None:
            raise PolicyError(f"{index.path} is a knowledge graph, whose entities have no texts to re-rank")
        self.name = kind
        self.weights = np.array(weights, np.float64)
        self._index = index
        self._features = features_of(kind, index)

    def scores(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the new score of every candidate, float64 [n]."""
        if not len(candidates):
            return np.zeros(0)
        scores: NDArray[np.float64] = np.einsum("nf,f->n", self._features(query, candidates), self.weights)
        return scores

    def sentences(self, query: Query, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return the sentence of every passage that agrees most with the question, the first of equals, or None.

        The score is the weighted share of the question's terms that the sentence has, plus the cosine of both: that is
        how much it says of what was asked, by its words and by its meaning, each at most 1.
        """
        view = QuestionView.of(self._index, query.text, query.vector)
        own = [(passage, start, end) for passage in passages for start, end in passage.sentences]
        if not own:
            return [None] * len(passages)
        texts = [passage.text[start:end] for passage, start, end in own]
        words = np.array([view.agreement(term_hashes(text)) for text in texts], np.float64)
        titled = [embedding_text(passage.title, text) for (passage, _, _), text in zip(own, texts, strict=True)]
        scores = words + np.einsum("nd,d->n", self._index.encoder.encode(titled), view.vector)
        best: list[SupportingSentence | None] = []
        first = 0
        for passage in passages:
            last = first + len(passage.sentences)
            found = None
            if last > first:
                at = first + int(scores[first:last].argmax())
                _, start, end = own[at]
                found = SupportingSentence(start, end, passage.start + start, passage.start + end, float(scores[at]))
            best.append(found)
            first = last
        return best


def new_order(
    reranker: Reranker, index: Searchable, question: str, rows: Rows, scores: NDArray[np.float64]
) -> list[int]:
    """Return the places of the rows in their new order, [n]; behind the first ``CANDIDATES`` the old one stays.

    ``rows`` are best first, int64 [n], with the ``scores`` of the first stage, float64 [n].
    """
    head = rows[:CANDIDATES]
    candidates = Candidates(head, tuple(index.store.passages(head.tolist())), scores[:CANDIDATES])
    order: list[int] = np.argsort(-reranker.scores(Query(question), candidates), kind="stable").tolist()
    return [*order, *range(len(head), len(rows))]


def save_reranker(folder: Path, reranker: LinearReranker, training: Mapping[str, Any]) -> None:
    """Write a re-ranker into ``folder``, which exists."""
    weights = dict(zip(NAMES[reranker.name], reranker.weights.tolist(), strict=True))
    description = {"format": FORMAT, "kind": reranker.name, "weights": weights, "training": dict(training)}
    write_sealed_json(folder / DESCRIPTION, description)


def open_reranker(folder: Path, index: Searchable) -> LinearReranker:
    """Open what :func:`save_reranker` wrote, for the passages of an index.

    Raises:
        PolicyError: when there is none, it is damaged or of another version, or the index is a knowledge graph.
    """
    path = folder / DESCRIPTION
    if index.facts is not None:
        raise PolicyError(f"{index.path} is a knowledge graph, whose entities have no texts: leave {folder} out")
    if not path.is_file():
        raise PolicyError(
            f"{folder} holds no re-ranker (no {DESCRIPTION}): give the folder that `trailhound tune-reranker` wrote"
        )
    description = read_sealed_json(path, PolicyError, "tune the re-ranker again")
    try:
        if description["format"] != FORMAT:
            raise PolicyError(f"{path} was made by another version of Trailhound: tune the re-ranker again")
        kind, weights = str(description["kind"]), description["weights"]
        return LinearReranker(index, kind, [float(weights[name]) for name in NAMES[kind]])
    except (TypeError, ValueError, KeyError) as error:
        raise PolicyError(f"{path} is damaged ({error!r}): tune the re-ranker again") from error

"""The fixed systems that the learned policy is compared with: a sub-index, fusion, one hop, or PageRank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..envs._nearness import similarity
from ..errors import PolicyError
from ..graph._knowledge_graph import KnowledgeGraph
from ..graph._pagerank import PageRank
from ..index._searchable import Searchable, one_index
from ..index._segmented_graph import SegmentedGraph
from ..retrievers._forks import PerProcess
from ..retrievers._fusion import reciprocal_rank_fusion
from ..retrievers.records import Hits, Query, Rows, Vectors
from ..retrievers.words._terms import term_hashes
from ._confidence import Confidence, listed_by_rank
from ._decision import Decision
from ._search_signals import Asked
from ._watch import UNWATCHED, Watch

if TYPE_CHECKING:
    from ._tuned_queries import TunedQueries

LATE = "late"
FIXED = ("lexical", "dense", LATE, "hybrid", "hops", "ppr")
DEPTH = 100
"""Passages that each part of a fixed system ranks before fusion; as many as evaluation looks at, so that a search finds
what was measured whatever its limit."""

COMPARED = 200
"""Passages of the lexical and of the dense ranking that late interaction orders."""

SEEDS = 3
"""Passages of the fused ranking that hops start from, beside those that the question names."""

MOST_FOLLOWED = 8
"""Neighbours of one passage that are followed: those nearest to the question, as a HOP of the policy brings."""

DECAY = 0.9
"""What a hop leaves of the score of the passage it starts from, for a neighbour as near as can be."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a system found: rows best first with strictly decreasing scores, and what it took to find them.

    Attributes:
        taken: rows that the policy took as evidence, in the order of the ranking (none for a fixed system), also those
            that a short ranking leaves out.
        decisions: the path; of a fixed system, its steps.
        actions: actions taken, or steps of the fixed pipeline.
        calls: sub-index calls and hops.
        asked: the policy's calls by sub-index, and ``hop``; empty for a fixed system.
        probabilities: that each passage supports the question, float64 [n]; None where the system does not say.
        by_words: what the lexical index says of the question, with its scores; None where it was not asked.
        query: the question with its vector and word pieces; None where none was needed.
        confidence: that the first five hold all the evidence; None where the system does not say.
        unanswered: whether it is so low that the corpus probably does not answer.
        spent: what the policy paid for them, in recall (0 for a fixed system).
    """

    rows: Rows
    scores: NDArray[np.float64]
    taken: tuple[int, ...] = ()
    decisions: tuple[Decision, ...] = ()
    actions: int = 0
    calls: int = 0
    spent: float = 0.0
    confidence: float | None = None
    unanswered: bool = False
    asked: Mapping[str, int] = field(default_factory=dict)
    by_words: Hits | None = None
    query: Query | None = None
    probabilities: NDArray[np.float64] | None = None

    def to_read(self, most: int) -> Rows:
        """Return the first ``most`` of what an answer is read from: the evidence, or all where none was taken."""
        return np.array(self.taken[:most], np.int64) if self.taken else self.rows[:most]

    def first(self, limit: int) -> Ranked:
        """Return the same, with the first ``limit`` passages alone."""
        likely = None if self.probabilities is None else self.probabilities[:limit]
        return replace(self, rows=self.rows[:limit], scores=self.scores[:limit], probabilities=likely)


class FixedSystem:
    """Lexical, dense; both ordered by late interaction; the fusion of both, and from it one hop or PageRank.

    With tuned queries those give the vectors instead of the index's own encoder, and the fusion has learned weights
    where they have some; otherwise it is reciprocal rank fusion. How sure a search is says ``confidence``, where it is
    given.

    Raises:
        PolicyError: when late interaction is to answer, and the index keeps no word pieces.
    """

    def __init__(
        self, index: Searchable, kind: str, queries: TunedQueries | None = None, confidence: Confidence | None = None
    ) -> None:
        if kind == LATE and index.pieces is None:
            raise PolicyError(
                f"{index.path} keeps no word pieces, which late interaction compares: build it again with"
                " `--late-interaction on` and an encoder that gives them, like the built-in one, or ask another system"
            )
        if kind == "ppr":
            one_index(index, "PageRank")
        self._index = index
        self._kind = kind
        self._queries = queries
        self._confidence = confidence
        self.name = f"fixed system: {kind}" + (f", queries tuned in {queries.name}" if queries else "")
        self._lock = PerProcess(Lock)
        self._walked: KnowledgeGraph | SegmentedGraph | None = None
        self._pagerank: PageRank | None = None

    def rank(self, question: str, limit: int, watch: Watch = UNWATCHED) -> Ranked:
        """Return at most ``limit`` passages."""
        return self.rank_many([question], limit, [watch])[0]

    def rank_many(self, questions: Sequence[str], limit: int, watches: Sequence[Watch]) -> list[Ranked]:
        """Return at most ``limit`` passages for each question, whose vectors are encoded together."""
        if self._kind == "lexical":
            queries = [Query(question) for question in questions]
        elif self._queries is None:
            queries = self._index.queries(questions)
        else:
            queries = [self._queries.query(question) for question in questions]
        ranked = []
        for question, query, watch in zip(questions, queries, watches, strict=True):
            watch.over(0)  # its steps are few and quick: it is given up or done
            ranked.append(self._rank(question, query, limit))
            for decision in ranked[-1].decisions:
                watch.hear(decision)
        return ranked

    def _rank(self, question: str, query: Query, limit: int) -> Ranked:
        index = self._index
        wide = max(limit, COMPARED if self._kind == LATE else DEPTH)
        if self._kind == "lexical":
            by_words = index.lexical.search(query, wide)
            ranked = _ranked([("ask the lexical index", _first(by_words, limit))])
            return self._sure(question, by_words, None, ranked)
        assert query.vector is not None
        by_words, by_vector = index.lexical.search(query, wide), index.dense.search(query, wide)
        if self._kind != "dense":
            index.look_ahead(np.concatenate((by_words.rows, by_vector.rows)))  # the path shows all of them
        if self._kind == "dense":
            ranked = _ranked([("ask the dense index", _first(by_vector, limit))])
        elif self._kind == LATE:
            ranked = self._compare(query, by_words, by_vector, limit)
        else:
            ranked = self._combined(question, query, by_words, by_vector, limit)
        return self._sure(question, by_words, (query.vector, by_vector), replace(ranked, query=query))

    def _sure(self, question: str, by_words: Hits, by_vector: tuple[Vectors, Hits] | None, ranked: Ranked) -> Ranked:
        """Say how sure a search over texts is, by what the question's words and its vector found."""
        index = self._index
        ranked = replace(ranked, by_words=by_words)
        if self._confidence is None or index.facts is not None:
            return ranked
        named = frozenset(row for mention in index.entity.mentions(question) for row in mention.rows)
        asked = Asked(index, term_hashes(question), named, by_words, by_vector)
        kind = "words" if by_vector is None else "vectors"
        stated = self._confidence.of(kind, asked.signals(ranked.rows))
        likely = self._confidence.of_passages(kind, stated, listed_by_rank(len(ranked.rows)))
        return replace(ranked, confidence=stated.confidence, unanswered=stated.unanswered, probabilities=likely)

    def _combined(self, question: str, query: Query, by_words: Hits, by_vector: Hits, limit: int) -> Ranked:
        """Fuse what words and vector found, and go on from there where the system does."""
        index, wide = self._index, max(limit, DEPTH)
        steps = [("ask the lexical index", by_words), ("ask the dense index", by_vector)]
        identified = _identified(index, question, steps[0][1].rows)
        if len(identified):
            steps.append(("look up the identifiers of the question", identified))
        fused = self._fused([hits for _, hits in steps], wide)
        if self._kind == "hops":
            return self._follow(query, fused, steps, limit)
        if self._kind != "ppr":
            calls = len(steps)
            steps.append(("fuse the rankings", _first(fused, limit)))
            return _ranked(steps, calls=calls)
        steps.append(("walk the graph from what was found and named", self._walk(question, fused, limit)))
        return _ranked(steps)

    def _compare(self, query: Query, by_words: Hits, by_vector: Hits, limit: int) -> Ranked:
        """Order what lexical and dense search find by late interaction."""
        index = self._index
        assert index.pieces is not None
        assert query.pieces is not None
        steps = [("ask the lexical index", by_words), ("ask the dense index", by_vector)]
        rows = np.unique(np.concatenate([hits.rows for _, hits in steps]))
        scores = index.pieces.score(query.pieces, rows)
        order = np.lexsort((rows, -scores))[:limit]
        steps.append(("compare the word pieces of what was found", Hits(rows[order], scores[order])))
        return _ranked(steps, calls=len(steps) - 1)

    def _fused(self, rankings: list[Hits], limit: int) -> Hits:
        """Fuse the lexical and the dense ranking, and that of identifiers where no fusion was learned."""
        if self._queries is not None and self._queries.fusion is not None:
            return self._queries.fusion.fuse(dict(zip(("lexical", "dense"), rankings[:2], strict=True)), limit)
        return reciprocal_rank_fusion(rankings, limit)

    def _follow(self, query: Query, fused: Hits, steps: list[tuple[str, Hits]], limit: int) -> Ranked:
        """Follow every mention, one hop from what the question names and what fusion ranks highest."""
        assert query.vector is not None
        named = self._index.entity.search(query, 5)
        steps.append(("ask the entity index", named))
        ranking, followed = follow_mentions(self._index, fused, named.rows, query.vector, max(limit, 1))
        titles = self._index.store.passages([source for source, _ in followed])
        for passage, (_, rows) in zip(titles, followed, strict=True):
            words = f"follow the mentions in {passage.title or passage.id}"
            steps.append((words, Hits(rows, np.ones(len(rows), np.float32))))
        steps.append(("rank by the fixed rule", ranking))
        return _ranked(steps, calls=len(steps) - 1)

    def _walk_of(self, graph: KnowledgeGraph | SegmentedGraph) -> PageRank:
        """Return the walk over a graph; it is made anew once the graph is another."""
        with self._lock():
            if self._pagerank is None or self._walked is not graph:
                self._pagerank, self._walked = PageRank(graph), graph
            return self._pagerank

    def _walk(self, question: str, fused: Hits, limit: int) -> Hits:
        """Walk from what the question names and what fusion ranks highest."""
        pagerank = self._walk_of(one_index(self._index, "PageRank").graph)
        named = self._index.entity.search(Query(question), 5)
        seeds = dict(zip(fused.rows[:10].tolist(), fused.scores[:10].tolist(), strict=True))
        for row in named.rows.tolist():
            seeds[row] = seeds.get(row, 0.0) + float(fused.scores[:1].sum())
        if not seeds:  # nothing that is seen
            return _first(fused, 0)
        scores = pagerank.personalised(seeds)
        order = np.argsort(-scores, kind="stable")[: min(limit, int((scores > 0).sum()))]
        return Hits(order.astype(np.int64), scores[order].astype(np.float32))


def _first(hits: Hits, limit: int) -> Hits:
    return Hits(hits.rows[:limit], hits.scores[:limit])


def _identified(index: Searchable, question: str, lexical: Rows) -> Hits:
    """Return the passages that have an identifier of the question, and hardly any others have, in lexical order."""
    rows = {row for mention in index.entity.identified(question) for row in mention.rows}
    first = [row for row in lexical.tolist() if row in rows]
    ranked = np.array([*first, *sorted(rows.difference(first))], np.int64)
    return Hits(ranked, np.arange(len(ranked), 0, -1).astype(np.float32))


def follow_mentions(
    index: Searchable, fused: Hits, named: Rows, vector: Vectors, limit: int
) -> tuple[Hits, list[tuple[int, Rows]]]:
    """Return the ranking, and every hop that was made: the row it started from, and the rows it brought.

    What the question names scores 1, the passages of the fused ranking their share of the best one's score, at most
    1/2. A hop brings each mentioned passage ``DECAY * (1 + cosine with the question) / 2`` of its source's score; of
    several ways to a passage the best counts.
    """
    best = float(fused.scores[:1].sum()) or 1.0
    scores = {row: score / best / 2 for row, score in zip(fused.rows.tolist(), fused.scores.tolist(), strict=True)}
    scores |= dict.fromkeys(named.tolist(), 1.0)
    followed: list[tuple[int, Rows]] = []
    reached: dict[int, float] = {}
    for source in dict.fromkeys([*named.tolist(), *fused.rows[:SEEDS].tolist()]):
        rows = index.graph.neighbours(source, "mentions").rows
        if not len(rows):
            continue
        nearness = similarity(index, rows, vector)
        nearest = np.argsort(-nearness, kind="stable")[:MOST_FOLLOWED]
        followed.append((source, rows[nearest]))
        for row, near in zip(rows[nearest].tolist(), nearness[nearest].tolist(), strict=True):
            reached[row] = max(reached.get(row, 0.0), scores[source] * DECAY * (1 + near) / 2)
    for row, score in reached.items():
        scores[row] = max(scores.get(row, 0.0), score)
    ranked = sorted(scores, key=lambda row: (-scores[row], row))[:limit]
    return Hits(np.array(ranked, np.int64), np.array([scores[row] for row in ranked], np.float32)), followed


def _ranked(steps: list[tuple[str, Hits]], calls: int | None = None) -> Ranked:
    """Return what the last of the steps found, with the steps as its path."""
    hits = steps[-1][1]
    decisions = tuple(
        Decision("expand", 1.0, tuple(found.rows.tolist()), words, "a fixed system always does")
        for words, found in steps
    )
    # ranks as scores: strictly decreasing whatever the system's own scale and ties
    scores = 1 / np.arange(1, len(hits) + 1, dtype=np.float64)
    return Ranked(hits.rows, scores, (), decisions, len(steps), len(steps) if calls is None else calls)

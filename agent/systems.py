"""The ways to answer: the learned policy, and the fixed systems it is compared with, under one interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs.fact_world import fact_world
from ..envs.question_view import QuestionView
from ..envs.world import QuestionWorld
from ..errors import PolicyError
from ..graph.facts import FactTable
from ..graph.knowledge_graph import KnowledgeGraph
from ..graph.pagerank import PageRank
from ..index.index import Index
from ..index.live_graph import LiveGraph
from ..retrievers.fusion import reciprocal_rank_fusion
from ..retrievers.records import Hits, Passage, Query, Rows, SupportingSentence
from ..retrievers.vectors.late_interaction import LATE
from .explanation import explain
from .fact_explanation import FactExplanation
from .fixed_hops import follow_mentions
from .policy_file import LoadedPolicy, load_policy
from .queries.tuned_queries import TunedQueries
from .reranking.linear import CANDIDATES, new_order, open_reranker
from .rollout import Decision, Explain, search_worlds

HOPS = {"hops": 1, "hops2": 2}
"""The systems that follow every mention, with how many hops they make."""

FIXED = ("lexical", "dense", "late", "hybrid", *HOPS, "ppr")
SYSTEMS = (*FIXED, "exhaustive", "policy")
DEPTH = 50
"""Passages that each part of a fixed system ranks before fusion."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a system found: rows best first with strictly decreasing scores, and what it took to find them.

    Attributes:
        taken: rows that the policy took as evidence (none for a fixed system); at the head, unless they were re-ranked.
        decisions: the path; of a fixed system, its steps.
        actions: actions taken, or steps of the fixed pipeline.
        calls: sub-index calls and hops.
        asked: the policy's calls by sub-index, and ``hop``; empty for a fixed system.
        confidence: that what was taken is all the evidence; None where the system does not say.
        spent: what the policy paid for them, in recall (0 for a fixed system).
    """

    rows: Rows
    scores: NDArray[np.float64]
    taken: frozenset[int] = frozenset()
    decisions: tuple[Decision, ...] = ()
    actions: int = 0
    calls: int = 0
    spent: float = 0.0
    confidence: float | None = None
    asked: Mapping[str, int] = field(default_factory=dict)

    def to_read(self, most: int) -> Rows:
        """Return what an answer is read from: the evidence, best first, or the first ``most`` where none was taken."""
        taken = self.rows[[row in self.taken for row in self.rows.tolist()]] if self.taken else self.rows[:0]
        return taken if len(taken) else self.rows[:most]


class System(Protocol):
    """Ranks the passages of one index for a question."""

    name: str
    """What to tell the user answered."""

    def rank(self, question: str, limit: int) -> Ranked:
        """Return at most ``limit`` passages."""
        ...


class FixedSystem:
    """Lexical, dense, late interaction; the fusion of the first two, and from it a fixed number of hops or PageRank.

    With tuned queries those give the vectors in place of the index's own encoder, and the fusion has learned weights
    where they have some; otherwise it is reciprocal rank fusion.

    Raises:
        PolicyError: when late interaction is to answer, and the index was built without.
    """

    def __init__(self, index: Index, kind: str, queries: TunedQueries | None = None) -> None:
        if kind == LATE and LATE not in index.sub_indexes:
            raise PolicyError(
                f"{index.path} was built without late interaction: build it again with `--late-interaction 2`, or ask"
                " another system"
            )
        self._index = index
        self._kind = kind
        self._queries = queries
        self.name = f"fixed system: {kind}" + (f", queries tuned in {queries.name}" if queries else "")
        self._lock = Lock()
        self._walked: KnowledgeGraph | LiveGraph | None = None
        self._pagerank: PageRank | None = None

    def rank(self, question: str, limit: int) -> Ranked:
        """Return at most ``limit`` passages."""
        index = self._index
        wide = max(limit, DEPTH)
        if self._kind == "lexical":
            return _ranked([("ask the lexical index", index.lexical.search(Query(question), limit))])
        if self._kind == LATE:
            return _ranked([("ask the late-interaction index", index.sub_indexes[LATE].search(Query(question), limit))])
        query = index.query(question) if self._queries is None else self._queries.query(question)
        if self._kind == "dense":
            return _ranked([("ask the dense index", index.dense.search(query, limit))])
        steps = [
            ("ask the lexical index", index.lexical.search(query, wide)),
            ("ask the dense index", index.dense.search(query, wide)),
        ]
        fused = self._fused([hits for _, hits in steps], wide)
        if self._kind in HOPS:
            return self._follow(query, fused, steps, limit)
        if self._kind != "ppr":
            steps.append(("fuse the two rankings", Hits(fused.rows[:limit], fused.scores[:limit])))
            return _ranked(steps, calls=2)
        steps.append(("walk the graph from what was found and named", self._walk(question, fused, limit)))
        return _ranked(steps)

    def _fused(self, rankings: list[Hits], limit: int) -> Hits:
        """Fuse the lexical and the dense ranking."""
        if self._queries is not None and self._queries.fusion is not None:
            return self._queries.fusion.fuse(dict(zip(("lexical", "dense"), rankings, strict=True)), limit)
        return reciprocal_rank_fusion(rankings, limit)

    def _follow(self, query: Query, fused: Hits, steps: list[tuple[str, Hits]], limit: int) -> Ranked:
        """Follow every mention, a fixed number of hops from what the question names and what fusion ranks highest."""
        assert query.vector is not None
        named = self._index.entity.search(query, 5)
        steps.append(("ask the entity index", named))
        ranking, followed = follow_mentions(
            self._index, fused, named.rows, query.vector, HOPS[self._kind], max(limit, 1)
        )
        titles = self._index.store.passages([source for source, _ in followed])
        for passage, (_, rows) in zip(titles, followed, strict=True):
            words = f"follow the mentions in {passage.title or passage.id}"
            steps.append((words, Hits(rows, np.ones(len(rows), np.float32))))
        steps.append(("rank by the fixed rule", ranking))
        return _ranked(steps, calls=len(steps) - 1)

    def _walk_of(self, graph: KnowledgeGraph | LiveGraph) -> PageRank:
        """Return the walk over a graph; it is made anew once the graph is another."""
        with self._lock:
            if self._pagerank is None or self._walked is not graph:
                self._pagerank, self._walked = PageRank(graph), graph
            return self._pagerank

    def _walk(self, question: str, fused: Hits, limit: int) -> Hits:
        """Walk from what the question names and what fusion ranks highest."""
        pagerank = self._walk_of(self._index.graph)
        named = self._index.entity.search(Query(question), 5)
        seeds = dict(zip(fused.rows[:10].tolist(), fused.scores[:10].tolist(), strict=True))
        for row in named.rows.tolist():
            seeds[row] = seeds.get(row, 0.0) + float(fused.scores[:1].sum())
        scores = pagerank.personalised(seeds)
        order = np.argsort(-scores, kind="stable")[: min(limit, int((scores > 0).sum()))]
        return Hits(order.astype(np.int64), scores[order].astype(np.float32))


class PolicySystem:
    """The learned policy; with ``exhaustive`` everything that can be asked is asked and it only chooses.

    Raises:
        PolicyError: when the policy was trained for another encoder than the index's.
    """

    def __init__(self, index: Index, policy: LoadedPolicy, label: str, exhaustive: bool = False) -> None:
        if policy.encoder != index.encoder_name:
            raise PolicyError(
                f"the policy {label} was trained with the encoder {policy.encoder!r}, the index {index.path} was built"
                f" with {index.encoder_name!r}: train on this index, or build it with that encoder"
            )
        self._index = index
        self._network = policy.network
        self._confidence = policy.confidence
        self._hop_encoder = policy.hop_encoder(threads=1)
        if index.facts is not None:
            self._network.use_facts(FactTable(index.facts))
        self._settings = replace(policy.settings, expand_everything=True) if exhaustive else policy.settings
        wide = "exhaustive search, ranked by the " if self._settings.expand_everything else ""
        self.name = f"{wide}policy {label}"

    def rank(self, question: str, limit: int) -> Ranked:
        """Return at most ``limit`` passages."""
        words = explain if self._index.facts is None else FactExplanation(self._network)
        return self.rank_world(self.world(question), limit, words)

    def rank_fact(self, question: str, answer: str, limit: int) -> Ranked:
        """Answer a question of a test: rank at most ``limit`` entities while the fact that gives ``answer`` is hidden.

        The head, which is evidence because the walk sets out from it, is the last answer to be given.
        """
        world = fact_world(self._index, question, answer, self._settings)
        found = self.rank_world(world, len(self._index), None)
        head = found.rows == world.asked.head
        order = np.argsort(head, kind="stable")[:limit]
        return replace(found, rows=found.rows[order], scores=np.sort(found.scores)[::-1][:limit])

    def rank_world(self, world: QuestionWorld, limit: int, words: Explain | None) -> Ranked:
        """Search a world; ``words`` explains each action."""
        outcome = search_worlds(self._network, self._settings, [world], lanes=1, explain=words)[0]
        return Ranked(
            outcome.ranking[:limit],
            outcome.scores[:limit],
            frozenset(outcome.ranking[: outcome.taken].tolist()),
            tuple(outcome.decisions),
            len(outcome.decisions),
            outcome.calls,
            outcome.recall - outcome.total_reward,
            None if self._confidence is None else self._confidence.of(outcome.signals),
            outcome.asked,
        )

    def world(self, question: str) -> QuestionWorld:
        """Return what is known of a question before it is searched."""
        if self._index.facts is not None:
            return fact_world(self._index, question, None, self._settings)
        hop = self._hop_encoder
        view = QuestionView.of(self._index, question, hop_vector=None if hop is None else hop.encode([question])[0])
        return QuestionWorld(self._index, view, self._settings, hop_encoder=hop)


class RerankedSystem:
    """Any system over texts, the head of its ranking re-ranked.

    The scores stay with the places: what changes is which passage stands where.

    Raises:
        PolicyError: when there is no usable re-ranker in ``folder``, or the index is a knowledge graph.
    """

    def __init__(self, index: Index, system: System, folder: Path) -> None:
        self._index = index
        self._system = system
        self._reranker = open_reranker(folder, index)
        self.name = f"{system.name}, re-ranked by {folder}"

    def rank(self, question: str, limit: int) -> Ranked:
        """Return at most ``limit`` passages."""
        found = self._system.rank(question, max(limit, CANDIDATES))
        order = new_order(self._reranker, self._index, question, found.rows, found.scores)
        return replace(found, rows=found.rows[order][:limit], scores=found.scores[:limit])

    def sentences(self, question: str, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return the sentence of every passage that supports the question best."""
        return self._reranker.sentences(Query(question), passages)


def shipped_policy() -> Path | None:
    """Return the folder of the policy that comes with the package, if it does."""
    folder = Path(__file__).parent / "shipped"
    return folder if (folder / "policy.json").is_file() else None


def _ranked(steps: list[tuple[str, Hits]], calls: int | None = None) -> Ranked:
    """Return what the last of the steps found, with the steps as its path."""
    hits = steps[-1][1]
    decisions = tuple(
        Decision("expand", 1.0, tuple(found.rows.tolist()), words, "a fixed system always does")
        for words, found in steps
    )
    # ranks as scores: strictly decreasing whatever the system's own scale and ties
    scores = 1 / np.arange(1, len(hits) + 1, dtype=np.float64)
    return Ranked(hits.rows, scores, frozenset(), decisions, len(steps), len(steps) if calls is None else calls)


def open_system(
    index: Index,
    name: str | None = None,
    policy: Path | None = None,
    reranker: Path | None = None,
    query_encoder: Path | None = None,
) -> System:
    """Return the system of a name (one of ``SYSTEMS``); without one, the policy given, shipped, or else hybrid.

    Its result is re-ranked where the folder of a re-ranker is given. A fixed system asks with the tuned queries
    of ``query_encoder``, where that folder is given.

    Raises:
        PolicyError: when there is no such system, or policy or re-ranker cannot be used over this index.
    """
    if query_encoder is not None:
        if name not in FIXED or name in ("lexical", LATE):
            raise PolicyError(
                f"tuned queries ({query_encoder}) are for a fixed system that compares vectors, like dense or hybrid:"
                f" a policy takes its encoder from its own folder, and {name or 'the default'!r} is none of these"
            )
        fixed = FixedSystem(index, name, TunedQueries(query_encoder, index))
        return fixed if reranker is None else RerankedSystem(index, fixed, reranker)
    system = _open_system(index, name, policy)
    return system if reranker is None else RerankedSystem(index, system, reranker)


def _open_system(index: Index, name: str | None, policy: Path | None) -> System:
    if name is not None and name not in SYSTEMS:
        raise PolicyError(f"there is no system {name!r}: choose one of {', '.join(SYSTEMS)}")
    if name in FIXED:
        if policy is not None:
            raise PolicyError(f"the fixed system {name!r} has no use for the policy {policy}: leave one out")
        return FixedSystem(index, name)
    folder = policy or shipped_policy()
    label = str(policy) if policy is not None else "that comes with the package"
    if folder is not None:
        loaded = load_policy(folder)
        if name is not None or policy is not None or loaded.encoder == index.encoder_name:
            return PolicySystem(index, loaded, label, exhaustive=name == "exhaustive")
    elif name is not None:
        raise PolicyError(f"the system {name!r} needs a policy: train one, and give its folder")
    return FixedSystem(index, "hybrid")

"""The ways to answer: the learned policy, and the fixed systems it is compared with, under one interface."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs.question_view import QuestionView
from ..envs.world import QuestionWorld
from ..errors import PolicyError
from ..graph.index import Index
from ..graph.pagerank import PageRank
from ..retrievers.fusion import reciprocal_rank_fusion
from ..retrievers.records import Hits, Query, Rows
from .explanation import explain
from .policy_file import LoadedPolicy
from .rollout import Decision, search_worlds

FIXED = ("lexical", "dense", "hybrid", "ppr")
SYSTEMS = (*FIXED, "exhaustive", "policy")
DEPTH = 50
"""Passages that each part of a fixed system ranks before fusion."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a system found: rows best first with strictly decreasing scores, and what it took to find them.

    Attributes:
        taken: how many rows at the head the policy took as evidence (0 for a fixed system).
        decisions: the policy's path (empty for a fixed system).
        actions: actions taken, or steps of the fixed pipeline.
        calls: sub-index calls and hops.
    """

    rows: Rows
    scores: NDArray[np.float64]
    taken: int = 0
    decisions: tuple[Decision, ...] = ()
    actions: int = 0
    calls: int = 0


class System(Protocol):
    """Ranks the passages of one index for a question."""

    name: str
    """What to tell the user answered."""

    def rank(self, question: str, limit: int) -> Ranked:
        """Return at most ``limit`` passages."""
        ...


class FixedSystem:
    """Lexical, dense, their reciprocal rank fusion, or personalised PageRank from both over the title mentions."""

    def __init__(self, index: Index, kind: str) -> None:
        self._index = index
        self._kind = kind
        self.name = f"fixed system: {kind}"
        self._pagerank = PageRank(index.graph) if kind == "ppr" else None

    def rank(self, question: str, limit: int) -> Ranked:
        """Return at most ``limit`` passages."""
        index = self._index
        wide = max(limit, DEPTH)
        if self._kind == "lexical":
            return _ranked(index.lexical.search(Query(question), limit), 1)
        query = index.query(question)
        if self._kind == "dense":
            return _ranked(index.dense.search(query, limit), 1)
        both = [index.lexical.search(query, wide), index.dense.search(query, wide)]
        fused = reciprocal_rank_fusion(both, wide)
        if self._pagerank is None:
            return _ranked(Hits(fused.rows[:limit], fused.scores[:limit]), 2)
        return _ranked(self._walk(question, fused, limit), 3)

    def _walk(self, question: str, fused: Hits, limit: int) -> Hits:
        """Walk from what the question names and what fusion ranks highest."""
        assert self._pagerank is not None
        named = self._index.entity.search(Query(question), 5)
        seeds = dict(zip(fused.rows[:10].tolist(), fused.scores[:10].tolist(), strict=True))
        for row in named.rows.tolist():
            seeds[row] = seeds.get(row, 0.0) + float(fused.scores[:1].sum())
        if not seeds:
            return fused
        scores = self._pagerank.personalised(seeds)
        order = np.argsort(-scores, kind="stable")[:limit]
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
        self._settings = replace(policy.settings, expand_everything=True) if exhaustive else policy.settings
        self.name = f"exhaustive, ranked by {label}" if self._settings.expand_everything else f"policy {label}"

    def rank(self, question: str, limit: int) -> Ranked:
        """Return at most ``limit`` passages."""
        view = QuestionView.of(self._index, question)
        world = QuestionWorld(self._index, view, self._settings)
        outcome = search_worlds(self._network, self._settings, [world], lanes=1, explain=explain)[0]
        return Ranked(
            outcome.ranking[:limit],
            outcome.scores[:limit],
            outcome.taken,
            tuple(outcome.decisions),
            len(outcome.decisions),
            outcome.calls,
        )


def shipped_policy() -> Path | None:
    """Return the folder of the policy that comes with the package, if it does."""
    folder = Path(__file__).parent / "shipped"
    return folder if (folder / "policy.json").is_file() else None


def _ranked(hits: Hits, calls: int) -> Ranked:
    # ranks as scores: strictly decreasing whatever the system's own scale and ties
    scores = 1 / np.arange(1, len(hits) + 1, dtype=np.float64)
    return Ranked(hits.rows, scores, actions=calls, calls=calls)

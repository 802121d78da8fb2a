"""The ways to answer: the learned policy, and the fixed systems it is compared with, under one interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from ..envs._fact_world import fact_world
from ..envs._question_view import QuestionView
from ..envs._world import QuestionWorld
from ..errors import PolicyError
from ..graph._facts import FactTable
from ..index._searchable import Searchable, one_index
from ..retrievers.records import Passage, Query, SupportingSentence
from ._confidence import Confidence, listed
from ._explanation import explain
from ._fixed_systems import FIXED, LATE, FixedSystem, Ranked
from ._policy_file import LoadedPolicy, load_confidence, shared_policy
from ._reranking import CANDIDATES, new_order, open_reranker
from ._rollout import Explain, Outcome, search_worlds
from ._scorer import Scorer
from ._search_signals import policy_signals
from ._watch import UNWATCHED, Watch

SYSTEMS = (*FIXED, "exhaustive", "policy")


class System(Protocol):
    """Ranks the passages of one index for a question."""

    name: str
    """What to tell the user answered."""

    def rank(self, question: str, limit: int, watch: Watch = UNWATCHED) -> Ranked:
        """Return at most ``limit`` passages.

        Raises:
            SearchCancelledError: when ``watch`` says so.
        """
        ...

    def rank_many(self, questions: Sequence[str], limit: int, watches: Sequence[Watch]) -> list[Ranked]:
        """Return what :meth:`rank` returns for each question, at less cost."""
        ...


class PolicySystem:
    """The learned policy; with ``exhaustive`` everything that can be asked is asked and it only chooses.

    Over texts it serves the vectors of any encoder; its hop encoder, those that it was tuned for.

    Raises:
        PolicyError: when either is for a knowledge graph, and the policy was not trained for this index.
    """

    def __init__(self, index: Searchable, policy: LoadedPolicy, label: str, exhaustive: bool = False) -> None:
        alike = policy.encoder == index.encoder_name
        if not alike and (index.facts is not None or policy.architecture.fact_kinds):
            raise PolicyError(
                f"the policy {label} was trained with the encoder {policy.encoder!r}, the index {index.path} was built"
                f" with {index.encoder_name!r}: train on this index"
            )
        self._index = index
        self._policy = policy  # which agents share as long as one has it
        self._confidence = policy.confidence
        self._ranker = policy.ranker
        self._hop_encoder = policy.hop_encoder(threads=1) if alike else None
        self._explain: Explain = explain
        self._scorer: Scorer
        if index.facts is None:
            self._scorer = policy.scorer
        else:
            from ._fact_explanation import FactExplanation  # which imports torch

            self._scorer = network = policy.network
            network.use_facts(FactTable(index.facts))
            self._explain = FactExplanation(network)
        self._settings = replace(policy.settings, expand_everything=True) if exhaustive else policy.settings
        wide = "exhaustive search, ranked by the " if self._settings.expand_everything else ""
        self.name = f"{wide}policy {label}"

    def rank(self, question: str, limit: int, watch: Watch = UNWATCHED) -> Ranked:
        """Return at most ``limit`` passages."""
        return self.rank_worlds([self.world(question)], limit, self._explain, [watch])[0]

    def rank_many(self, questions: Sequence[str], limit: int, watches: Sequence[Watch]) -> list[Ranked]:
        """Return at most ``limit`` passages for each question; they share encodings and passes of the network."""
        if self._index.facts is not None:
            worlds = [self.world(question) for question in questions]
        else:
            worlds = [self._world_of(query) for query in self._index.queries(questions)]
        return self.rank_worlds(worlds, limit, self._explain, watches)

    def rank_fact(self, question: str, answer: str, limit: int) -> Ranked:
        """Answer a question of a test: rank at most ``limit`` entities while the fact that gives ``answer`` is hidden.

        The head, which is evidence because the walk sets out from it, is the last answer to be given.
        """
        world = fact_world(one_index(self._index, "a knowledge graph"), question, answer, self._settings)
        found = self.rank_worlds([world], len(self._index), None)[0]
        head = found.rows == world.asked.head
        order = np.argsort(head, kind="stable")[:limit]
        scores = np.sort(found.scores)[::-1][:limit]
        return replace(found, rows=found.rows[order], scores=scores, probabilities=None)

    def rank_worlds(
        self, worlds: Sequence[QuestionWorld], limit: int, words: Explain | None, watches: Sequence[Watch] = ()
    ) -> list[Ranked]:
        """Search worlds side by side; ``words`` explains each action."""
        how = (self._scorer, self._settings, worlds, len(worlds))
        outcomes = search_worlds(*how, explain=words, ranker=self._ranker, watches=watches)
        return [self._ranked(world, outcome, limit) for world, outcome in zip(worlds, outcomes, strict=True)]

    def _ranked(self, world: QuestionWorld, outcome: Outcome, limit: int) -> Ranked:
        stated = likely = None
        if self._confidence is not None:
            stated = self._confidence.of("policy", policy_signals(world, outcome.ranking, outcome.signals))
            likely = self._confidence.of_passages("policy", stated, listed(outcome))
        return Ranked(
            outcome.ranking[:limit],
            outcome.scores[:limit],
            tuple(row for row in outcome.ranking.tolist() if row in outcome.taken),
            tuple(outcome.decisions),
            len(outcome.decisions),
            outcome.calls,
            outcome.recall - outcome.total_reward,
            None if stated is None else stated.confidence,
            stated is not None and stated.unanswered,
            outcome.asked,
            world.by_words if self._index.facts is None else None,
            Query(world.view.text, world.view.vector, world.view.pieces),
            None if likely is None else likely[:limit],
        )

    def world(self, question: str) -> QuestionWorld:
        """Return what is known of a question before it is searched."""
        if self._index.facts is not None:
            return fact_world(one_index(self._index, "a knowledge graph"), question, None, self._settings)
        return self._world_of(self._index.query(question))

    def _world_of(self, query: Query) -> QuestionWorld:
        view = QuestionView.of_query(self._index, query)
        return QuestionWorld(self._index, view, self._settings, hop_encoder=self._hop_encoder)


class RerankedSystem:
    """Any system over texts, the head of its ranking re-ranked.

    The scores stay with the places: what changes is which passage stands where.

    Raises:
        PolicyError: when there is no usable re-ranker in ``folder``, or the index is a knowledge graph.
    """

    def __init__(self, index: Searchable, system: System, folder: Path) -> None:
        self._index = index
        self._system = system
        self._reranker = open_reranker(folder, index)
        self.name = f"{system.name}, re-ranked by {folder}"

    def rank(self, question: str, limit: int, watch: Watch = UNWATCHED) -> Ranked:
        """Return at most ``limit`` passages."""
        return self.rank_many([question], limit, [watch])[0]

    def rank_many(self, questions: Sequence[str], limit: int, watches: Sequence[Watch]) -> list[Ranked]:
        """Return at most ``limit`` passages for each question."""
        found = self._system.rank_many(questions, max(limit, CANDIDATES), watches)
        return [self._reordered(question, ranked, limit) for question, ranked in zip(questions, found, strict=True)]

    def _reordered(self, question: str, found: Ranked, limit: int) -> Ranked:
        order = new_order(self._reranker, self._index, question, found.rows, found.scores)
        likely = None if found.probabilities is None else found.probabilities[order][:limit]
        return replace(found, rows=found.rows[order][:limit], scores=found.scores[:limit], probabilities=likely)

    def sentences(self, question: str, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return the sentence of every passage that supports the question best."""
        return self._reranker.sentences(Query(question), passages)


def shipped_policy() -> Path | None:
    """Return the folder of the policy that comes with the package, if it does."""
    folder = Path(__file__).parent / "shipped"
    return folder if (folder / "policy.json").is_file() else None


def shipped_confidence() -> Confidence | None:
    """Return how sure searches are by what comes with the package: a fixed system has no policy of its own."""
    folder = shipped_policy()
    return None if folder is None else load_confidence(folder)


def open_system(
    index: Searchable,
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
        from ._tuned_queries import TunedQueries  # which imports torch

        fixed = FixedSystem(
            index,
            name,
            TunedQueries(query_encoder, one_index(index, "an encoder of tuned queries")),
            shipped_confidence(),
        )
        return fixed if reranker is None else RerankedSystem(index, fixed, reranker)
    system = _open_system(index, name, policy)
    return system if reranker is None else RerankedSystem(index, system, reranker)


def _open_system(index: Searchable, name: str | None, policy: Path | None) -> System:
    if name is not None and name not in SYSTEMS:
        raise PolicyError(f"there is no system {name!r}: choose one of {', '.join(SYSTEMS)}")
    if name in FIXED:
        if policy is not None:
            raise PolicyError(f"the fixed system {name!r} has no use for the policy {policy}: leave one out")
        return FixedSystem(index, name, confidence=shipped_confidence())
    folder = policy or shipped_policy()
    label = str(policy) if policy is not None else "that comes with the package"
    if folder is not None:
        loaded = shared_policy(folder)
        if name is not None or policy is not None or index.facts is None:
            return PolicySystem(index, loaded, label, exhaustive=name == "exhaustive")
    elif name is not None:
        raise PolicyError(f"the system {name!r} needs a policy: train one, and give its folder")
    return FixedSystem(index, "hybrid", confidence=shipped_confidence())

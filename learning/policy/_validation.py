"""How good the policy is on questions it does not learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...agent._confidence import LISTED, Confidence, Examples, listed, listed_by_rank
from ...agent._network import PolicyNetwork
from ...agent._ranker import Ranker
from ...agent._rollout import Outcome, search_worlds
from ...agent._scorer import Scorer
from ...agent._search_signals import LOOKED_AT, SIGNALS, TOP, Asked, policy_signals
from ...envs._fact_world import FactWorld
from ...envs._world import QuestionWorld
from ...envs.settings import EnvironmentSettings
from ...retrievers._fusion import reciprocal_rank_fusion
from ...retrievers.protocols import Encoder
from ...retrievers.records import Rows
from ._unanswerable import unanswerable
from ._workers import ALONE, Team

DRAWS = 3
"""Searches of each validation question over facts by drawing from the policy, besides the greedy one."""


@dataclass(frozen=True, slots=True)
class JudgedSearch:
    """What a search ended with, and what is known of its question.

    Attributes:
        system, kind: which system ranked, and which signals it has: see ``SIGNALS``.
        signals: float64 [k].
        complete: whether the first passages hold all the evidence.
        answerable: whether there is any.
        listed: signals of the first passages of its ranking, float64 [m, 4].
        supporting: which of them support the question, bool [m].
    """

    system: str
    kind: str
    signals: NDArray[np.float64]
    complete: bool
    answerable: bool
    listed: NDArray[np.float64]
    supporting: NDArray[np.bool_]


def validate(
    network: PolicyNetwork, settings: EnvironmentSettings, worlds: Sequence[QuestionWorld], team: Team = ALONE
) -> dict[str, float]:
    """Search every world greedily; returns recall@5, all_recall@5, return, calls and the ``score``.

    The score decides which policy is kept: recall, among the first five and of the passages taken, by halves, less
    the price paid for it; over a knowledge graph the reciprocal rank of the answer (``mrr``) less that price; where a
    judge stands for the labels, the return. In a team every worker searches its own worlds; the figures are of all.
    """
    network.eval()
    outcomes = search_worlds(network, settings, worlds)
    judged = [world.judge is not None and world.judge.rewards for world in worlds]
    names = ("mrr", "recall@5", "all_recall@5", "return", "calls", "score")
    figures: dict[str, list[float]] = {name: [] for name in names}
    for outcome, world, by_judge in zip(outcomes, worlds, judged, strict=True):
        if not by_judge and not world.gold:
            continue
        figures["return"].append(outcome.total_reward)
        figures["calls"].append(outcome.calls)
        if by_judge:
            figures["score"].append(outcome.total_reward)
            continue
        found = world.labels_met(outcome.ranking[:TOP].tolist())
        quality = (found / len(world.gold) + outcome.recall) / 2
        figures["recall@5"].append(found / len(world.gold))
        figures["all_recall@5"].append(found == len(world.gold))
        if isinstance(world, FactWorld):
            quality = reciprocal_rank(world, outcome.ranking)
            figures["mrr"].append(quality)
        figures["score"].append(quality - (outcome.recall - outcome.total_reward))
    joined = {name: team.joined(values) for name, values in figures.items()}
    return {name: float(np.mean(values)) for name, values in joined.items() if values}


def reciprocal_rank(world: FactWorld, ranking: Rows) -> float:
    """Return 1 / the answer's rank among the entities that are not known answers, nor the head; 0 when unranked."""
    passed_over = {world.asked.head, *world.known.tolist()} - {world.answer_row}
    rows = [row for row in ranking.tolist() if row not in passed_over]
    return 1 / (rows.index(world.answer_row) + 1) if world.answer_row in rows else 0.0


def calibrate(
    network: Scorer,
    settings: EnvironmentSettings,
    worlds: Sequence[QuestionWorld],
    rng: np.random.Generator,
    team: Team = ALONE,
    ranker: Ranker | None = None,
    hop_encoder: Encoder | None = None,
) -> Confidence | None:
    """Fit how sure searches are, on searches of ``worlds`` (with supporting passages) and of such as have no answer.

    Beside the policy's ranking those of the fixed systems are judged. Over facts every question has its answer: to see
    failures too, each is also searched ``DRAWS`` times by drawing from the policy. None where no world has a supporting
    passage. In a team every worker searches its own worlds.
    """
    searched = [world for world in worlds if world.gold]
    of_texts = [world for world in searched if not isinstance(world, FactWorld)]
    asked = [*searched, *unanswerable(of_texts, rng, hop_encoder)]
    ends = list(zip(asked, search_worlds(network, settings, asked, ranker=ranker), strict=True))
    over_facts = [world for world in searched if isinstance(world, FactWorld)]
    for _ in range(DRAWS if over_facts else 0):
        ends += zip(over_facts, search_worlds(network, settings, over_facts, draw=rng), strict=True)
    seen = [judged for world, outcome in ends for judged in judged_searches(world, outcome)]
    examples = examples_of(team.joined(seen))
    return Confidence.fit(examples) if examples else None


def judged_searches(world: QuestionWorld, outcome: Outcome) -> Iterator[JudgedSearch]:
    """Yield a policy's search, and those that fixed systems would make for the same question."""
    signals = policy_signals(world, outcome.ranking, outcome.signals)
    yield _judged("policy", "policy", world, outcome.ranking, signals, listed(outcome))
    if isinstance(world, FactWorld):
        return
    asked = Asked.of(world)
    assert asked.vector is not None
    lexical, dense = asked.lexical, asked.vector[1]
    hybrid = reciprocal_rank_fusion([lexical, dense], LOOKED_AT)
    yield _judged("lexical", "words", world, lexical.rows, replace(asked, vector=None).signals(lexical.rows))
    for system, hits in (("dense", dense), ("hybrid", hybrid)):
        yield _judged(system, "vectors", world, hits.rows, asked.signals(hits.rows))


def _judged(
    system: str,
    kind: str,
    world: QuestionWorld,
    rows: Rows,
    signals: NDArray[np.float64],
    passages: NDArray[np.float64] | None = None,
) -> JudgedSearch:
    answerable = bool(world.gold)
    complete = answerable and world.labels_met(rows[:TOP].tolist()) == len(world.gold)
    if passages is None:
        passages = listed_by_rank(len(rows))
    supporting = np.array([world.met_by(row) >= 0 for row in rows[:LISTED].tolist()], np.bool_)
    return JudgedSearch(system, kind, signals, complete, answerable, passages[:LISTED], supporting)


def examples_of(searches: Sequence[JudgedSearch]) -> dict[str, Examples]:
    """Return searches by kind, as a confidence is fitted to them; kinds without any are left out."""
    of_kind = {kind: [one for one in searches if one.kind == kind] for kind in SIGNALS}
    return {
        kind: Examples(
            np.array([one.signals for one in ones]),
            np.array([one.complete for one in ones]),
            np.array([one.answerable for one in ones]),
            [one.listed for one in ones],
            [one.supporting for one in ones],
        )
        for kind, ones in of_kind.items()
        if ones
    }

"""How good the policy is on questions it does not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...agent._network import PolicyNetwork
from ...agent._rollout import Confidence, search_worlds
from ...envs._fact_world import FactWorld
from ...envs._world import QuestionWorld
from ...envs.settings import EnvironmentSettings
from ...retrievers.records import Rows
from ._workers import ALONE, Team

TOP = 5

DRAWS = 3
"""Searches of each validation question by drawing from the policy, besides the greedy one."""


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
    network: PolicyNetwork,
    settings: EnvironmentSettings,
    worlds: Sequence[QuestionWorld],
    rng: np.random.Generator,
    team: Team = ALONE,
) -> Confidence | None:
    """Fit how sure the policy is that its evidence is complete, on searches of ``worlds`` (with supporting passages).

    Each is searched greedily, and ``DRAWS`` times by drawing from the policy: its own failures are few. None where no
    world has a supporting passage. In a team every worker searches its own worlds.
    """
    network.eval()
    searched = [world for world in worlds if world.gold]
    outcomes = search_worlds(network, settings, searched)
    for _ in range(DRAWS):
        outcomes += search_worlds(network, settings, searched, draw=rng)
    ends = team.joined([(outcome.signals, outcome.recall) for outcome in outcomes])
    if not ends:
        return None
    complete = np.array([recall > 1 - 1e-6 for _, recall in ends])
    return Confidence.fit(np.array([signals for signals, _ in ends]), complete)

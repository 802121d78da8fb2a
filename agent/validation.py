"""How good the policy is on questions it does not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..envs.settings import EnvironmentSettings
from ..envs.world import QuestionWorld
from .network import PolicyNetwork
from .rollout import search_worlds

TOP = 5


def validate(
    network: PolicyNetwork, settings: EnvironmentSettings, worlds: Sequence[QuestionWorld]
) -> dict[str, float]:
    """Search every world greedily; returns recall@5, all_recall@5, return, calls and the ``score``.

    The score decides which policy is kept: recall among the first five less the price paid for it. Where a judge
    stands for the labels, there is no recall, and the score is the return: what the judge holds of the evidence less
    its price.
    """
    network.eval()
    outcomes = search_worlds(network, settings, worlds)
    judged = [world.judge is not None and world.judge.rewards for world in worlds]
    figures: dict[str, list[float]] = {name: [] for name in ("recall@5", "all_recall@5", "return", "calls", "score")}
    for outcome, world, by_judge in zip(outcomes, worlds, judged, strict=True):
        if not by_judge and not world.gold:
            continue
        figures["return"].append(outcome.total_reward)
        figures["calls"].append(outcome.calls)
        if by_judge:
            figures["score"].append(outcome.total_reward)
            continue
        found = len(world.gold.intersection(outcome.ranking[:TOP].tolist()))
        figures["recall@5"].append(found / len(world.gold))
        figures["all_recall@5"].append(found == len(world.gold))
        figures["score"].append(found / len(world.gold) - (outcome.recall - outcome.total_reward))
    return {name: float(np.mean(values)) for name, values in figures.items() if values}

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

    The score decides which policy is kept: recall among the first five less the price paid for it.
    """
    network.eval()
    outcomes = search_worlds(network, settings, worlds)
    recalls, complete, returns, prices, calls = [], [], [], [], []
    for outcome, world in zip(outcomes, worlds, strict=True):
        if not world.gold:
            continue
        found = len(world.gold.intersection(outcome.ranking[:TOP].tolist()))
        recalls.append(found / len(world.gold))
        complete.append(found == len(world.gold))
        returns.append(outcome.total_reward)
        prices.append(outcome.recall - outcome.total_reward)
        calls.append(outcome.calls)
    recall = float(np.mean(recalls))
    return {
        "recall@5": recall,
        "all_recall@5": float(np.mean(complete)),
        "return": float(np.mean(returns)),
        "calls": float(np.mean(calls)),
        "score": recall - float(np.mean(prices)),
    }

"""Small networks over a query's clues: which shard, and which sub-index first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from .clues import Clues, stacked
from .shards import SHARD_CLUES, ShardStatistics

PLAN_CLUES = 6
"""What a plan is made of beside the vector."""


class ShardNetwork(nn.Module):
    """Scores shards: what is known of each for the query, by weights they share, and a head over the query's vector.

    Letters: b queries, S shards, f = SHARD_CLUES, d dimension.

    Args:
        dimension: d.
        shards: S.
        hidden: numbers in each hidden layer.
    """

    def __init__(self, dimension: int, shards: int, hidden: int = 64) -> None:
        super().__init__()
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", torch.zeros(SHARD_CLUES))
        self.register_buffer("spread", torch.ones(SHARD_CLUES))
        self.judge = nn.Sequential(nn.Linear(2 * SHARD_CLUES, hidden // 2), nn.ReLU(), nn.Linear(hidden // 2, 1))
        self.head = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(dimension, hidden), nn.ReLU(), nn.Dropout(0.3), nn.Linear(hidden, shards)
        )
        # The vectors' numbers are about 1/sqrt(d) each, the clues' about 1.
        self._scale = dimension**0.5 / 2
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def measure(self, known: Tensor) -> None:
        """Take mean and spread of the clues [n, S, f], so that they come in one scale."""
        self.mean.copy_(known.mean(dim=(0, 1)))
        self.spread.copy_(known.std(dim=(0, 1)).clamp(min=1e-3))

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Return scores [b, S] for query vectors [b, d] and what is known of the shards [b, S, f]."""
        known = (known - self.mean) / self.spread
        beside = known - known.mean(dim=1, keepdim=True)
        judged = self.judge(torch.cat([known, beside], dim=2)).squeeze(-1)
        scores: Tensor = judged + self.head(vectors * self._scale)
        return scores


class PlanNetwork(nn.Module):
    """Scores sub-indexes by the query's vector and by how it names titles and how rare its words are.

    Args:
        dimension: of the vector.
        choices: how many sub-indexes there are.
        hidden: numbers in the hidden layer.
    """

    def __init__(self, dimension: int, choices: int, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dimension + PLAN_CLUES, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, choices)
        )

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """Return scores [b, choices] for query vectors [b, d] and :func:`plan_clues` [b, PLAN_CLUES]."""
        scores: Tensor = self.layers(torch.cat([vectors * 4, known], dim=1))
        return scores


def plan_clues(clues: Sequence[Clues]) -> Tensor:
    """Return what a plan is made of, float32 [b, PLAN_CLUES]: terms and idf, titles named and how specifically."""
    rows = []
    for one in clues:
        idf = one.idf if len(one.idf) else np.zeros(1, np.float32)
        specificity = one.specificity if len(one.specificity) else np.zeros(1, np.float32)
        named = len(one.named)
        rows.append(
            [len(one.terms) / 10, idf.max() / 10, idf.mean() / 10, float(named > 0), named / 10, specificity.sum() / 5]
        )
    return torch.tensor(rows, dtype=torch.float32)


def shard_inputs(statistics: ShardStatistics, clues: Sequence[Clues]) -> tuple[Tensor, Tensor]:
    """Return what is known of the shards [n, S, f] and the query vectors [n, d]."""
    known = torch.from_numpy(np.stack([statistics.clues(one) for one in clues]))
    return known, torch.from_numpy(stacked(clues))

r"""Fusion of rankings with learned weights, which a loss can be sent back through.

A passage's fused score is a weighted sum of what every sub-index says of it,

.. math:: s(i) = \frac{1}{\tau} \sum_f w_f \, x_f(i),

with three numbers x from each: its score scaled to 0 (the last of the list) to 1 (the first), :math:`60 / (60 + rank)`,
and 1 for having found it at all. Before it has learned anything the weights are those of reciprocal rank fusion.
Learned convex combinations of scores beat reciprocal ranks with few questions (Bruch, Gai and Ingber 2023,
arXiv:2210.11934).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import PolicyError, RecipeError
from .._fusion import K
from .._hashed_files import read_sealed_json, write_sealed_json
from ..records import Hits, Rows

FILE = "fusion.json"
PER_RANKING = 3
"""Features that each ranking gives: scaled score, reciprocal rank, found."""


def fusion_features(rankings: Sequence[Hits]) -> tuple[Rows, NDArray[np.float32]]:
    """Return the rows that any ranking found, ascending, and features [n, 3 * rankings], 0 where one did not."""
    found = [hits.rows for hits in rankings]
    rows = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
    features = np.zeros((len(rows), PER_RANKING * len(rankings)), np.float32)
    for number, hits in enumerate(rankings):
        if len(hits):
            at, first = np.searchsorted(rows, hits.rows), PER_RANKING * number
            span = float(hits.scores[0] - hits.scores[-1])
            features[at, first] = (hits.scores - hits.scores[-1]) / span if span > 0 else 1.0
            features[at, first + 1] = K / (K + np.arange(1, len(hits) + 1))
            features[at, first + 2] = 1.0
    return rows, features


class LearnedFusion(nn.Module):
    """The learned weights and temperature of a fusion of the sub-indexes ``names``, in the order of rankings."""

    def __init__(self, names: Sequence[str], temperature: float = 0.1) -> None:
        super().__init__()
        if not names or not temperature > 0:
            raise RecipeError(
                f"a fusion needs sub-indexes and a temperature above 0, not {list(names)} and {temperature}"
            )
        self.names = tuple(names)
        weights = torch.zeros(len(names), PER_RANKING)
        weights[:, 1] = 1.0
        self.weights = nn.Parameter(weights.flatten())
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))

    def forward(self, features: Tensor) -> Tensor:
        """Return scores [b, n] of features [b, n, 3 * rankings], ready for a softmax."""
        return features @ self.weights / self.log_temperature.exp()

    @torch.no_grad()
    def fuse(self, rankings: Mapping[str, Hits], limit: int) -> Hits:
        """Fuse what the sub-indexes found, one ranking for each of ``names``, best first, ties by row."""
        if set(rankings) != set(self.names):
            raise RecipeError(f"the fusion was learned for {', '.join(self.names)}, not for {', '.join(rankings)}")
        rows, features = fusion_features([rankings[name] for name in self.names])
        scores = self(torch.from_numpy(features)).numpy()
        best = np.lexsort((rows, -scores))[: max(limit, 0)]
        return Hits(rows[best], scores[best])

    def save(self, folder: Path) -> None:
        """Write the weights into ``folder``, which exists."""
        weights = self.weights.detach().reshape(len(self.names), PER_RANKING).tolist()
        write_sealed_json(
            folder / FILE,
            {"weights": dict(zip(self.names, weights, strict=True)), "temperature": self.log_temperature.exp().item()},
        )

    @classmethod
    def load(cls, folder: Path) -> LearnedFusion:
        """Read what :meth:`save` wrote; PolicyError when it is missing or damaged."""
        path = folder / FILE
        stored = read_sealed_json(path, PolicyError, "train the fusion again")
        try:
            weights = np.array(list(stored["weights"].values()), np.float32)
            fusion = cls(list(stored["weights"]), float(stored["temperature"]))
            if weights.shape != (len(fusion.names), PER_RANKING) or not np.isfinite(weights).all():
                raise ValueError(f"weights of shape {weights.shape}")
        except (ValueError, KeyError, TypeError, AttributeError, RecipeError) as error:
            raise PolicyError(
                f"{path} cannot be used as the weights of a fusion ({shorten(str(error), 200)}): train it again"
            ) from error
        with torch.no_grad():
            fusion.weights.copy_(torch.from_numpy(weights.flatten()))
        return fusion

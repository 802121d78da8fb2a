"""Puts everything that a search has seen in its final order; a take is one of many signs, and can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs._seen import EDGES, LATE, SEEN_FEATURES, Seen

Array = NDArray[np.float32]

PRIOR = SEEN_FEATURES.index("fused")
"""What the order begins with, and what it must beat: hybrid's fusion."""

WEIGHTS = ("mean", "scale", "first", "first_bias", "second", "second_bias", "out", "prior")


def without_pieces(features: Array, mean: Array) -> Array:
    """Return the features of a list, float32 [n, f]; without word pieces, with what is usual."""
    if features[:, LATE].any():
        return features
    filled = features.copy()
    filled[:, LATE] = mean[LATE]
    return filled


class Ranker:
    """Scores every passage that was seen, beside all others: a small network over whole lists, computed with numpy.

    h = relu(W x + b) for each passage; h' = relu(V [h, mean h, A h for every kind of edge] + c) passes messages once
    between neighbours; the score is u h' + p f, where f is the logarithm of hybrid's fusion. Several networks that were
    trained alike score together: the mean of a few is steadier than any.

    Args:
        weights: by the names in ``WEIGHTS``, each with a first axis for the networks; ``second`` has room for the
            messages, or not (the ablation).

    Raises:
        ValueError: when they do not fit together.
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self.weights = {name: np.asarray(weights[name], np.float32) for name in WEIGHTS}
        if self.weights["first"].ndim != 3 or self.weights["second"].ndim != 3 or not len(self.weights["first"]):
            raise ValueError("the ranker's networks have another number of axes")
        self.networks, _, width = self.weights["first"].shape
        inputs = self.weights["second"].shape[1]
        self.passes_messages = inputs == (2 + len(EDGES)) * width
        each = {
            "mean": (len(SEEN_FEATURES),),
            "scale": (len(SEEN_FEATURES),),
            "first": (len(SEEN_FEATURES), width),
            "first_bias": (width,),
            "second": (inputs if self.passes_messages else 2 * width, width),
            "second_bias": (width,),
            "out": (width,),
            "prior": (),
        }
        shapes = {name: (self.networks, *shape) for name, shape in each.items()}
        found = {name: array.shape for name, array in self.weights.items()}
        if found != shapes:
            raise ValueError(f"the ranker's arrays {found} do not fit together")

    @property
    def first(self) -> Ranker:
        """The first of its networks alone."""
        return Ranker({name: array[:1] for name, array in self.weights.items()})

    def scores(self, seen: Seen) -> Array:
        """Return a score for every passage, float32 [n]; higher is better."""
        total = np.zeros(len(seen.rows), np.float32)
        if len(total):
            for number in range(self.networks):
                total += self._scores(seen, {name: array[number] for name, array in self.weights.items()})
        mean: Array = total / self.networks
        return mean

    def _scores(self, seen: Seen, w: Mapping[str, Array]) -> Array:
        features = without_pieces(seen.features, w["mean"])
        first = np.maximum((features - w["mean"]) / w["scale"] @ w["first"] + w["first_bias"], 0)  # [n, w]
        parts: list[Any] = [first, np.broadcast_to(first.mean(axis=0), first.shape)]
        if self.passes_messages:
            parts += list(seen.edges @ first)
        second = np.maximum(np.concatenate(parts, axis=1) @ w["second"] + w["second_bias"], 0)
        out: Array = second @ w["out"] + w["prior"] * seen.features[:, PRIOR]
        return out

"""Which shards to ask: a small network judges what is known of each before a passage is scored.

Its weights are shared by all shards, and what it sees is relative to the other shards. So one that was trained on
some corpora routes over others, with any number of shards; one comes with the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import RouterError
from .._calibration import Scores, softmax
from .._hashed_files import about_tensors, read_sealed_tensors, write_sealed_tensors
from ..records import Vectors
from ._clues import named_evidence, region_evidence, word_evidence

SHIPPED = Path(__file__).parent / "shipped" / "shard_judge.safetensors"
"""The judge that comes with the package."""

CLUES = 12
"""Of a shard: four of the question's words, two of words in titles, two of named titles, four of its regions."""

_NEAREST = 10
"""Regions of all shards whose share is told."""

_SHARPNESS = 20.0
"""What similarities are multiplied by before their share is told."""

_REMEDY = "install Trailhound again"


@dataclass(frozen=True)
class KnownOfShards:
    """What is known of S shards for a question, without a passage scored.

    Attributes:
        sizes: passages of each, float32 [S].
        counts: passages of each that have a word of the question, float32 [t, S].
        in_titles: the same of titles alone, float32 [t, S].
        named: shards of the passages whose titles the question names, int64 [k].
        specificity: how specifically it names each, float32 [k]; see ``Clues``.
    """

    sizes: NDArray[np.float32]
    counts: NDArray[np.float32]
    in_titles: NDArray[np.float32]
    named: NDArray[np.int64]
    specificity: NDArray[np.float32]

    def clues(self, regions: Vectors, vector: Vectors) -> NDArray[np.float32]:
        """Return what a judge sees, float32 [S, CLUES], of the regions [S, R, d] for a question's vector [d]."""
        shards, frequency = len(self.sizes), self.counts.sum(axis=1)
        idf = np.log1p((self.sizes.sum() - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)
        weight = idf / max(float(idf.sum()), 1e-9)
        share = self.in_titles / np.maximum(self.in_titles.sum(axis=1, keepdims=True), 1)
        columns = (
            word_evidence(self.counts, idf, self.sizes),
            np.stack([weight @ (self.in_titles > 0), weight @ share], axis=1),
            named_evidence(self.named, self.specificity, shards),
            region_evidence(regions, vector),
            nearest_share(regions, vector)[:, None],
        )
        return np.hstack(columns).astype(np.float32)


def nearest_share(regions: Vectors, vector: Vectors) -> NDArray[np.float32]:
    """Return each shard's share of the regions of all that are nearest to a question, float32 [S].

    ReDDE (Si and Callan 2003) counts the passages of a sample; here a region stands for its passages.
    """
    near = (regions @ vector).ravel()
    best = np.argsort(-near, kind="stable")[:_NEAREST]
    weight = np.exp(_SHARPNESS * (near[best] - near[best[0]]))
    return np.bincount(best // regions.shape[1], weight / weight.sum(), len(regions)).astype(np.float32)


def beside(clues: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return clues [..., S, CLUES] as they are, and relative to the mean and to the best shard: [..., S, 3 CLUES]."""
    mean, most = clues.mean(axis=-2, keepdims=True), clues.max(axis=-2, keepdims=True)
    return np.concatenate([clues, clues - mean, clues - most], axis=-1)


@dataclass(frozen=True)
class ShardJudge:
    """Says how probable it is that a shard holds what a question asks for.

    Attributes:
        arrays: mean and spread [3 CLUES] of what it sees, ``hidden`` [3 CLUES, h] with ``hidden_offset`` [h],
            ``out`` [h], and the temperature [1].
    """

    arrays: Mapping[str, NDArray[np.float32]]

    def scores(self, clues: NDArray[np.float32]) -> Scores:
        """Return the scores of shards, float32 [..., S], by their clues [..., S, CLUES]."""
        seen = (beside(clues) - self.arrays["mean"]) / self.arrays["spread"]
        hidden = np.maximum(seen @ self.arrays["hidden"] + self.arrays["hidden_offset"], 0)
        return np.asarray(hidden @ self.arrays["out"], np.float32)

    def probabilities(self, clues: NDArray[np.float32]) -> Scores:
        """Return p(shard | question), float32 [S], by the clues [S, CLUES]."""
        return softmax(self.scores(clues), float(self.arrays["temperature"][0]))

    def save(self, path: Path, about: Mapping[str, object]) -> None:
        """Write it with what it was trained on."""
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in self.arrays.items()}
        write_sealed_tensors(path, save(arrays, about_tensors(about)))

    @classmethod
    def load(cls, path: Path) -> ShardJudge:
        """Read what :meth:`save` wrote; RouterError when it is missing or damaged."""
        from safetensors.numpy import load

        content, _ = read_sealed_tensors(path, RouterError, _REMEDY)
        return cls(load(content))


@cache
def shipped_judge() -> ShardJudge:
    """Return the judge that comes with the package."""
    return ShardJudge.load(SHIPPED)

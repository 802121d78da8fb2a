"""Personalised PageRank over the knowledge graph: how near every passage is to a few that are known to matter."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ._edges import Edges, Relation

MOST_OF_A_SHARE = 0.05
"""A share counts less than this, where a mention counts 1: a mention is sure, a rare string in common is not."""

TOLERANCE = 1e-9
MAX_STEPS = 5000
"""Conjugate gradients take about 35 at damping 0.85 and 500 at 0.999."""


class WalkedGraph(Protocol):
    """What a walk needs of a graph."""

    @property
    def edges(self) -> Edges:
        """Every edge once."""
        ...

    def __len__(self) -> int:
        """Return the number of passages."""
        ...


class PageRank:
    r"""A random walk that follows edges with probability d and else goes back to the seeds.

    .. math:: x = d P^T x + (1 - d) p

    (Page, Brin, Motwani and Winograd, The PageRank Citation Ranking, 1999, section 6; over passages for multi-hop
    retrieval: Gutierrez et al., HippoRAG, 2024, arXiv:2405.14831.) ``P`` steps to a neighbour in proportion to the
    edge's weight. Every edge can be walked both ways; mentions and adjacency weigh 1, a share of weight w weighs
    ``MOST_OF_A_SHARE`` * w / (w + mean w). A passage without edges goes back to the seeds.

    As every edge holds both ways, ``I - d P^T`` is similar to a symmetric positive definite matrix, and conjugate
    gradients (Hestenes and Stiefel 1952) need a third of the steps of power iteration. Safe for several threads.

    Args:
        graph: the graph to walk.
        damping: d, from 0 to below 1.

    Raises:
        ValueError: when ``damping`` is outside its range.
    """

    def __init__(self, graph: WalkedGraph, damping: float = 0.85) -> None:
        if not 0 <= damping < 1:
            raise ValueError(f"damping is {damping}, not a number from 0 to below 1 (0.85 is usual)")
        from scipy import sparse

        self.damping = damping
        self._passages = len(graph)
        edges = graph.edges
        weight = _walking_weights(edges.relation, edges.weight)
        ends = (np.concatenate([edges.source, edges.target]), np.concatenate([edges.target, edges.source]))
        walk = sparse.csr_array((np.concatenate([weight, weight]), ends), shape=(self._passages,) * 2)
        strength = np.asarray(walk.sum(axis=1), np.float64)
        # A passage without edges keeps 1, which no entry of the matrix uses.
        self._root = np.sqrt(np.where(strength > 0, strength, 1.0))  # [N]
        rows = np.repeat(np.arange(self._passages), np.diff(walk.indptr))
        walk.data *= damping / (self._root[rows] * self._root[walk.indices])
        self._walk = walk  # d D^-1/2 W D^-1/2, [N, N]

    def personalised(self, seeds: Mapping[int, float]) -> NDArray[np.float64]:
        """Return the probability of being at each passage, float64 [N], sum 1, absolute error below 1e-8.

        Args:
            seeds: rows and their weights, at least 0, at least one above; only the proportions count.

        Raises:
            IndexError: when a row is not in the graph.
            ArithmeticError: when the damping is so near to 1 that rounding keeps the error above that.
            ValueError: when no seed has a weight above 0, or a weight is below 0 or not finite.
        """
        scores = np.maximum(self._solve(self._preference(seeds) / self._root) * self._root, 0.0)
        # What ends at passages without edges would go back to the seeds: that scales the solution, no more.
        result: NDArray[np.float64] = scores / scores.sum()
        return result

    def _preference(self, seeds: Mapping[int, float]) -> NDArray[np.float64]:
        """Return p, float64 [N], sum 1."""
        for row, weight in seeds.items():
            if not 0 <= row < self._passages:
                raise IndexError(f"seed {row} is not one of the {self._passages} passages")
            if not (isfinite(weight) and weight >= 0):
                raise ValueError(f"seed {row} has the weight {weight}: give a finite number, at least 0")
        greatest = max(seeds.values(), default=0.0)
        if greatest == 0:
            raise ValueError("no seed has a weight above 0: give at least one")
        preference = np.zeros(self._passages)
        preference[list(seeds)] = np.array(list(seeds.values()), np.float64) / greatest
        result: NDArray[np.float64] = preference / preference.sum()
        return result

    def _solve(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve (I - d D^-1/2 W D^-1/2) z = right until the walk's probabilities are off by TOLERANCE in sum."""
        solution, residual, direction = np.zeros_like(right), right.copy(), right.copy()
        square = _inner(residual, residual)
        for _ in range(MAX_STEPS):
            # The inverse of I - d P^T is at most 1 / (1 - d) in the 1-norm, which (1 - d) p cancels.
            if _inner(self._root, np.abs(residual)) <= TOLERANCE:
                return solution
            stepped = direction - self._walk @ direction
            length = square / _inner(direction, stepped)
            solution += length * direction
            residual -= length * stepped
            previous, square = square, _inner(residual, residual)
            direction *= square / previous
            direction += residual
        raise ArithmeticError(f"damping {self.damping} is too near to 1 to be solved: choose at most 0.999")


def _inner(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    # Not ``@``: BLAS would start threads for it, which is a hundred times slower on a busy machine.
    return float(np.einsum("i,i->", one, other))


def _walking_weights(relation: NDArray[np.int8], weight: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how much each edge counts in the walk, float64 [m]."""
    counts = np.ones(len(relation))
    shared = relation == Relation.SHARES
    if shared.any():
        strength = weight[shared].astype(np.float64)
        counts[shared] = MOST_OF_A_SHARE * strength / (strength + strength.mean())
    return counts

"""The graph neural network of :mod:`._encoder` as a search runs it: over the links of one search, with numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

import numpy as np
from numpy.typing import NDArray

from ._edges import Relation

MOST_HEADS = 8
"""Heads of the network, where its width can be parted into so many."""

Array = NDArray[np.float32]

_RELATIONS = len(Relation)
_SUBSETS = ((np.arange(1 << _RELATIONS)[:, None] >> np.arange(_RELATIONS)) & 1).astype(np.float32)
"""Bits of links -> which relations they say, float32 [subsets, relations]."""
_SIZES = _SUBSETS.sum(axis=1)
_NORM_EPSILON = 1e-5
"""Of torch's LayerNorm."""


class GraphInference:
    """The forward pass of :class:`._encoder.QuestionConditionedGNN`, the same numbers to within fp32 rounding.

    Only nodes that have links are computed with; all others keep their state.

    Args:
        width: of the node states, d.
        rounds: of message passing.
        weights: by their names in a policy, which begin with ``graph.``.

    Shapes: n nodes, m pairs of linked nodes, l nodes that have links, h heads.
    """

    def __init__(self, width: int, rounds: int, weights: Mapping[str, Array]) -> None:
        self._heads = gcd(width, MOST_HEADS)
        self._label = _linear(weights, "graph.label")
        self._rounds = [
            (
                *_linear(weights, f"graph.gate.{k}"),
                *_linear(weights, f"graph.send.{k}"),
                *_linear(weights, f"graph.receive.{k}.0"),
                *_linear(weights, f"graph.receive.{k}.2"),
                weights[f"graph.norm.{k}.weight"],
                weights[f"graph.norm.{k}.bias"],
            )
            for k in range(rounds)
        ]

    def __call__(
        self, nodes: Array, evidence: NDArray[np.int64], adjacency: NDArray[np.uint8], question: Array
    ) -> Array:
        """Return the new node states [n, d].

        Args:
            nodes: node states [n, d].
            evidence: the nodes that are evidence.
            adjacency: uint8 [n, n], bit ``r`` of [a, b] says that a links to b by Relation r.
            question: the projected question.
        """
        nodes = nodes.copy()
        if len(evidence):
            nodes[evidence] += question @ self._label[0] + self._label[1]
        source, target = np.nonzero(adjacency)  # [m]
        bits = adjacency[source, target] & np.uint8(len(_SUBSETS) - 1)
        degree = np.bincount(np.concatenate((source, target)), np.tile(_SIZES[bits], 2), len(nodes))
        linked = np.flatnonzero(degree)
        size = len(linked)
        if not size:
            return nodes
        place = np.zeros(len(nodes), np.int64)
        place[linked] = np.arange(size)
        source, target = place[source], place[target]
        scale = (1 / np.sqrt(degree[linked])).astype(np.float32)[:, None]  # [l, 1]
        states = first = nodes[linked]  # [l, d]
        for gate, gate_bias, send, send_bias, receive, receive_bias, out, out_bias, norm, norm_bias in self._rounds:
            gates = (question @ gate + gate_bias).reshape(2, _RELATIONS, self._heads)
            carried = _SUBSETS @ gates  # [2, subsets, h]
            edges = np.zeros((self._heads, size, size), np.float32)  # receiver, then sender
            edges[:, target, source] = carried[0, bits].T
            edges[:, source, target] += carried[1, bits].T
            values = (states @ send + send_bias).reshape(size, self._heads, -1).transpose(1, 0, 2)  # [h, l, d/h]
            sums = (edges @ values).transpose(1, 0, 2).reshape(size, -1) * scale  # [l, d]
            hidden = np.maximum(np.concatenate((sums, states, first), axis=1) @ receive + receive_bias, 0)
            states = states + _normalised(hidden @ out + out_bias) * norm + norm_bias
        nodes[linked] = states
        return nodes


def _linear(weights: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """Return a layer's weights, so that ``x @ weights + bias`` is its output, and its bias."""
    return np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"]


def _normalised(rows: Array) -> Array:
    """Return rows with mean 0 and variance 1."""
    width = np.float32(rows.shape[1])
    centred = rows - (np.add.reduce(rows, axis=1) / width)[:, None]
    variance = np.einsum("nd,nd->n", centred, centred) / width
    out: Array = centred / np.sqrt(variance + np.float32(_NORM_EPSILON))[:, None]
    return out

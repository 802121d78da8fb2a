r"""Attention over an external memory: a query reads the slots whose keys it agrees with.

Weston, Chopra and Bordes 2015 (arXiv:1410.3916) and, with keys and values apart, Miller et al. 2016
(arXiv:1606.03126, section 3.1). Over an index the keys are the vectors of its passages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...errors import RecipeError
from .operators import read, softmax_weights


@dataclass(frozen=True, slots=True)
class MemoryReading:
    """What queries read.

    Attributes:
        values: [b, v], the values of the slots looked at, weighed and summed.
        weights: [b, k], of the slots looked at; rows sum to 1.
        slots: int64 [b, k], which slots those are, best first.
    """

    values: Tensor
    weights: Tensor
    slots: Tensor


class AttentionMemory(nn.Module):
    r"""A memory of keys and values, :math:`r = g \sum_i p_i (I + U D) v_i` with :math:`p = softmax(q K^T / \tau)`.

    What can be learned: the temperature, the gate g (at first ``gate``), a low-rank adapter of the values (at first 0)
    and, where asked for, the keys and values themselves.

    Args:
        keys: [n, d].
        values: [n, v].
        most: slots that a query looks at, those with the best scores; all when None. The gradient goes through these.
        temperature: tau at first.
        gate: g at first.
        rank: of the adapter of the values; none when 0.
        learn_slots: whether keys and values are learned too; otherwise they are not part of the saved state.
        generator: draws the adapter's D; needed where there is one.

    Raises:
        RecipeError: when keys and values differ in number, or the settings are impossible.
    """

    keys: Tensor
    values: Tensor

    def __init__(
        self,
        keys: Tensor,
        values: Tensor,
        *,
        most: int | None = None,
        temperature: float = 0.05,
        gate: float = 1.0,
        rank: int = 0,
        learn_slots: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(keys) != len(values) or not len(keys):
            raise RecipeError(f"a memory needs as many values as keys, not {len(keys)} keys and {len(values)} values")
        if not temperature > 0 or rank < 0 or (most is not None and most < 1):
            raise RecipeError(
                f"a memory cannot have the temperature {temperature}, the rank {rank} and look at {most} slots"
            )
        if rank and generator is None:
            raise RecipeError("the adapter of a memory's values is drawn at random: give a generator")
        self.wanted, self.most = most, len(keys) if most is None else min(most, len(keys))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.gate = nn.Parameter(torch.tensor(float(gate)))
        size = values.shape[1]
        self.down: Tensor | None = None
        self.up: Tensor | None = None
        if rank:
            self.down = nn.Parameter(torch.randn(rank, size, generator=generator) / size**0.5)
            self.up = nn.Parameter(torch.zeros(size, rank))
        if learn_slots:
            self.keys, self.values = nn.Parameter(keys.clone()), nn.Parameter(values.clone())
        else:
            self.register_buffer("keys", keys, persistent=False)
            self.register_buffer("values", values, persistent=False)

    def over(self, keys: Tensor, values: Tensor) -> AttentionMemory:
        """Return a memory of other slots that shares what this one learns: temperature, gate and adapter.

        Raises:
            RecipeError: when keys and values differ in number.
        """
        other = AttentionMemory(keys, values, most=self.wanted)
        other.log_temperature, other.gate, other.down, other.up = self.log_temperature, self.gate, self.down, self.up
        return other

    def forward(self, queries: Tensor) -> MemoryReading:
        """Let queries [b, d] read."""
        scores = queries @ self.keys.T  # [b, n]
        if self.most < len(self.keys):
            slots = torch.topk(scores.detach(), self.most, dim=1).indices  # [b, k]
            scores = scores.gather(1, slots)
        else:
            slots = torch.argsort(scores.detach(), dim=1, descending=True, stable=True)
            scores = scores.gather(1, slots)
        weights = softmax_weights(scores, self.log_temperature.exp())
        return MemoryReading(self._adapted(read(weights, self.values[slots])), weights, slots)

    def _adapted(self, summed: Tensor) -> Tensor:
        """Apply gate and adapter to what was summed [b, v], which is the same as to each value."""
        if self.down is not None and self.up is not None:
            summed = summed + (summed @ self.down.T) @ self.up.T
        return self.gate * summed

"""Linear layers of the encoder with a low-rank change that is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LowRankLinear(nn.Module):
    r"""A frozen linear layer with a trained change, ``y = W x + b + U D x`` (LoRA, arXiv:2106.09685, eq. 3).

    Args:
        linear: the frozen layer.
        rank: r; D is [r, inputs], drawn at random, and U [outputs, r], zero, so that tuning begins at W.
        generator: draws D.
    """

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self._frozen = [linear]  # in a list: what is not trained is not part of the state to save
        self.down = nn.Parameter(torch.randn(rank, linear.in_features, generator=generator) / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output [..., outputs] for ``x`` [..., inputs]."""
        base: Tensor = self._frozen[0](x)
        return base + (x @ self.down.T) @ self.up.T

"""The average of a network's weights over its gradient steps, which is what is validated and kept."""

from __future__ import annotations

from copy import deepcopy

import torch

from ...agent.network import PolicyNetwork


class WeightAverage:
    r"""An exponential moving average, ``w_avg <- d w_avg + (1 - d) w`` after every gradient step.

    Gradient steps on a handful of questions throw a policy about from one epoch to the next; their average does not
    (Polyak and Juditsky 1992, SIAM J. Control Optim. 30(4); Izmailov et al. 2018, arXiv:1803.05407). The decay grows
    with the number of steps, ``d = min(decay, (1 + n) / (10 + n))``, so that the beginning is forgotten soon.

    Args:
        network: what learns.
        decay: d, from 0 (no average) to below 1.

    Attributes:
        network: a network with the averaged weights, in evaluation mode.
        steps: averaged so far.
    """

    def __init__(self, network: PolicyNetwork, decay: float) -> None:
        self._learning = network
        self._decay = decay
        self.network = deepcopy(network).eval()
        self.steps = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for mine, theirs in zip(self.network.parameters(), self._learning.parameters(), strict=True):
            mine.lerp_(theirs, 1 - decay)

    def restart(self) -> None:
        """Begin again from the weights as they are now."""
        self.network.load_state_dict(self._learning.state_dict())
        self.steps = 0

"""The moving average of a network's weights, which is validated and kept instead of the weights themselves."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ...agent._network import PolicyNetwork


def weight_average(network: PolicyNetwork, decay: float) -> AveragedModel:
    r"""Return the moving average of a network's weights, ``w_avg <- d w_avg + (1 - d) w`` after every gradient step.

    See Polyak and Juditsky 1992 (SIAM J. Control Optim. 30(4)) and Izmailov et al. 2018 (arXiv:1803.05407). The decay
    grows with the steps n that are averaged so far, ``d = min(decay, (1 + n) / (10 + n))``.
    """

    def update(averages: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor | int) -> None:
        share = min(decay, int(count) / (9 + int(count)))
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, 1 - share)

    averaged = AveragedModel(network, multi_avg_fn=update)
    averaged.n_averaged.fill_(1)  # the weights that it begins with; of 0, torch would copy the first step's
    return averaged.eval()

"""The policy network in the form that sb3-contrib's MaskablePPO trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from torch import Tensor

from .network import PolicyNetwork, in_parts


class SearchPolicy(MaskableActorCriticPolicy):  # type: ignore[misc]
    """MaskablePPO's view of a :class:`PolicyNetwork`; the network is given, not built here.

    Args:
        network: what is trained.
        weight_decay: of the AdamW optimizer.
        args, kwargs: what stable-baselines3 passes to every policy.
    """

    def __init__(self, *args: Any, network: PolicyNetwork, weight_decay: float = 0.0, **kwargs: Any) -> None:
        self._given = (network, weight_decay)
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        network, weight_decay = self._given
        self.network = network
        self.optimizer = torch.optim.AdamW(network.parameters(), lr=lr_schedule(1), weight_decay=weight_decay)

    def forward(
        self,
        obs: dict[str, Tensor],
        deterministic: bool = False,
        action_masks: NDArray[np.bool_] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose actions [b]; returns actions, values [b, 1] and log-probabilities [b]."""
        log_probabilities, values = self.network(obs, _mask(action_masks, self, len(obs["budget"])))
        if deterministic:
            actions = log_probabilities.argmax(dim=1)
        else:
            actions = torch.multinomial(log_probabilities.exp(), 1).squeeze(1)
        chosen = log_probabilities.gather(1, actions.unsqueeze(1)).squeeze(1)
        return actions, values.unsqueeze(1), chosen

    def evaluate_actions(
        self, obs: dict[str, Tensor], actions: Tensor, action_masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return values [b], log-probabilities of ``actions`` [b] and entropies [b]."""
        log_probabilities, values = in_parts(self.network, obs, _mask(action_masks, self, len(actions)))
        chosen = log_probabilities.gather(1, actions.long().reshape(-1, 1)).squeeze(1)
        entropy = -(log_probabilities.exp() * log_probabilities).sum(dim=1)
        return values, chosen, entropy

    def predict_values(self, obs: dict[str, Tensor]) -> Tensor:
        """Return values [b, 1]."""
        return self.network.scores(obs)[1].unsqueeze(1)

    def _predict(
        self,
        observation: dict[str, Tensor],
        deterministic: bool = False,
        action_masks: NDArray[np.bool_] | None = None,
    ) -> Tensor:
        return self.forward(observation, deterministic, action_masks)[0]


def _mask(action_masks: NDArray[np.bool_] | Tensor | None, policy: SearchPolicy, states: int) -> Tensor:
    """Return the mask as bool [b, a]; without one every action counts as legal."""
    if action_masks is None:
        return torch.ones(states, int(policy.action_space.n), dtype=torch.bool, device=policy.network.device)
    return torch.as_tensor(action_masks, device=policy.network.device).bool()

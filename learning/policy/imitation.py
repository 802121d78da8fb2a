"""Warm start: imitate shortest paths to the labelled evidence, in any order, on states of the policy's own making.

The loss of a state is ``-log sum_{a in A*} pi(a | s)`` over the expert's actions A*: the order is latent, so the
policy chooses among right actions. States come from a mixture of expert and policy (DAgger, Ross et al. 2011,
arXiv:1011.0686), so that the policy also learns to go on from its own mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...agent.network import PolicyNetwork
from ...agent.rollout import as_tensors
from ...envs.batch import SearchBatch
from ...envs.settings import EnvironmentSettings
from ...envs.world import QuestionWorld
from .expert import expert_actions
from .workers import ALONE, Team


def imitate_epoch(
    network: PolicyNetwork,
    optimizer: torch.optim.Optimizer,
    settings: EnvironmentSettings,
    worlds: Sequence[QuestionWorld],
    own_share: float,
    generator: np.random.Generator,
    lanes: int = 32,
    wide_share: float = 0.0,
    wander: float = 0.0,
    thorough: bool = False,
    stepped: Callable[[], None] | None = None,
    done: Callable[[int], None] | None = None,
    team: Team = ALONE,
) -> float:
    """Run one episode per world and learn from every step; returns the mean loss.

    Args:
        network: learns in place.
        optimizer: over the network's parameters.
        settings: of the environment.
        worlds: the questions, in the order in which they are to be searched.
        own_share: share of the actions that the policy draws itself, 0 to 1; the expert draws the others.
        generator: draws actions, and which episodes are wide.
        lanes: episodes side by side: states in a gradient step.
        wide_share: share of the episodes in which everything that can be asked is asked, 0 to 1: there a choice is
            made among many more candidates than the expert would bring.
        wander: probability of an operator drawn at random in place of any other action, so that choices are also
            made among a few more candidates than are needed.
        thorough: the expert asks before it takes, see :func:`expert_actions`.
        stepped: called after every gradient step.
        done: called with the number of questions begun.
        team: whoever learns together, in the same steps, each from its own worlds; who is done with them steps along.
    """
    batch = SearchBatch(settings, lanes, network.settings.question_dimension, judged=False)
    waiting = iter(enumerate(worlds))

    def refill(lane: int) -> bool:
        following = next(waiting, None)
        if following is None:
            return False
        batch.start(lane, following[1], everything=bool(generator.random() < wide_share))
        if done is not None:
            done(following[0] + 1)
        return True

    active = [lane for lane in range(lanes) if refill(lane)]
    losses: list[float] = []
    network.train()
    while (learned := _learn(network, optimizer, batch, active, thorough, team)) is not None:
        loss, log_probabilities, good = learned
        losses += loss
        if stepped is not None:
            stepped()
        actions = _draw(log_probabilities, good, own_share, generator)
        _wander(actions, batch.mask[active, : batch.layout.take], wander, generator)
        ended = [batch.act(lane, int(action))[1] for lane, action in zip(active, actions, strict=True)]
        active = [lane for lane, end in zip(active, ended, strict=True) if not end or refill(lane)]
    return float(np.mean(team.joined(losses)))


def _learn(
    network: PolicyNetwork,
    optimizer: torch.optim.Optimizer,
    batch: SearchBatch,
    active: list[int],
    thorough: bool,
    team: Team,
) -> tuple[list[float], NDArray[np.float32], NDArray[np.bool_]] | None:
    """Take one gradient step on the states of the team's active lanes; None when there are none left.

    Returns this worker's loss, if it has an active lane, its log-probabilities and the expert's actions, [n, actions].
    """
    good = np.array([expert_actions(batch, k, thorough) for k in active], np.bool_).reshape(-1, batch.layout.size)
    losses: list[float] = []
    log_chances = np.zeros(good.shape, np.float32)
    optimizer.zero_grad()
    if active:
        observation = {name: array[active] for name, array in batch.observation.items()}
        mask, right = (torch.from_numpy(array).to(network.device) for array in (batch.mask[active], good))
        log_probabilities, _ = network(as_tensors(observation, network.device), mask)
        loss = -torch.logsumexp(log_probabilities.masked_fill(~right, -torch.inf), dim=1).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.item())
        log_chances = log_probabilities.detach().cpu().numpy()
    if not team.average_gradients(network, len(active)):
        return None
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return losses, log_chances, good


def _draw(
    log_probabilities: NDArray[np.float32],
    good: NDArray[np.bool_],
    own_share: float,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw an action per state: from the policy, or from the policy among the expert's actions."""
    gumbel = generator.gumbel(size=log_probabilities.shape)
    own = generator.random(len(good)) < own_share
    allowed = np.where(good | own[:, None], log_probabilities, -np.inf)
    return np.asarray((allowed + gumbel).argmax(axis=1))


def _wander(
    actions: NDArray[np.int64], operators: NDArray[np.bool_], probability: float, generator: np.random.Generator
) -> None:
    """Put a legal operator drawn at random in place of some ``actions``; ``operators`` [n, 1 + o] begins with STOP."""
    noise = generator.random(operators.shape) * operators
    noise[:, 0] = 0
    chosen = (generator.random(len(actions)) < probability) & noise.any(axis=1)
    actions[chosen] = noise[chosen].argmax(axis=1)

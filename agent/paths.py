"""Retrieval paths as training data: the steps of episodes, and which of them make a path of which question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..envs.batch import Observation, SearchBatch
from ..envs.settings import EnvironmentSettings
from ..envs.world import QuestionWorld
from .expert import expert_actions
from .network import PolicyNetwork
from .path_likelihood import (
    PathLoss,
    coverage_log_likelihood,
    marginal_likelihood_loss,
    path_log_probabilities,
)
from .rollout import as_tensors


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of episodes: what was seen, what was legal, what was done; leading axis [t]."""

    observation: Observation
    masks: NDArray[np.bool_]
    actions: NDArray[np.int64]

    def joined(self, other: Steps) -> Steps:
        """Return these steps followed by ``other``'s."""
        return Steps(
            {name: np.concatenate((array, other.observation[name])) for name, array in self.observation.items()},
            np.concatenate((self.masks, other.masks)),
            np.concatenate((self.actions, other.actions)),
        )


@dataclass(frozen=True, slots=True)
class Path:
    """One path of one question: where its steps stand, and log p(y | z, q)."""

    question: int
    steps: NDArray[np.int64]
    log_reader: float


def distinct(paths: Sequence[Path], actions: NDArray[np.int64]) -> dict[int, list[Path]]:
    """Group paths by question, each sequence of actions once."""
    grouped: dict[int, dict[bytes, Path]] = {}
    for path in paths:
        grouped.setdefault(path.question, {}).setdefault(actions[path.steps].tobytes(), path)
    return {question: list(by_actions.values()) for question, by_actions in grouped.items()}


def paths_from_labels(
    worlds: Sequence[QuestionWorld],
    questions: Sequence[int],
    settings: EnvironmentSettings,
    dimension: int,
    generator: np.random.Generator,
) -> tuple[Steps, list[Path]]:
    """Walk one shortest path to the labelled evidence per question, choosing at random among right actions."""
    batch = SearchBatch(settings, len(questions), dimension)
    for lane, question in enumerate(questions):
        batch.start(lane, worlds[question])
    active = list(range(len(questions)))
    seen: list[Observation] = []
    masks: list[NDArray[np.bool_]] = []
    actions: list[int] = []
    steps: dict[int, list[int]] = {lane: [] for lane in active}
    while active:
        seen.append({name: array[active] for name, array in batch.observation.items()})
        masks.append(batch.mask[active])
        going = []
        for lane in active:
            action = int(generator.choice(np.flatnonzero(expert_actions(batch, lane))))
            steps[lane].append(len(actions))
            actions.append(action)
            if not batch.act(lane, action)[1]:
                going.append(lane)
        active = going
    observation = {name: np.concatenate([part[name] for part in seen]) for name in seen[0]}
    paths = []
    for lane, question in enumerate(questions):
        state = batch.lane(lane)
        reader = coverage_log_likelihood(state.found_gold, len(state.world.gold) - state.found_gold)
        paths.append(Path(question, np.array(steps[lane]), reader))
    return Steps(observation, np.concatenate(masks), np.array(actions)), paths


def path_loss(network: PolicyNetwork, steps: Steps, paths: dict[int, list[Path]], questions: Sequence[int]) -> PathLoss:
    """Return L_ML of ``questions`` over their paths under the network as it is now."""
    chosen = [(number, path) for number, question in enumerate(questions) for path in paths[question]]
    at = np.concatenate([path.steps for _, path in chosen])
    owner = np.repeat(np.arange(len(chosen)), [len(path.steps) for _, path in chosen])
    observation = {name: array[at] for name, array in steps.observation.items()}
    log_probabilities, _ = network(as_tensors(observation), torch.from_numpy(steps.masks[at]))
    taken: Tensor = log_probabilities.gather(1, torch.from_numpy(steps.actions[at]).unsqueeze(1)).squeeze(1)
    log_policy = path_log_probabilities(taken, torch.from_numpy(owner), len(chosen))
    log_reader = torch.tensor([path.log_reader for _, path in chosen])
    question_of_path = torch.tensor([number for number, _ in chosen])
    return marginal_likelihood_loss(log_policy, log_reader, question_of_path, len(questions))

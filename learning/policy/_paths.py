"""Retrieval paths as training data: the steps of episodes, and which of them make a path of which question.

Paths come from three places: episodes that the policy sampled, a beam search for the paths it holds most probable, and
walks to sets of passages that the labels, or the answer, say are the evidence. A path ends where its evidence is worth
most: what follows, to stop above all, no reader can tell good from bad, only the price can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...agent._network import PolicyNetwork, as_tensors, in_parts
from ...envs._batch import Observation, SearchBatch
from ...envs._vector_env import Peak
from ...envs._world import QuestionWorld
from ...envs.settings import EnvironmentSettings
from ._imitation import expert_actions
from ._path_likelihood import PathLoss, marginal_likelihood_loss, path_log_probabilities


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps of episodes: what was seen, what was legal, what was done; leading axis [t]."""

    observation: Observation
    masks: NDArray[np.bool_]
    actions: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of steps."""
        return len(self.actions)

    def joined(self, other: Steps) -> Steps:
        """Return these steps followed by ``other``'s."""
        return Steps(
            {name: np.concatenate((array, other.observation[name])) for name, array in self.observation.items()},
            np.concatenate((self.masks, other.masks)),
            np.concatenate((self.actions, other.actions)),
        )


@dataclass(frozen=True, slots=True)
class Path:
    """One path of one question, up to its peak: where its steps stand, and log p(y | z, q)."""

    question: int
    steps: NDArray[np.int64]
    log_reader: float


class Recorder:
    """Collects steps while episodes run."""

    def __init__(self) -> None:
        self._seen: list[Observation] = []
        self._masks: list[NDArray[np.bool_]] = []
        self._actions: list[int] = []

    def note(self, batch: SearchBatch, lanes: Sequence[int], actions: Sequence[int]) -> list[int]:
        """Note what each lane sees and is about to do; a lane may stand there twice. Returns where the steps stand."""
        first = len(self._actions)
        chosen = list(lanes)
        self._seen.append({name: array[chosen] for name, array in batch.observation.items()})
        self._masks.append(batch.mask[chosen])
        self._actions += actions
        return list(range(first, len(self._actions)))

    def steps(self) -> Steps:
        """Return everything noted so far, at least one step."""
        observation = {name: np.concatenate([part[name] for part in self._seen]) for name in self._seen[0]}
        return Steps(observation, np.concatenate(self._masks), np.array(self._actions))


def distinct(paths: Sequence[Path], actions: NDArray[np.int64]) -> dict[int, list[Path]]:
    """Group paths by question, each sequence of actions once, and none that is the beginning of another, or empty.

    Whoever walks a path has walked its beginning too; of paths that exclude each other the likelihoods add up.
    """
    grouped: dict[int, dict[tuple[int, ...], Path]] = {}
    for path in paths:
        if len(path.steps):
            grouped.setdefault(path.question, {}).setdefault(tuple(actions[path.steps].tolist()), path)
    kept = {}
    for question, by_actions in grouped.items():
        ordered = sorted(by_actions)  # what begins with a path stands right behind it
        ends = [one for one, following in zip(ordered, [*ordered[1:], ()], strict=True) if following[: len(one)] != one]
        kept[question] = [by_actions[end] for end in ends]
    return kept


def paths_from_labels(
    network: PolicyNetwork,
    worlds: Sequence[QuestionWorld],
    questions: Sequence[int],
    settings: EnvironmentSettings,
    generator: np.random.Generator,
    thorough: bool = False,
) -> tuple[Steps, list[Path]]:
    """Walk one path to what counts as evidence for each of ``questions``, numbers of ``worlds``; see expert_actions.

    It is drawn from the policy, in evaluation mode, among right actions. Which of them comes first is latent. A path in
    an order that the policy would not choose is unlikely, and learning it would teach the order, not the evidence.
    """
    batch = SearchBatch(settings, len(questions), network.settings.question_dimension, judged=False)
    active = list(range(len(questions)))
    batch.start(active, [worlds[question] for question in questions])
    recorder = Recorder()
    steps: dict[int, list[int]] = {lane: [] for lane in active}
    peaks = [Peak.of(batch.lane(lane)) for lane in active]
    while active:
        good = expert_actions(batch, active, thorough)
        likely = np.where(good, _log_probabilities(network, batch, active), -np.inf)
        actions = (likely + generator.gumbel(size=likely.shape)).argmax(axis=1).tolist()
        for lane, at in zip(active, recorder.note(batch, active, actions), strict=True):
            steps[lane].append(at)
        _, ended = batch.step(actions, active)
        for lane, action in zip(active, actions, strict=True):
            if action >= batch.layout.take:
                peaks[lane].update(batch.lane(lane))
        active = [lane for lane, end in zip(active, ended, strict=True) if not end]
    return recorder.steps(), [_path(question, steps[lane], peaks[lane]) for lane, question in enumerate(questions)]


def _path(question: int, steps: Sequence[int], peak: Peak) -> Path:
    return Path(question, np.array(steps[: peak.steps], np.int64), peak.log_reader)


@dataclass(slots=True)
class _Beam:
    """A path in the making: its lane, its peak, the log-probability of its steps, and where they stand."""

    lane: int
    peak: Peak
    score: float = 0.0
    steps: list[int] = field(default_factory=list)


def paths_from_beam(
    network: PolicyNetwork,
    worlds: Sequence[QuestionWorld],
    questions: Sequence[int],
    settings: EnvironmentSettings,
    width: int,
) -> tuple[Steps, list[Path]]:
    """Search for the ``width`` most probable paths of each question, with a network in evaluation mode.

    ``questions`` are numbers of ``worlds``; as many paths are kept at every step.
    """
    batch = SearchBatch(settings, len(questions) * width, network.settings.question_dimension, judged=False)
    beams: dict[int, list[_Beam]] = {}
    finished: dict[int, list[tuple[float, Path]]] = {question: [] for question in questions}
    batch.start(range(0, len(questions) * width, width), [worlds[question] for question in questions])
    for number, question in enumerate(questions):
        beams[question] = [_Beam(number * width, Peak.of(batch.lane(number * width)))]
    lanes_of = {question: range(number * width, (number + 1) * width) for number, question in enumerate(questions)}
    recorder = Recorder()
    while any(beams.values()):
        log_probabilities = _log_probabilities(network, batch, [b.lane for held in beams.values() for b in held])
        first = 0
        grown: list[tuple[int, _Beam, int]] = []
        for question, held in beams.items():
            own = log_probabilities[first : first + len(held)]
            first += len(held)
            bar = [score for score, _ in finished[question]]
            kept = _best_steps(held, own, bar, width)
            grown += [(question, child, action) for child, action in _branched(batch, held, kept, lanes_of[question])]
            beams[question] = []
        if not grown:
            break
        lanes, actions = [child.lane for _, child, _ in grown], [action for _, _, action in grown]
        at = recorder.note(batch, lanes, actions)
        _, ends = batch.step(actions, lanes)
        for place, ended, (question, child, action) in zip(at, ends, grown, strict=True):
            child.steps.append(place)
            if action >= batch.layout.take:
                child.peak.update(batch.lane(child.lane))
            if ended:
                path = _path(question, child.steps, child.peak)
                finished[question] = sorted([*finished[question], (child.score, path)], key=lambda f: -f[0])[:width]
            else:
                beams[question].append(child)
    return recorder.steps(), [path for question in questions for _, path in finished[question]]


@torch.inference_mode()
def _log_probabilities(network: PolicyNetwork, batch: SearchBatch, lanes: list[int]) -> NDArray[np.float32]:
    observation = {name: array[lanes] for name, array in batch.observation.items()}
    mask = torch.from_numpy(batch.mask[lanes]).to(network.device)
    return np.asarray(network(as_tensors(observation, network.device), mask)[0].cpu().numpy())


def _best_steps(
    held: list[_Beam], log_probabilities: NDArray[np.float32], bar: list[float], width: int
) -> list[tuple[float, int, int]]:
    """Return (score, parent, action) of the best continuations that are not behind ``width`` finished paths."""
    scores = log_probabilities.astype(np.float64) + np.array([[beam.score] for beam in held]).reshape(-1, 1)
    order = np.argsort(-scores, axis=None, kind="stable")[:width]
    rank = sorted([*bar, *scores.ravel()[order].tolist()], reverse=True)[:width]
    steps = [(float(scores.ravel()[k]), *divmod(k, scores.shape[1])) for k in order.tolist()]
    return [(score, parent, action) for score, parent, action in steps if score > -np.inf and score >= rank[-1]]


def _branched(
    batch: SearchBatch, held: list[_Beam], kept: list[tuple[float, int, int]], lanes: Sequence[int]
) -> list[tuple[_Beam, int]]:
    """Give each continuation a lane of its own: the parent's for its first, a copy for any other."""
    parents = {parent for _, parent, _ in kept}
    taken = {held[parent].lane for parent in parents}
    free = [lane for lane in lanes if lane not in taken]
    begun: set[int] = set()
    children = []
    for score, parent, action in kept:
        lane = held[parent].lane
        if parent in begun:
            lane = free.pop()
            batch.copy_lane(held[parent].lane, lane)
        begun.add(parent)
        children.append((_Beam(lane, replace(held[parent].peak), score, list(held[parent].steps)), action))
    return children


def path_loss(network: PolicyNetwork, steps: Steps, paths: dict[int, list[Path]], questions: Sequence[int]) -> PathLoss:
    """Return L_ML of ``questions`` over their paths under the network as it is now."""
    chosen = [(number, path) for number, question in enumerate(questions) for path in paths[question]]
    at = np.concatenate([path.steps for _, path in chosen])
    owner = np.repeat(np.arange(len(chosen)), [len(path.steps) for _, path in chosen])
    observation = {name: array[at] for name, array in steps.observation.items()}
    device = network.device
    mask, actions = (torch.from_numpy(array[at]).to(device) for array in (steps.masks, steps.actions))
    log_probabilities, _ = in_parts(network, as_tensors(observation, device), mask)
    taken: Tensor = log_probabilities.gather(1, actions.unsqueeze(1)).squeeze(1)
    log_policy = path_log_probabilities(taken, torch.from_numpy(owner).to(device), len(chosen))
    likelihoods = torch.tensor([path.log_reader for _, path in chosen], device=device)
    question_of_path = torch.tensor([number for number, _ in chosen], device=device)
    return marginal_likelihood_loss(log_policy, likelihoods, question_of_path, len(questions))

"""Training the judge that says which shards to ask: on labelled questions over corpora that are parted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...retrievers._calibration import fit_temperature
from ...retrievers.router._shard_judge import ShardJudge, beside

_HIDDEN = 32
_EPOCHS = 20
_BATCH = 128
_RATE = 3e-3
_WEIGHT_DECAY = 1e-2
_HELD_OUT = 0.1


@dataclass(frozen=True, slots=True)
class JudgedQuestions:
    """Questions over one corpus in S shards.

    Attributes:
        clues: what is known of the shards for each of n questions, float32 [n, S, CLUES].
        targets: how much of what each should find lies in every shard, float32 [n, S], shares.
    """

    clues: NDArray[np.float32]
    targets: NDArray[np.float32]


def train_judge(corpora: Sequence[JudgedQuestions], seed: int) -> ShardJudge:
    """Train a judge on several corpora, which may have different numbers of shards.

    A corpus weighs by the square root of its questions. The temperature is fitted on a tenth that is held out. The
    same seed gives the same judge.
    """
    rng = np.random.default_rng(seed)
    parted = [_parted(corpus, rng) for corpus in corpora]
    seen = np.concatenate([beside(train.clues).reshape(-1, 3 * train.clues.shape[2]) for train, _ in parted])
    mean, spread = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-3)
    groups = [_Group.of(train, mean, spread) for train, _ in parted]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden, out = torch.nn.Linear(len(mean), _HIDDEN), torch.nn.Linear(_HIDDEN, 1, bias=False)
        _learn(torch.nn.Sequential(hidden, torch.nn.ReLU(), out), groups, rng)
    arrays = {
        "mean": mean,
        "spread": spread,
        "hidden": hidden.weight.detach().numpy().T,
        "hidden_offset": hidden.bias.detach().numpy(),
        "out": out.weight.detach().numpy()[0],
        "temperature": np.ones(1, np.float32),
    }
    judge = ShardJudge(arrays)
    shards = max(held_out.clues.shape[1] for _, held_out in parted)
    scores = np.concatenate([_padded(judge.scores(held_out.clues), shards, -1e9) for _, held_out in parted])
    targets = np.concatenate([_padded(held_out.targets, shards, 0) for _, held_out in parted])
    return ShardJudge({**arrays, "temperature": np.array([fit_temperature(scores, targets)], np.float32)})


@dataclass(frozen=True, slots=True)
class _Group:
    """Questions over one corpus as tensors, and what each counts for."""

    seen: Tensor  # [n, S, f]
    targets: Tensor  # [n, S]
    weight: float

    @classmethod
    def of(cls, corpus: JudgedQuestions, mean: NDArray[np.float32], spread: NDArray[np.float32]) -> _Group:
        seen = torch.from_numpy(((beside(corpus.clues) - mean) / spread).astype(np.float32))
        return cls(seen, torch.from_numpy(corpus.targets), len(corpus.clues) ** -0.5)


def _learn(network: torch.nn.Module, groups: Sequence[_Group], rng: np.random.Generator) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _EPOCHS)
    questions = sum(len(group.seen) for group in groups)
    scale = questions / sum(group.weight * len(group.seen) for group in groups)
    for _ in range(_EPOCHS):
        places = [(number, place) for number, group in enumerate(groups) for place in range(len(group.seen))]
        order = rng.permutation(questions)
        for first in range(0, questions, _BATCH):
            mine = np.array([places[place] for place in order[first : first + _BATCH]])
            loss = torch.zeros(())
            for number in np.unique(mine[:, 0]).tolist():
                rows = torch.from_numpy(mine[mine[:, 0] == number, 1])
                group = groups[number]
                scores = network(group.seen[rows]).squeeze(-1)
                losses = -(group.targets[rows] * scores.log_softmax(dim=1)).sum(dim=1)
                loss = loss + scale * group.weight * losses.sum()
            optimizer.zero_grad()
            (loss / len(mine)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()


def _parted(corpus: JudgedQuestions, rng: np.random.Generator) -> tuple[JudgedQuestions, JudgedQuestions]:
    """Return a corpus's questions without those held out, and those."""
    order = rng.permutation(len(corpus.clues))
    held, rest = np.split(order, [max(1, round(_HELD_OUT * len(order)))])
    train, held_out = (JudgedQuestions(corpus.clues[part], corpus.targets[part]) for part in (rest, held))
    return train, held_out


def _padded(values: NDArray[np.float32], width: int, with_what: float) -> NDArray[np.float32]:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=with_what)

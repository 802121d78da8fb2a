"""The reader's network in torch, as it is trained; what is searched with computes the same in numpy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..agent.reader._candidate_features import FEATURES, SLOTS
from ..agent.reader._network import CandidateBatch, ReaderSettings, Weights
from ..agent.reader._passage_analysis import DIMENSION


class TrainableNetwork(nn.Module):
    """A small perceptron over a candidate's features and how its surroundings agree with the question.

    Legend: n candidates of all questions together, s slots, w word width.
    """

    def __init__(self, settings: ReaderSettings) -> None:
        super().__init__()
        self.settings = settings
        w = settings.word_width
        self.question = nn.Linear(DIMENSION, w)
        self.slots = nn.Parameter(torch.empty(len(SLOTS), DIMENSION, w))
        nn.init.normal_(self.slots, std=DIMENSION**-0.5)
        self.mean = nn.Buffer(torch.zeros(len(FEATURES)))
        self.scale = nn.Buffer(torch.ones(len(FEATURES)))
        inputs = len(FEATURES) + w + 2 * len(SLOTS) * w
        self.hidden = nn.Sequential(
            nn.Linear(inputs, settings.width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.width, settings.width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
        )
        self.out = nn.Linear(settings.width, 1)

    def standardise(self, features: NDArray[np.float32]) -> None:
        """Take mean and deviation from features [n, f]; what hardly varies is not blown up."""
        self.mean.copy_(torch.from_numpy(features.mean(axis=0)))
        self.scale.copy_(torch.from_numpy(np.maximum(features.std(axis=0), 0.05)))

    def forward(self, batch: CandidateBatch) -> Tensor:
        """Return the score of every candidate [n]."""
        asked = torch.tanh(self.question(torch.from_numpy(batch.questions)))[torch.from_numpy(batch.owner)]  # [n, w]
        around = torch.tanh(torch.einsum("nsd,sdw->nsw", torch.from_numpy(batch.words), self.slots))  # [n, s, w]
        agreement = around * asked.unsqueeze(1)
        standard = (torch.from_numpy(batch.features) - self.mean) / self.scale
        inputs = torch.cat((standard, asked, around.flatten(1), agreement.flatten(1)), dim=1)
        scores: Tensor = self.out(self.hidden(inputs)).squeeze(1)
        return scores

    def exported(self) -> Weights:
        """Return the weights as they are searched with."""
        return {name: tensor.detach().numpy().astype(np.float32) for name, tensor in self.state_dict().items()}


def negative_log_likelihood(scores: Tensor, owner: Tensor, right: Tensor, owners: int) -> Tensor:
    """Return the mean over questions of ``-log sum_c p(c)`` over the right candidates.

    Args:
        scores: of candidates [n].
        owner: question of each [n].
        right: which are right, bool [n]; one of each question at least.
        owners: questions.
    """
    everything = _log_sum(scores, owner, owners)
    return (everything - _log_sum(scores[right], owner[right], owners)).mean()


def _log_sum(scores: Tensor, owner: Tensor, owners: int) -> Tensor:
    highest = torch.full((owners,), -torch.inf).scatter_reduce(0, owner, scores.detach(), "amax")
    total = torch.zeros(owners).index_add(0, owner, (scores - highest[owner]).exp())
    return highest + total.log()

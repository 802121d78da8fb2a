"""The reader's network in torch, as it is trained; what is searched with computes the same in numpy."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..agent.reader._candidate_features import FEATURES, SLOTS
from ..agent.reader._network import STATE, CandidateBatch, ReaderNetwork, ReaderSettings
from ..agent.reader._passage_analysis import DIMENSION


class TrainableNetwork(nn.Module):
    """A small perceptron over a candidate's features and how its surroundings agree with the question.

    Legend: n candidates of all questions together, t word pieces, s slots, w word width.
    """

    def __init__(self, settings: ReaderSettings) -> None:
        super().__init__()
        self.settings = settings
        w, s = settings.word_width, settings.state_width
        self.question = nn.Linear(DIMENSION, w)
        self.slots = nn.Parameter(torch.empty(len(SLOTS), DIMENSION, w))
        nn.init.normal_(self.slots, std=DIMENSION**-0.5)
        self.mean = nn.Buffer(torch.zeros(len(FEATURES)))
        self.scale = nn.Buffer(torch.ones(len(FEATURES)))
        self.temperature = nn.Buffer(torch.ones(()))
        inputs = len(FEATURES) + w + 2 * len(SLOTS) * w
        if s:
            self.first, self.last, self.whole = (nn.Linear(STATE, s) for _ in range(3))
            self.ends = nn.Parameter(torch.zeros(STATE, 2))
            inputs += 3 * s + 1
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

    def forward(self, batch: CandidateBatch, states: Tensor | None = None) -> Tensor:
        """Return the score of every candidate [n].

        Args:
            batch: of candidates.
            states: [t, STATE], in place of those of the batch, for a gradient.
        """
        owner = torch.from_numpy(batch.owner)
        asked = torch.tanh(self.question(torch.from_numpy(batch.questions)))[owner]  # [n, w]
        words = torch.from_numpy(batch.words)
        around = torch.tanh(torch.einsum("nsd,sdw->nsw", words, self.slots))  # [n, s, w]
        agreement = around * asked.unsqueeze(1)
        standard = (torch.from_numpy(batch.features) - self.mean) / self.scale
        inputs = [standard, asked, around.flatten(1), agreement.flatten(1)]
        direct: Tensor | float = 0.0
        if self.settings.state_width:
            assert batch.states is not None
            assert batch.spans is not None
            assert batch.read is not None
            seen = torch.from_numpy(batch.states) if states is None else states
            spans, read = torch.from_numpy(batch.spans), torch.from_numpy(batch.read)
            for place, layer in enumerate((self.first, self.last, self.whole)):
                inputs.append(torch.tanh(layer(seen))[spans[:, place]])
            inputs.append(read.unsqueeze(1))
            ends = seen @ self.ends  # [t, 2]
            direct = read * (ends[spans[:, 0], 0] + ends[spans[:, 1], 1])
        scores: Tensor = self.out(self.hidden(torch.cat(inputs, dim=1))).squeeze(1)
        return (scores + direct) / self.temperature

    def exported(self) -> ReaderNetwork:
        """Return the network as it is searched with."""
        weights = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in self.state_dict().items()}
        return ReaderNetwork(self.settings, weights)


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

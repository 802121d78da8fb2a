"""The network of the built-in reader: scores every candidate of a question, softmax over them is p(y | z, q)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .candidate_features import FEATURES, SLOTS
from .word_vectors import DIMENSION


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """Sizes of the network.

    Attributes:
        word_width: dimensions in which words of the question and of a candidate's surroundings are compared.
        width: of the hidden layers.
        dropout: share of hidden units left out in training.
    """

    word_width: int = 24
    width: int = 64
    dropout: float = 0.3


class ReaderNetwork(nn.Module):
    """A small perceptron over a candidate's features and how its surroundings agree with the question.

    Legend: n candidates of all questions together, f features, s slots, d word vector, w word width.
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
        self.temperature = nn.Buffer(torch.ones(()))
        self.hidden = nn.Sequential(
            nn.Linear(len(FEATURES) + w + 2 * len(SLOTS) * w, settings.width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.width, settings.width),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
        )
        self.out = nn.Linear(settings.width, 1)

    def forward(self, features: Tensor, words: Tensor, questions: Tensor, owner: Tensor) -> Tensor:
        """Return the score of every candidate [n].

        Args:
            features: [n, f].
            words: [n, s, d].
            questions: word vectors of the questions [q, d].
            owner: question of every candidate [n].
        """
        asked = torch.tanh(self.question(questions))[owner]  # [n, w]
        around = torch.tanh(torch.einsum("nsd,sdw->nsw", words, self.slots))  # [n, s, w]
        agreement = around * asked.unsqueeze(1)
        inputs = ((features - self.mean) / self.scale, asked, around.flatten(1), agreement.flatten(1))
        scores: Tensor = self.out(self.hidden(torch.cat(inputs, dim=1))).squeeze(1)
        return scores / self.temperature


def log_softmax_by_owner(scores: Tensor, owner: Tensor, owners: int) -> Tensor:
    """Return the log-probability of every candidate [n] among those of its question."""
    return scores - log_sum_by_owner(scores, owner, owners)[owner]


def log_sum_by_owner(scores: Tensor, owner: Tensor, owners: int) -> Tensor:
    """Return log sum exp of the scores of each question [q]; -inf for one without any."""
    highest = torch.full((owners,), -torch.inf).scatter_reduce(0, owner, scores.detach(), "amax")
    shift = torch.where(torch.isfinite(highest), highest, 0.0)
    total = torch.zeros(owners).index_add(0, owner, (scores - shift[owner]).exp())
    return shift + total.log()

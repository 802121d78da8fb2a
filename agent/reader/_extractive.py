"""The built-in reader: chooses among what the evidence and the question offer as answers.

A network scores every candidate; the softmax over them is p(y | z, q). On disk it is ``reader.safetensors`` and
``reader.json`` beside a policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ...errors import PolicyError
from ...retrievers._atomic_file import write_atomically
from ...retrievers._hashed_files import fingerprint, read_listed, read_sealed_json, write_sealed_json
from ...retrievers.records import Passage
from ._candidate_features import FEATURES, SLOTS, AnswerCandidates, read_candidates
from ._passage_analysis import DIMENSION, PassageAnalyser
from ._protocol import Answer, ReadingTask, normalise_answer, overlap_f1


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


UNREAD = 1e-3
"""What the likelihood of an answer that is not among the candidates is at least."""

NEAR = 0.6
"""F1 from which a candidate stands for an answer that no candidate is equal to."""

_BATCH = 64


class ExtractiveReader:
    """Scores candidate answers with a small network; threads may share it.

    ``p(y | z, q)`` is the sum over the candidates that are the answer: ``sum_c p(c | z, q) [c = y]``, mixed with a
    little luck so that it is never zero.
    """

    name = "built-in extractive reader"

    def __init__(self, network: ReaderNetwork, analyser: PassageAnalyser | None = None) -> None:
        self.network = network
        self._analyser = analyser if analyser is not None else PassageAnalyser()

    def candidates(self, question: str, passages: Sequence[Passage]) -> AnswerCandidates:
        """Return everything that could be the answer."""
        return read_candidates(question, self._analyser.read(passages), self._analyser.vectors)

    def probabilities(self, candidates: Sequence[AnswerCandidates]) -> list[NDArray[np.float64]]:
        """Return the probability of every candidate of every question, float64 [n] each."""
        out: list[NDArray[np.float64]] = []
        for first in range(0, len(candidates), _BATCH):
            part = candidates[first : first + _BATCH]
            features, words, questions, owner = as_batch(part)
            with torch.inference_mode():
                scores = self.network(features, words, questions, owner)
                probabilities = log_softmax_by_owner(scores, owner, len(part)).double().exp().numpy()
            ends = np.cumsum([len(c.answers) for c in part])
            out += np.split(probabilities, ends[:-1])
        return out

    def log_likelihoods(self, tasks: Sequence[ReadingTask]) -> NDArray[np.float64]:
        """Return log p(answer | question, evidence) of every task, float64 [n]."""
        read = [self.candidates(task.question, task.passages) for task in tasks]
        likelihoods = [
            probability[standing_for(task.answer, candidates)].sum()
            for task, candidates, probability in zip(tasks, read, self.probabilities(read), strict=True)
        ]
        return np.log(np.minimum(UNREAD + (1 - UNREAD) * np.array(likelihoods, np.float64), 1.0))

    def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        """Return the most probable answer, None when neither evidence nor question offers any."""
        candidates = self.candidates(question, passages)
        probabilities = self.probabilities([candidates])[0]
        total: dict[str, float] = {}
        best_of: dict[str, int] = {}
        for k, (answer, probability) in enumerate(zip(candidates.answers, probabilities.tolist(), strict=True)):
            if answer:
                total[answer] = total.get(answer, 0.0) + probability
                if answer not in best_of or probability > probabilities[best_of[answer]]:
                    best_of[answer] = k
        if not total:
            return None
        chosen = max(total, key=lambda answer: total[answer])
        at = best_of[chosen]
        number, start, end = candidates.places[at].tolist()
        text = candidates.surfaces[at]
        if number < 0:
            return Answer(text, total[chosen])
        return Answer(text, total[chosen], passages[number].id, start, end)


def as_batch(candidates: Sequence[AnswerCandidates]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features, words, questions and owners of several questions' candidates, as the network wants them."""
    owner = np.repeat(np.arange(len(candidates)), [len(c.answers) for c in candidates])
    return (
        torch.from_numpy(np.concatenate([c.features for c in candidates])),
        torch.from_numpy(np.concatenate([c.words for c in candidates]).astype(np.float32)),
        torch.from_numpy(np.stack([c.question for c in candidates])),
        torch.from_numpy(owner),
    )


def standing_for(answer: str, candidates: AnswerCandidates) -> NDArray[np.bool_]:
    """Return which candidates are the answer, bool [n]; if none is, those nearest to it, from an F1 of NEAR on."""
    wanted = normalise_answer(answer)
    equal = np.array([bool(text) and text == wanted for text in candidates.answers])
    if equal.any():
        return equal
    words = wanted.split()
    closeness = np.array([overlap_f1(text.split(), words) for text in candidates.answers])
    return np.asarray((closeness >= NEAR) & (closeness >= closeness.max() - 1e-9))


FORMAT = 1
WEIGHTS = "reader.safetensors"
DESCRIPTION = "reader.json"
_REMEDY = "train it again"
_FEATURES_SEEN = {"features": list(FEATURES), "slots": list(SLOTS), "word_vectors": DIMENSION}


def has_reader(folder: Path) -> bool:
    """Return whether a folder holds a reader."""
    return (folder / DESCRIPTION).is_file()


def save_reader(folder: Path, reader: ExtractiveReader, training: Mapping[str, Any]) -> None:
    """Write a reader; each file appears whole or not at all, the description last."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().contiguous() for name, tensor in reader.network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(weights))
    files = {WEIGHTS: fingerprint(folder / WEIGHTS)}
    description = {"format": FORMAT, **_FEATURES_SEEN, "files": files, "network": asdict(reader.network.settings)}
    write_sealed_json(folder / DESCRIPTION, description | {"training": dict(training)})


def load_reader(folder: Path, analyser: PassageAnalyser | None = None) -> ExtractiveReader:
    """Load a reader.

    Raises:
        PolicyError: when the folder holds none, it is damaged, or was trained with other features.
    """
    if not has_reader(folder):
        raise PolicyError(f"{folder} holds no reader (no {DESCRIPTION}): train on questions that have answers")
    description = read_sealed_json(folder / DESCRIPTION, PolicyError, _REMEDY)
    if any(description.get(name) != value for name, value in {"format": FORMAT, **_FEATURES_SEEN}.items()):
        raise PolicyError(f"the reader in {folder} was trained by another version of Trailhound: train it again")
    try:
        network = ReaderNetwork(ReaderSettings(**description["network"]))
        weights = read_listed(folder / WEIGHTS, description["files"][WEIGHTS], PolicyError, _REMEDY)
        network.load_state_dict(load(weights))
    except (SafetensorError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise PolicyError(f"the reader in {folder} is damaged ({shorten(str(error), 200)}): {_REMEDY}") from error
    if not all(bool(torch.isfinite(p).all()) for p in network.state_dict().values()):
        raise PolicyError(f"the reader in {folder} has weights that are not finite: train it again")
    return ExtractiveReader(network.eval(), analyser)

"""The built-in reader: chooses among what the evidence and the question offer as answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...retrievers.records import Passage
from .answer_text import normalise_answer, overlap_f1
from .candidate_features import AnswerCandidates, read_candidates
from .network import ReaderNetwork, log_softmax_by_owner
from .passage_reading import PassageAnalyser
from .protocol import Answer, ReadingTask

UNREAD = 1e-3
"""What the likelihood of an answer that is not among the candidates is at least."""

NEAR = 0.6
"""F1 from which a candidate stands for an answer that no candidate is equal to."""

_BATCH = 64


class ExtractiveReader:
    """Scores candidate answers with a small network; threads may share it.

    ``p(y | z, q)`` is the sum over the candidates that are the answer: ``sum_c p(c | z, q) [c = y]``, mixed with a
    little luck so that it is never zero.

    Args:
        network: in evaluation mode.
        analyser: of passages, where there is one to share.
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

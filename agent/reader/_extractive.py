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
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ...errors import PolicyError
from ...retrievers._atomic_file import write_atomically
from ...retrievers._hashed_files import fingerprint, read_listed, read_sealed_json, write_sealed_json
from ...retrievers._shared import Shared, identity
from ...retrievers.records import Passage
from ._candidate_features import FEATURES, SLOTS, AnswerCandidates, read_candidates
from ._certainty import STATED_FROM, Certainty, signals_of
from ._network import CandidateBatch, ReaderNetwork, ReaderSettings, log_softmax_by_owner, shapes
from ._passage_analysis import DIMENSION, PassageAnalyser
from ._protocol import Answer, ReadingTask, normalise_answer, overlap_f1

UNREAD = 1e-3
"""What the likelihood of an answer that is not among the candidates is at least."""

NEAR = 0.6
"""F1 from which a candidate stands for an answer that no candidate is equal to."""

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a reader makes of a question and passages.

    Attributes:
        candidates: n of them.
        probabilities: of each, float64 [n].
        total: probability of each answer, over all places where it stands; without that of none.
    """

    candidates: AnswerCandidates
    probabilities: NDArray[np.float64]
    total: Mapping[str, float]

    @property
    def likeliest(self) -> int:
        """The candidate where the likeliest answer most likely stands; there must be one."""
        chosen = max(self.total, key=lambda answer: self.total[answer])
        places = [k for k, answer in enumerate(self.candidates.answers) if answer == chosen]
        return max(places, key=lambda k: float(self.probabilities[k]))


class ExtractiveReader:
    """Scores candidate answers with a small network; threads may share it.

    ``p(y | z, q)`` is the sum over the candidates that are the answer: ``sum_c p(c | z, q) [c = y]``, mixed with a
    little luck so that it is never zero.

    Args:
        network: scores candidates.
        analyser: of passages, where there is one to share.
        certainty: how likely an answer is right, by what the reading looks like; its own probability says where there
            is none.
    """

    name = "built-in extractive reader"

    def __init__(
        self,
        network: ReaderNetwork,
        analyser: PassageAnalyser | None = None,
        certainty: Certainty | None = None,
    ) -> None:
        self.network = network
        self.certainty = certainty
        self._analyser = analyser if analyser is not None else PassageAnalyser()

    def candidates(self, question: str, passages: Sequence[Passage]) -> AnswerCandidates:
        """Return everything that could be the answer."""
        return read_candidates(question, self._analyser.read(passages), self._analyser.vectors)

    def probabilities(self, candidates: Sequence[AnswerCandidates]) -> list[NDArray[np.float64]]:
        """Return the probability of every candidate of every question, float64 [n] each."""
        out: list[NDArray[np.float64]] = []
        for first in range(0, len(candidates), _BATCH):
            part = candidates[first : first + _BATCH]
            batch = CandidateBatch.of(part)
            probabilities = np.exp(log_softmax_by_owner(self.network.scores(batch), batch.owner))
            out += np.split(probabilities, np.cumsum([len(c.answers) for c in part])[:-1])
        return out

    def log_likelihoods(self, tasks: Sequence[ReadingTask]) -> NDArray[np.float64]:
        """Return log p(answer | question, evidence) of every task, float64 [n]."""
        read = [self.candidates(task.question, task.passages) for task in tasks]
        likelihoods = [
            probability[standing_for(task.answer, candidates)].sum()
            for task, candidates, probability in zip(tasks, read, self.probabilities(read), strict=True)
        ]
        return np.log(np.minimum(UNREAD + (1 - UNREAD) * np.array(likelihoods, np.float64), 1.0))

    def read(self, question: str, passages: Sequence[Passage]) -> Reading:
        """Return the candidates of an answer with their probabilities."""
        candidates = self.candidates(question, passages)
        probabilities = self.probabilities([candidates])[0]
        total: dict[str, float] = {}
        for answer, probability in zip(candidates.answers, probabilities.tolist(), strict=True):
            if answer:
                total[answer] = total.get(answer, 0.0) + probability
        return Reading(candidates, probabilities, total)

    def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        """Return the most probable answer, None when neither evidence nor question offers any."""
        reading = self.read(question, passages)
        if not reading.total:
            return None
        candidates = reading.candidates
        at = reading.likeliest
        chosen = candidates.answers[at]
        probability, stated = reading.total[chosen], reading.total[chosen] >= STATED_FROM
        if self.certainty is not None:
            signals = signals_of(question, candidates, reading.probabilities, reading.total, at)
            probability, stated = self.certainty.of(signals), self.certainty.states(signals)
        number, start, end = candidates.places[at].tolist()
        text = candidates.surfaces[at]
        if number < 0:
            return Answer(text, probability, stated=stated)
        return Answer(text, probability, passages[number].id, start, end, stated)


def standing_for(answer: str, candidates: AnswerCandidates) -> NDArray[np.bool_]:
    """Return which candidates are the answer, bool [n]; if none is, those nearest to it, from an F1 of NEAR on."""
    wanted = normalise_answer(answer)
    equal = np.array([bool(text) and text == wanted for text in candidates.answers])
    if equal.any():
        return equal
    words = wanted.split()
    closeness = np.array([overlap_f1(text.split(), words) for text in candidates.answers])
    return np.asarray((closeness >= NEAR) & (closeness >= closeness.max() - 1e-9))


FORMAT = 3
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
    weights = {
        f"{number}.{name}": np.asarray(array, np.float32, order="C")
        for number, member in enumerate(reader.network.members)
        for name, array in member.items()
    }
    write_atomically(folder / WEIGHTS, save(weights))
    description: dict[str, Any] = {"format": FORMAT, **_FEATURES_SEEN}
    description |= {"files": {WEIGHTS: fingerprint(folder / WEIGHTS)}, "network": asdict(reader.network.settings)}
    description |= {"members": len(reader.network.members), "temperature": reader.network.temperature}
    if reader.certainty is not None:
        description["certainty"] = reader.certainty.to_json()
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
        network = _load_network(folder, description)
        certainty = None
        if "certainty" in description:
            certainty = Certainty.from_json(description["certainty"])
    except (SafetensorError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise PolicyError(f"the reader in {folder} is damaged ({shorten(str(error), 200)}): {_REMEDY}") from error
    return ExtractiveReader(network, analyser, certainty)


def shared_reader(folder: Path) -> ExtractiveReader:
    """Return a reader as agents of one process share it; errors are those of :func:`load_reader`."""
    files = tuple(identity(folder / name) for name in (DESCRIPTION, WEIGHTS))
    return _READERS.get(files, lambda: load_reader(folder))


_READERS = Shared[ExtractiveReader]()


def _load_network(folder: Path, description: Mapping[str, Any]) -> ReaderNetwork:
    settings = ReaderSettings(**description["network"])
    arrays = load(read_listed(folder / WEIGHTS, description["files"][WEIGHTS], PolicyError, _REMEDY))
    members = [
        {name: arrays.pop(f"{number}.{name}") for name in shapes(settings)} for number in range(description["members"])
    ]
    for member in members:
        if any(array.dtype != np.float32 or array.shape != shapes(settings)[name] for name, array in member.items()):
            raise ValueError("weights of another kind")
        if not all(bool(np.isfinite(array).all()) for array in member.values()):
            raise PolicyError(f"the reader in {folder} has weights that are not finite: train it again")
    if arrays or not members:
        raise ValueError("weights of another network")
    return ReaderNetwork(settings, members, float(description["temperature"]))

"""Trains the built-in reader on questions with answers, and lets any reader judge the evidence of a question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..agent.reader._candidate_features import AnswerCandidates, read_candidates
from ..agent.reader._extractive import UNREAD, ExtractiveReader, standing_for
from ..agent.reader._network import CandidateBatch, ReaderNetwork, ReaderSettings
from ..agent.reader._passage_analysis import TRAINING, PassageAnalyser
from ..agent.reader._protocol import Reader, ReadingTask
from ..envs._world import QuestionWorld
from ..retrievers.records import Passage, Query
from ._reader_network import TrainableNetwork, negative_log_likelihood

LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
QUESTIONS_PER_STEP = 24
INCOMPLETE = 0.25
"""Share of the questions that are read with part of their evidence only: a reader should know when it cannot know."""

TEMPERATURES = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
MOST_EXTRA = 2
"""Passages beside the evidence that a question is read with at most."""


@dataclass(frozen=True, slots=True)
class ReadingExample:
    """A question with its answer, the evidence that leads to it, and other passages that were in view."""

    question: str
    answer: str
    evidence: tuple[Passage, ...]
    others: tuple[Passage, ...] = ()


def train_reader(
    examples: Sequence[ReadingExample],
    epochs: int,
    seed: int,
    *,
    settings: ReaderSettings | None = None,
    members: int = 1,
    analyser: PassageAnalyser | None = None,
    done: Callable[[int], None] | None = None,
) -> ExtractiveReader:
    """Train a reader; the same examples and seed give the same reader.

    The loss of a question is ``-log sum_c p(c)`` over the candidates that stand for its answer, wherever they stand
    (Clark and Gardner 2018, arXiv:1710.10723); where none does, of the candidate that says so.

    Args:
        examples: at least one.
        epochs: passes over them.
        seed: of everything random.
        settings: sizes of the network.
        members: networks that are trained, each from another beginning, and averaged.
        analyser: of passages, where there is one to share.
        done: called with the number of examples that were analysed.
    """
    generator = np.random.default_rng([seed, 7])
    analyser = analyser if analyser is not None else PassageAnalyser(most=TRAINING)
    read: list[AnswerCandidates] = []
    for number, example in enumerate(examples, start=1):
        evidence = _presented(example, generator)
        read.append(read_candidates(example.question, analyser.read(evidence), analyser.vectors))
        if done is not None:
            done(number)
    right = [_targets_of(example.answer, candidates) for example, candidates in zip(examples, read, strict=True)]
    sizes = settings or ReaderSettings()
    fitted = [_fit(sizes, read, right, epochs, generator).exported() for _ in range(members)]
    return ExtractiveReader(ReaderNetwork(sizes, fitted), analyser)


def calibrate(reader: ExtractiveReader, examples: Sequence[ReadingExample], seed: int) -> float:
    """Set the temperature that makes the reader's likelihood of answers it has not learned highest; returns it.

    Temperature scaling (Guo et al. 2017, arXiv:1706.04599): a reader of a few hundred questions is too sure of itself,
    and what it is wrongly sure of would mislead a search that it rewards. 1 at least.

    Args:
        reader: is changed in place.
        examples: that it was not trained on; none leave it as it is.
        seed: of how the evidence is presented.
    """
    generator = np.random.default_rng([seed, 8])
    read = [reader.candidates(example.question, _presented(example, generator)) for example in examples]
    right = [_targets_of(example.answer, candidates) for example, candidates in zip(examples, read, strict=True)]
    losses = []
    for temperature in TEMPERATURES if examples else ():
        reader.network.temperature = temperature
        chances = zip(reader.probabilities(read), right, strict=True)
        losses.append(-np.mean([np.log(UNREAD + (1 - UNREAD) * p[mask].sum()) for p, mask in chances]))
    chosen = TEMPERATURES[int(np.argmin(losses))] if losses else 1.0
    reader.network.temperature = chosen
    return chosen


def _fit(
    settings: ReaderSettings,
    read: Sequence[AnswerCandidates],
    right: Sequence[NDArray[np.bool_]],
    epochs: int,
    generator: np.random.Generator,
) -> TrainableNetwork:
    torch.manual_seed(int(generator.integers(2**31)))
    network = TrainableNetwork(settings)
    network.standardise(np.concatenate([candidates.features for candidates in read]))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    network.train()
    steps = epochs * -(-len(read) // QUESTIONS_PER_STEP)
    step = 0
    for _ in range(epochs):
        order = generator.permutation(len(read))
        for first in range(0, len(read), QUESTIONS_PER_STEP):
            chosen = order[first : first + QUESTIONS_PER_STEP].tolist()
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1 - step / steps)
            step += 1
            batch = CandidateBatch.of([read[k] for k in chosen])
            mask = torch.from_numpy(np.concatenate([right[k] for k in chosen]))
            loss = negative_log_likelihood(network(batch), torch.from_numpy(batch.owner), mask, len(chosen))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    return network.eval()


def _presented(example: ReadingExample, generator: np.random.Generator) -> list[Passage]:
    """Return evidence as a search might bring it: sometimes with passages too many, sometimes incomplete."""
    evidence = list(example.evidence)
    if len(evidence) > 1 and generator.random() < INCOMPLETE:
        kept = generator.random(len(evidence)) < 0.5
        evidence = [passage for passage, keep in zip(evidence, kept, strict=True) if keep]
    extra = int(generator.integers(0, MOST_EXTRA + 1)) if generator.random() < 0.5 else 0
    for passage in example.others[:extra]:
        evidence.insert(int(generator.integers(0, len(evidence) + 1)), passage)
    return evidence


def _targets_of(answer: str, candidates: AnswerCandidates) -> NDArray[np.bool_]:
    """Return which candidates are right: those that stand for the answer, or that none does."""
    right = standing_for(answer, candidates)
    if not right.any():
        right[-1] = True
    return right


_OTHERS = 4
"""Passages beside the evidence that are kept for an example."""


def reading_example(world: QuestionWorld, evidence: Collection[int]) -> ReadingExample | None:
    """Return the example of a question and the rows of its evidence; None when the question has no answer.

    The evidence comes in the order in which it would be found: first what the question names, then the rest. Beside
    it stands what the lexical index takes for evidence wrongly.
    """
    answer = world.answer
    if answer is None:
        return None
    index = world.index
    ordered = sorted(evidence, key=lambda row: (row not in world.view.named, row))
    found = index.lexical.search(Query(world.view.text), _OTHERS + len(ordered)).rows.tolist()
    others = [row for row in found if row not in evidence and world.met_by(row) not in evidence][:_OTHERS]
    passages = index.store.passages(ordered), index.store.passages(others)
    return ReadingExample(world.view.text, answer, tuple(passages[0]), tuple(passages[1]))


WORST = -2.0
LEAST_DOUBT = 0.5
"""Nats of doubt before any evidence that a gain is measured against at least: a question that gives its answer away
should not make much of little."""


class ReaderJudge:
    """Judges evidence by ``log p(y | z, q)``, each sequence of rows once.

    Args:
        reader: any reader.
        world: of a question with an answer.
        rewards: whether the judge also rewards episodes, instead of recall.
    """

    def __init__(self, reader: Reader, world: QuestionWorld, rewards: bool = True) -> None:
        if world.answer is None:
            raise ValueError(f"the question {world.view.text!r} has no answer to judge evidence by")
        self.rewards = rewards
        self._reader = reader
        self._world = world
        self._answer = world.answer
        self._known: dict[tuple[int, ...], float] = {}

    def log_likelihood(self, rows: tuple[int, ...]) -> float:
        """Return log p(y | z, q) of a path that took ``rows`` in this order; at most 0."""
        return float(self.log_likelihoods([rows])[0])

    def log_likelihoods(self, sequences: Sequence[tuple[int, ...]]) -> NDArray[np.float64]:
        """Return log p(y | z, q) of several sequences of rows, read in one batch."""
        new = [rows for rows in dict.fromkeys(sequences) if rows not in self._known]
        if new:
            tasks = [self._task(rows) for rows in new]
            self._known.update(zip(new, self._reader.log_likelihoods(tasks).tolist(), strict=True))
        return np.array([self._known[rows] for rows in sequences])

    def value(self, rows: tuple[int, ...]) -> float:
        """Return the share of the doubt without evidence that ``rows`` take away: 1 for all of it, WORST at least."""
        doubt = -self.log_likelihood(())
        gain = doubt + self.log_likelihood(rows)
        return max(gain / max(doubt, LEAST_DOUBT), WORST)

    def _task(self, rows: tuple[int, ...]) -> ReadingTask:
        passages = tuple(self._world.index.store.passages(list(rows)))
        return ReadingTask(self._world.view.text, self._answer, passages)

r"""Tunes the hop encoder: the query side of the built-in encoder learns to read a question with its evidence.

Queries conditioned on the path are those of multi-hop dense retrieval (Xiong et al. 2021, arXiv:2009.12756, section
2.2). The passages' vectors stay as they are, so no index has to be encoded again, and the change of the weights has low
rank, so that it travels with a policy. A state is a question with some of its evidence E. The scores of all passages,
:math:`s(q, E, p) / \tau`, are trained by an objective (:mod:`...retrievers.differentiable.objectives`) for which the
missing supporting passages are relevant, in any order. Negatives are every other passage of the corpus where that is
cheap, and otherwise the passages of the batch together with mined hard negatives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...agent._tuned_queries import check_tunable
from ...envs._conditioned_query import MOST_EVIDENCE, conditioned_query
from ...envs._question_set import QuestionSet
from ...envs._question_view import QuestionView
from ...envs.settings import EnvironmentSettings
from ...errors import QuestionsError, RecipeError
from ...retrievers._device import device_called
from ...retrievers.differentiable.collapse import CollapseMeasures, measure_collapse, strided
from ...retrievers.differentiable.objectives import OBJECTIVES, hard_negatives, labels_as_targets
from ...retrievers.protocols import Progress
from ...retrievers.records import Passage
from ...retrievers.vectors._minilm import save_adapter
from .._epochs import (
    EpochRun,
    Report,
    epoch_generator,
    learn_batches,
    like_length_batches,
    run_epochs,
    write_metrics,
)
from ..training_questions import TrainingSource
from ._tunable_encoder import TunableEncoder, check_ranges, passage_vectors, set_aside, tuning_described

WATCHED = 200
"""Questions that are watched for collapse."""

CHECKED_AT = 10
"""Validation is recall of the missing passages among so many."""

EXACT_NEGATIVES = 100_000
"""Up to so many passages of a corpus, all of them are negatives, unless hard negatives are asked for."""

MINED = 64
"""Hard negatives of a question in a larger corpus, unless another number is asked for."""


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """How the hop encoder is tuned.

    Attributes:
        objective: one of ``OBJECTIVES``.
        epochs: passes over the questions, each of which draws one state of every question.
        rank: of the change of every linear layer.
        learning_rate: highest of the schedule.
        batch: states in a gradient step.
        temperature: tau.
        dropout: inside the transformer.
        hard_negatives: passages nearest to each question, mined anew before every epoch, that are its negatives beside
            the passages of the batch; 0 for those of the batch alone. None for all passages of the corpus
            (of one above ``EXACT_NEGATIVES``: ``MINED``).
        held_out: share of the questions that decide which epoch is kept.
    """

    objective: str = "contrastive"
    epochs: int = 4
    rank: int = 8
    learning_rate: float = 1e-3
    batch: int = 32
    temperature: float = 0.05
    dropout: float = 0.05
    hard_negatives: int | None = None
    held_out: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.objective not in OBJECTIVES:
            raise RecipeError(f"there is no objective {self.objective!r}: choose one of {', '.join(OBJECTIVES)}")
        check_ranges(self, {"epochs": 1, "rank": 1, "batch": 1}, ("learning_rate", "temperature", "held_out"))
        if self.hard_negatives is not None and self.hard_negatives < 0:
            raise RecipeError(f"hard_negatives must be 0 or more, not {self.hard_negatives}")


@dataclass(frozen=True, slots=True)
class TuningQuestion:
    """A labelled question over an index.

    Attributes:
        source: number of its index among those tuned on.
        view: the analysed question.
        gold: rows of its supporting passages, sorted; of a labelled document, the one that agrees best with it.
        passages: the same as passages.
        meets: every row that meets a label -> the row of ``gold`` that stands for it.
    """

    source: int
    view: QuestionView
    gold: tuple[int, ...]
    passages: tuple[Passage, ...]
    meets: Mapping[int, int]

    def drawn(self, generator: np.random.Generator) -> QueryState:
        """Draw how much of the evidence is held (none to all but one, at most ``MOST_EVIDENCE``), and which."""
        count = int(generator.integers(min(len(self.gold), MOST_EVIDENCE + 1)))
        return self.holding(generator.permutation(len(self.gold))[:count].tolist())

    def holding(self, held: Sequence[int]) -> QueryState:
        """Return the state in which the supporting passages numbered ``held`` have been taken, in that order."""
        return QueryState(
            self,
            conditioned_query(self.view, [self.passages[k] for k in held]),
            tuple(row for k, row in enumerate(self.gold) if k not in held),
            tuple(self.gold[k] for k in held),
        )


@dataclass(frozen=True, slots=True)
class QueryState:
    """A query that holds evidence, the rows that it should find, and those that it holds.

    Attributes:
        question: it is a state of.
        text: the conditioned query.
        missing: rows of supporting passages that are not held; at least one.
        held: rows of the evidence in the query.
    """

    question: TuningQuestion
    text: str
    missing: tuple[int, ...]
    held: tuple[int, ...]


def tune(
    sources: Sequence[TrainingSource],
    out: Path,
    *,
    settings: TuningSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Tune a hop encoder on labelled questions; returns the validation figures of the epoch that is kept.

    They stand in ``metrics.json`` too. An interrupted run goes on when it is called again with the same arguments.

    Args:
        sources: labelled questions over indexes made with the built-in encoder.
        out: folder of the result, for ``train(hop_encoder=...)``.
        settings: the defaults when None.
        seed: of everything random.
        device: see :func:`.._device.device_called`.
        warn: called with each warning: question ids that were left out as ambiguous.
        progress: called with (stage, done, total) at every batch.

    Raises:
        CollapseError: when the vectors of the questions collapse.
        EncoderError: when an index was made with another encoder.
        QuestionsError: when there are too few labelled questions.
        PolicyError: when ``out`` holds a run of other settings.
        DeviceError: when there is no such device.
    """
    return _Tuning(sources, Path(out), settings or TuningSettings(), seed, device, warn).finish(progress)


class _Tuning:
    """One tuning run in its folder."""

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        out: Path,
        settings: TuningSettings,
        seed: int,
        device: str,
        warn: Callable[[str], None] | None,
    ) -> None:
        self._out, self._settings, self._seed = out, settings, seed
        device_ = device_called(device)
        self._indexes = [check_tunable(source.index) for source in sources]
        self._described = tuning_described("tune", settings, seed, sources)
        questions = _questions(sources, warn)
        self._held_out, self._questions = set_aside(questions, settings.held_out, seed)
        if not self._questions:
            raise QuestionsError("there are too few questions with supporting passages in the index to tune on")
        self._watched = [questions[k] for k in strided(len(questions), WATCHED)]
        self._vectors = [passage_vectors(index, device_) for index in self._indexes]
        self._mined: dict[int, NDArray[np.int64]] = {}
        self._encoder = TunableEncoder(settings.rank, seed, settings.dropout, device_)
        parts = [{"params": list(self._encoder.parameters()), "peak": settings.learning_rate}]
        self._optimizer = torch.optim.AdamW(parts, lr=settings.learning_rate, weight_decay=0.01)

    def finish(self, progress: Progress | None) -> dict[str, float]:
        """Run the epochs that are left; the encoder of the best one is in the folder."""
        trained = (self._settings.epochs, self._encoder, self._optimizer)
        run = EpochRun(
            self._out, self._described, "tuning", *trained, self._epoch, self._validate, self._keep, self._measures
        )
        figures = run_epochs(run, progress)
        write_metrics(self._out, {"seed": self._seed, **asdict(self._settings)}, figures)
        return figures

    def _keep(self, figures: dict[str, float]) -> None:
        save_adapter(self._out, self._encoder.adapter({**self._described, "figures": figures}))

    def _epoch(self, number: int, report: Report) -> float:
        """Learn from one state of every question; returns the mean loss."""
        self._mine()
        generator = epoch_generator(self._seed, number)
        states = [self._questions[k].drawn(generator) for k in generator.permutation(len(self._questions))]
        batches = like_length_batches(
            states,
            lambda state: state.question.source,
            lambda part: self._encoder.lengths([state.text for state in part]),
            self._settings.batch,
            generator,
        )
        self._encoder.train()
        first, steps = number * len(batches), self._settings.epochs * len(batches)
        return learn_batches(batches, self._loss, self._optimizer, report, first_step=first, steps=steps)

    def _loss(self, batch: Sequence[QueryState]) -> Tensor:
        """Return the loss of a batch of states of one index."""
        source, settings = batch[0].question.source, self._settings
        rows = self._candidates(batch)
        vectors = self._vectors[source] if rows is None else self._vectors[source][torch.from_numpy(rows)]
        place = None if rows is None else {int(row): k for k, row in enumerate(rows)}
        queries = self._encoder([state.text for state in batch])  # [b, d]
        scores = queries @ vectors.T / settings.temperature  # [b, n]
        held = torch.zeros(scores.shape, dtype=torch.bool)
        missing = torch.zeros(scores.shape, dtype=torch.bool)
        for k, state in enumerate(batch):
            at = [row if place is None else place[row] for row in (*state.missing, *state.held)]
            missing[k, at[: len(state.missing)]] = True
            held[k, at[len(state.missing) :]] = True
            beside = state.question.meets.keys() - set(state.question.gold)  # neither found nor wrong
            held[k, [row if place is None else place[row] for row in beside if place is None or row in place]] = True
        targets = labels_as_targets(settings.objective, missing, settings.temperature)
        return OBJECTIVES[settings.objective](scores, targets.to(scores.device), ~held.to(scores.device))

    def _candidates(self, batch: Sequence[QueryState]) -> NDArray[np.int64] | None:
        """Return the rows that the batch is scored against, None for all: its passages and mined hard negatives."""
        if self._count(batch[0].question.source) is None:
            return None
        own = np.array([row for state in batch for row in (*state.missing, *state.held)], np.int64)
        mined = [self._mined[id(state.question)] for state in batch if id(state.question) in self._mined]
        return np.unique(np.concatenate([own, *mined]))

    def _count(self, source: int) -> int | None:
        """Return how many hard negatives a question of an index has; None where every passage is a negative."""
        wanted = self._settings.hard_negatives
        return MINED if wanted is None and len(self._indexes[source]) > EXACT_NEGATIVES else wanted

    def _mine(self) -> None:
        """Find the passages nearest to every question by the encoder as it is now, where they are wanted."""
        for source in range(len(self._indexes)):
            mine = [question for question in self._questions if question.source == source]
            count = self._count(source)
            if count and mine:
                vectors = self._encoded([question.view.text for question in mine]).cpu().numpy()
                corpus = self._vectors[source].cpu().numpy()
                mined = hard_negatives(vectors, corpus, [tuple(question.meets) for question in mine], count)
                self._mined.update(zip(map(id, mine), mined, strict=True))

    @torch.no_grad()
    def _encoded(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of texts by the encoder as it is now, without dropout."""
        self._encoder.eval()
        return torch.cat([self._encoder(texts[first : first + 64]) for first in range(0, len(texts), 64)])

    def _measures(self) -> CollapseMeasures:
        """Measure the vectors of the questions that are watched for collapse."""
        vectors = self._encoded([question.view.text for question in self._watched])
        positives, top = [], []
        for question, query in zip(self._watched, vectors, strict=True):
            corpus = self._vectors[question.source]
            positives.append(corpus[question.gold[0]].cpu().numpy())
            top.append(int((corpus @ query).argmax()))
        return measure_collapse(vectors.cpu().numpy(), np.stack(positives), np.array(top, np.int64))

    def _validate(self) -> dict[str, float]:
        """Return the recall of missing passages given the question alone, and given one piece of evidence."""
        bare = [question.holding(()) for question in self._held_out]
        after = [q.holding((k,)) for q in self._held_out if len(q.gold) > 1 for k in range(len(q.gold))]
        first = self._recall(bare)
        then = self._recall(after) if after else first
        return {"recall_question": first, "recall_given_evidence": then, "score": (first + then) / 2}

    def _recall(self, states: Sequence[QueryState]) -> float:
        queries = zip(states, self._encoded([state.text for state in states]), strict=True)
        found = [recall_of_missing(self._vectors[state.question.source] @ query, state) for state, query in queries]
        return float(np.mean(found))


def recall_of_missing(scores: Tensor, state: QueryState) -> float:
    """Return the share of the missing passages among the best ``CHECKED_AT`` by ``scores`` [n] without those held."""
    scores = scores.index_fill(0, torch.tensor(state.held, dtype=torch.long, device=scores.device), -torch.inf)
    top = torch.topk(scores, min(CHECKED_AT, len(scores))).indices.tolist()
    return len({state.question.meets.get(row, row) for row in top}.intersection(state.missing)) / len(state.missing)


def _questions(sources: Sequence[TrainingSource], warn: Callable[[str], None] | None) -> list[TuningQuestion]:
    """Return the questions of all sources that have labels."""
    found = []
    for source, given in enumerate(sources):
        questions = QuestionSet.load(given.index, given.questions, given.split, EnvironmentSettings(), warn)
        for number, item in enumerate(questions.items):
            if item.gold:
                rows = tuple(sorted(item.gold))
                passages = tuple(given.index.store.passages(rows))
                found.append(TuningQuestion(source, questions.world(number).view, rows, passages, item.meets))
    return found

"""Tunes how questions are asked by a downstream loss alone: which passages are evidence is never said.

The loss is the marginal likelihood of the answer over what is retrieved (:mod:`._evidence_likelihood`), exact over the
whole corpus: its vectors stay as they are, so that all scores of a batch are one matrix product and no index has to be
encoded again. It moves the query encoder and the memory of mentions (:mod:`...agent._tuned_queries`), and afterwards,
over the rankings that the two make, the weights of the fusion with the lexical sub-index (:mod:`.fusion_training`).

Of the qrels nothing is looked at but which questions belong to a split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from ...agent._tuned_queries import TunedQueries, check_tunable, memory_over, moved, save_memory
from ...agent.reader._language_models import open_reader
from ...envs._question_set import QuestionSet
from ...envs.settings import EnvironmentSettings
from ...errors import QuestionsError, RecipeError
from ...retrievers._device import device_called
from ...retrievers.differentiable.collapse import CollapseLimits, CollapseMeasures, measure_collapse, strided
from ...retrievers.differentiable.operators import OPERATORS, AttentionMemory
from ...retrievers.protocols import Progress
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
from ._evidence_likelihood import (
    FusionQuestion,
    WeighedSets,
    evidence_likelihood,
    fit_fusion,
    fusion_question,
    weighed_sets,
)
from ._tunable_encoder import TunableEncoder, check_ranges, passage_vectors, set_aside, tuning_described

WATCHED = 200
"""Questions that are watched for collapse."""


@dataclass(frozen=True, slots=True)
class DownstreamSettings:
    """How queries are tuned.

    Attributes:
        epochs: passes over the questions.
        rank: of the change of every linear layer of the encoder; 0 leaves it as it is.
        learning_rate: of the encoder, highest of the schedule.
        memory_learning_rate: of the memory's temperature and gate.
        batch: questions in a gradient step.
        temperature: tau of the softmax over the corpus.
        dropout: inside the transformer.
        memory: passages that a question reads before it is asked; 0 for no memory.
        operator: how the passages that are read are chosen, one of ``OPERATORS``.
        fusion: whether the weights of the fusion are learned too.
        held_out: share of the questions whose loss decides which epoch is kept.
        reader: judges how likely a set makes the answer, see :func:`open_reader`; None where holding the answer is all
            that counts.
    """

    epochs: int = 2
    rank: int = 8
    learning_rate: float = 1e-3
    memory_learning_rate: float = 2e-2
    batch: int = 32
    temperature: float = 0.05
    dropout: float = 0.05
    memory: int = 20
    operator: str = "softmax"
    fusion: bool = True
    held_out: float = 0.1
    reader: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        shares = ("learning_rate", "memory_learning_rate", "temperature", "held_out")
        check_ranges(self, {"epochs": 1, "rank": 0, "batch": 1, "memory": 0}, shares)
        if self.operator not in OPERATORS:
            raise RecipeError(f"there is no operator {self.operator!r}: choose one of {', '.join(OPERATORS)}")


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    """A question that is learned from: the number of its index, its text, and the sets that could be its evidence."""

    source: int
    text: str
    evidence: WeighedSets


def tune_query(
    sources: Sequence[TrainingSource],
    out: Path,
    *,
    settings: DownstreamSettings | None = None,
    seed: int = 0,
    device: str = "auto",
    limits: CollapseLimits | None = None,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Tune queries on questions with answers; returns the figures of the epoch that is kept.

    They also say how many questions could be learned from: those whose answer stands in a passage within reach.

    The folder can be used as a query encoder (:class:`...agent._tuned_queries.TunedQueries`) and as a hop encoder. An
    interrupted run goes on when it is called again with the same arguments.

    Args:
        sources: questions with answers over indexes made with the built-in encoder.
        out: folder of the result.
        settings: the defaults when None.
        seed: of everything random.
        device: see :func:`.._device.device_called`.
        limits: of the collapse guard; the defaults when None.
        warn: called with each warning: question ids that were left out as ambiguous.
        progress: called with (stage, done, total) at every batch.

    Raises:
        CollapseError: when the vectors of the questions collapse.
        EncoderError: when an index was made with another encoder.
        QuestionsError: when there are too few questions whose answer stands in a passage within reach.
        PolicyError: when ``out`` holds a run of other settings.
        DeviceError: when there is no such device.
    """
    return _Run(sources, Path(out), settings or DownstreamSettings(), seed, device, limits, warn).finish(progress)


class QueryModel(nn.Module):
    """A tunable encoder and, where there is one, a memory; the parameters are what is learned.

    Args:
        encoder: of the questions.
        memories: one for every index, which share what they learn (:meth:`AttentionMemory.over`); none for none.
    """

    def __init__(self, encoder: TunableEncoder, memories: Sequence[AttentionMemory]) -> None:
        super().__init__()
        self.encoder = encoder
        self.memory = memories[0] if memories else None
        self._memories = list(memories)  # in a list: the others hold nothing of their own to learn or to save

    def train(self, mode: bool = True) -> QueryModel:
        """Switch dropout and the draws of an operator on or off."""
        super().train(mode)
        for memory in self._memories:
            memory.train(mode)
        return self

    def forward(self, texts: Sequence[str], source: int) -> Tensor:
        """Return unit vectors [b, d] of questions over the index numbered ``source``."""
        vectors: Tensor = self.encoder(texts)
        return moved(vectors, self._memories[source]) if self._memories else vectors


class _Run:
    """One tuning run in its folder."""

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        out: Path,
        settings: DownstreamSettings,
        seed: int,
        device: str,
        limits: CollapseLimits | None,
        warn: Callable[[str], None] | None,
    ) -> None:
        self._out, self._settings, self._seed, self._limits = out, settings, seed, limits
        self._device = device_called(device)
        self._indexes = [check_tunable(source.index) for source in sources]
        self._described = tuning_described("tune-query", settings, seed, sources)
        questions = answer_questions(sources, settings.reader, warn)
        self._held_out, self._questions = set_aside(questions, settings.held_out, seed)
        if not self._questions:
            raise QuestionsError(
                "there are too few questions whose answer stands in a passage within reach: nothing can be learned"
            )
        self._watched = [questions[k] for k in strided(len(questions), WATCHED)]
        self._vectors = [passage_vectors(index, self._device) for index in self._indexes]
        self._model = self._fresh_model()
        parts = [{"params": list(self._model.encoder.parameters()), "peak": settings.learning_rate}]
        if self._model.memory is not None:
            parts.append({"params": list(self._model.memory.parameters()), "peak": settings.memory_learning_rate})
        self._optimizer = torch.optim.AdamW(parts, lr=settings.learning_rate, weight_decay=0.01)

    def _fresh_model(self) -> QueryModel:
        settings = self._settings
        encoder = TunableEncoder(settings.rank, self._seed, settings.dropout, self._device)
        memories: list[AttentionMemory] = []
        for index in self._indexes if settings.memory else ():
            memory = memory_over(index, settings.memory, settings.temperature / 2, 0.3, settings.operator)
            memory = memory.to(self._device)
            memories.append(memories[0].over(memory.keys, memory.values) if memories else memory)
        return QueryModel(encoder, memories)

    def finish(self, progress: Progress | None) -> dict[str, float]:
        """Run the epochs that are left; the best one is in the folder. Then learn the weights of the fusion."""
        trained = (self._settings.epochs, self._model, self._optimizer)
        run = EpochRun(
            self._out, self._described, "tuning", *trained, self._epoch, self._validate, self._keep, self._measures
        )
        run = replace(run, limits=self._limits)
        figures = run_epochs(run, progress)
        fused = self._fuse() if self._settings.fusion else {}
        figures = {**figures, **fused, "questions": float(len(self._questions) + len(self._held_out))}
        write_metrics(self._out, {"seed": self._seed, **asdict(self._settings)}, figures)
        return figures

    def _validate(self) -> dict[str, float]:
        """Return, of the questions held out, the loss and the share of the likeliest evidence among the first ten."""
        self._model.eval()
        loss, found = 0.0, 0.0
        with torch.no_grad():
            for part in self._parts(self._held_out):
                scores = self._scores(part)
                loss += evidence_likelihood(scores, [question.evidence for question in part]).item() * len(part)
                first = scores.topk(min(10, scores.shape[1]), dim=1).indices.tolist()
                for question, rows in zip(part, first, strict=True):
                    best = question.evidence.best()
                    found += len(set(rows).intersection(best)) / len(best)
        figures = {"held_out_loss": loss / len(self._held_out), "evidence_recall@10": found / len(self._held_out)}
        memory = self._model.memory
        if memory is not None:
            figures |= {"gate": memory.gate.item(), "memory_temperature": memory.log_temperature.exp().item()}
        return {**figures, "score": -figures["held_out_loss"]}

    def _keep(self, figures: dict[str, float]) -> None:
        """Store the model."""
        save_adapter(self._out, self._model.encoder.adapter({**self._described, "figures": figures}))
        if self._model.memory is not None:
            save_memory(self._out, self._model.memory)

    def _epoch(self, number: int, report: Report) -> float:
        """Learn from every question once; returns the mean loss."""
        generator = epoch_generator(self._seed, number)
        batches = like_length_batches(
            [self._questions[k] for k in generator.permutation(len(self._questions))],
            lambda question: question.source,
            lambda part: self._model.encoder.lengths([question.text for question in part]),
            self._settings.batch,
            generator,
        )
        self._model.train()
        first, steps = number * len(batches), self._settings.epochs * len(batches)
        return learn_batches(batches, self._loss, self._optimizer, report, first_step=first, steps=steps)

    def _loss(self, batch: Sequence[AnswerQuestion]) -> Tensor:
        """Return the loss of a batch of questions over one index."""
        return evidence_likelihood(self._scores(batch), [question.evidence for question in batch])

    def _scores(self, batch: Sequence[AnswerQuestion]) -> Tensor:
        """Return the scores of all passages of the batch's index, [b, N]."""
        source = batch[0].source
        queries: Tensor = self._model([question.text for question in batch], source)  # [b, d]
        return queries @ self._vectors[source].T / self._settings.temperature

    @torch.no_grad()
    def _measures(self) -> CollapseMeasures:
        """Measure the vectors of the questions that are watched."""
        self._model.eval()
        vectors, positives, top = [], [], []
        for part in self._parts(self._watched):
            corpus = self._vectors[part[0].source]
            queries = self._model([question.text for question in part], part[0].source)  # [b, d]
            vectors.append(queries)
            positives.append(corpus[[question.evidence.best()[0] for question in part]])
            top.append((queries @ corpus.T).argmax(dim=1))
        seen = [torch.cat(parts).cpu().numpy() for parts in (vectors, positives, top)]
        return measure_collapse(seen[0], seen[1], seen[2])

    def _parts(self, questions: Sequence[AnswerQuestion]) -> list[list[AnswerQuestion]]:
        """Split questions, in order, into batches of one index."""
        size = self._settings.batch
        parts = []
        for source in range(len(self._indexes)):
            mine = [question for question in questions if question.source == source]
            parts += [mine[first : first + size] for first in range(0, len(mine), size)]
        return parts

    def _fuse(self) -> dict[str, float]:
        """Learn the weights of the fusion over the rankings that the kept model makes."""
        tuned = [TunedQueries(self._out, index) for index in self._indexes]

        def seen(questions: Sequence[AnswerQuestion]) -> list[FusionQuestion]:
            asked = ((self._indexes[q.source], tuned[q.source].query(q.text), q.evidence) for q in questions)
            return [found for one in asked if (found := fusion_question(*one)) is not None]

        fusion, figures = fit_fusion(seen(self._questions), seen(self._held_out), self._seed)
        fusion.save(self._out)
        return figures


def answer_questions(
    sources: Sequence[TrainingSource], reader: str | None, warn: Callable[[str], None] | None
) -> list[AnswerQuestion]:
    """Return the questions whose answer stands within reach, with the sets that could be their evidence."""
    judge = None if reader is None else open_reader(reader)
    questions = []
    for number, source in enumerate(sources):
        where = (source.index, source.questions, source.split)
        found = QuestionSet.load(*where, EnvironmentSettings(), warn, labels=False)
        worlds = [world for world in map(found.world, range(len(found))) if world.answer]
        for world, evidence in zip(worlds, weighed_sets(worlds, judge), strict=True):
            if evidence is not None:
                questions.append(AnswerQuestion(number, world.view.text, evidence))
    return questions

r"""Tunes the hop encoder: the query side of the built-in encoder learns to read a question with its evidence.

Queries conditioned on the path are those of multi-hop dense retrieval (Xiong et al. 2021, arXiv:2009.12756, section
2.2). The passages' vectors stay as they are, so no index has to be encoded again, and the change of the weights has low
rank, so that it travels with a policy. For a state with evidence E, a missing supporting passage p and negatives N

.. math::
    L = - \log \frac{e^{s(q, E, p) / \tau}}{e^{s(q, E, p) / \tau} + \sum_{n \in N} e^{s(q, E, n) / \tau}},

averaged over the missing passages, none of which is a negative of another: their order is latent. N is every other
passage of the corpus where that is cheap, and otherwise the passages of the batch together with mined hard negatives,
the passages nearest to the batch's questions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...agent.queries.low_rank import TunableEncoder, learning_rate, tunable
from ...envs.question_set import QuestionSet
from ...envs.settings import EnvironmentSettings
from ...errors import QuestionsError, RecipeError
from ...retrievers.differentiable.collapse import CollapseMeasures, measure_collapse, strided
from ...retrievers.differentiable.hard_negatives import hard_negatives
from ...retrievers.differentiable.objectives import contrastive
from ...retrievers.protocols import Progress
from ...retrievers.vectors.adapter import save_adapter
from ..checkpoint import Progressed, claim, load_checkpoint, save_checkpoint
from ..devices import device_called
from ..run_log import RunLog
from ..training_questions import TrainingSource
from .collapse_watch import CollapseWatch
from .tuning_batches import like_length_batches
from .tuning_states import QueryState, draw_state, state_given, tuning_questions

WATCHED = 200
"""Questions that are watched for collapse."""

CHECKED_AT = 10
"""Validation is recall of the missing passages among so many."""


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """How the hop encoder is tuned.

    Attributes:
        epochs: passes over the questions, each of which draws one state of every question.
        rank: of the change of every linear layer.
        learning_rate: highest of the schedule.
        batch: states in a gradient step.
        temperature: tau.
        dropout: inside the transformer.
        exact_negatives: up to so many passages of a corpus, all of them are negatives.
        hard_negatives: passages nearest to each question that are negatives in a larger corpus, mined every epoch.
        false_negative_margin: how far below the best supporting passage a mined negative must score; anything goes
            when None.
        held_out: share of the questions that decide which epoch is kept.
    """

    epochs: int = 4
    rank: int = 8
    learning_rate: float = 1e-3
    batch: int = 32
    temperature: float = 0.05
    dropout: float = 0.05
    exact_negatives: int = 100_000
    hard_negatives: int = 64
    false_negative_margin: float | None = None
    held_out: float = 0.05

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name in ("epochs", "rank", "batch", "exact_negatives", "hard_negatives"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("learning_rate", "temperature", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise RecipeError(f"{name} must be above 0 and below 1, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout must be from 0 to below 1, not {self.dropout}")


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

    An interrupted run goes on when it is called again with the same arguments.

    Args:
        sources: labelled questions over indexes made with the built-in encoder.
        out: folder of the result, for ``train(hop_encoder=...)``.
        settings: the defaults when None.
        seed: of everything random.
        device: see :func:`.devices.device_called`.
        warn: hears of question ids that were left out as ambiguous.
        progress: told of every batch.

    Raises:
        CollapseError: when the vectors of the questions collapse.
        EncoderError: when an index was made with another encoder.
        QuestionsError: when there are too few labelled questions.
        PolicyError: when ``out`` holds a run of other settings.
        RecipeError: when there is no such device.
    """
    return _Tuning(sources, Path(out), settings or TuningSettings(), seed, device, warn, progress).finish()


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
        progress: Progress | None,
    ) -> None:
        self._out, self._settings, self._seed, self._progress = out, settings, seed, progress
        self._device = device_called(device)
        self._indexes = [tunable(source.index) for source in sources]
        self._describe = {
            "settings": asdict(settings),
            "seed": seed,
            "sources": [
                {"questions": source.questions.name, "split": source.split, "passages": len(source.index)}
                for source in sources
            ],
        }
        questions = []
        for number, source in enumerate(sources):
            found = QuestionSet.load(source.index, source.questions, source.split, EnvironmentSettings(), warn)
            questions += tuning_questions(number, source.index, found)
        order = np.random.default_rng([seed, 2**31]).permutation(len(questions))
        aside = max(1, round(len(questions) * settings.held_out))
        self._held_out = [questions[k] for k in order[:aside]]
        self._questions = [questions[k] for k in order[aside:]]
        if not self._questions:
            raise QuestionsError("there are too few questions with supporting passages in the index to tune on")
        self._watched = [questions[k] for k in strided(len(questions), WATCHED)]
        self._vectors = [
            torch.from_numpy(i.dense.reconstruct(np.arange(len(i)))).to(self._device) for i in self._indexes
        ]
        self._hard: dict[int, NDArray[np.int64]] = {}
        self._encoder = TunableEncoder(settings.rank, seed, settings.dropout, self._device)
        self._optimizer = torch.optim.AdamW(self._encoder.parameters(), lr=settings.learning_rate, weight_decay=0.01)

    def finish(self) -> dict[str, float]:
        """Run the epochs that are left; the encoder of the best one is in the folder."""
        claim(self._out, "tuning.json", self._describe)
        checkpoint = self._out / "checkpoint.safetensors"
        progressed = Progressed()
        if checkpoint.exists():
            progressed = load_checkpoint(checkpoint, self._encoder, self._optimizer)
        untuned = progressed.kept["untuned_score"] if progressed.rounds else self._validate()["score"]
        watch = CollapseWatch(self._out, progressed.rounds)
        if not watch.started:
            watch.see(self._measures())
        log = RunLog(self._out, progressed.rounds)
        try:
            while progressed.rounds < self._settings.epochs:
                started = time.monotonic()
                figures = {"loss": self._epoch(progressed.rounds), **self._validate(), "untuned_score": untuned}
                measures = self._measures()
                log.write(progressed.rounds, "tuning", {**figures, **measures.to_json()})
                watch.see(measures)
                if figures["score"] > progressed.peak:
                    progressed.peak, progressed.peak_round = figures["score"], progressed.rounds
                    progressed.kept_round, progressed.kept = progressed.rounds, figures
                    save_adapter(self._out, self._encoder.adapter({**self._describe, "figures": figures}))
                progressed.rounds += 1
                progressed.seconds += time.monotonic() - started
                save_checkpoint(checkpoint, self._encoder, self._optimizer, progressed)
        finally:
            log.close()
        return {**progressed.kept, "epoch": float(progressed.kept_round), "seconds": progressed.seconds}

    def _epoch(self, number: int) -> float:
        """Learn from one state of every question; returns the mean loss."""
        self._mine()
        generator = np.random.default_rng([self._seed, number])
        torch.manual_seed(int(generator.integers(2**31)))
        settings, encoder = self._settings, self._encoder
        states = [draw_state(self._questions[k], generator) for k in generator.permutation(len(self._questions))]
        batches = self._batches(states, generator)
        losses = []
        encoder.train()
        for done, batch in enumerate(batches):
            rate = learning_rate(number * len(batches) + done, settings.epochs * len(batches), settings.learning_rate)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            loss = self._loss(batch)
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            self._optimizer.step()
            losses.append(loss.item())
            if self._progress is not None:
                self._progress(f"tuning, epoch {number + 1}/{settings.epochs}", done + 1, len(batches))
        return float(np.mean(losses))

    def _batches(self, states: Sequence[QueryState], generator: np.random.Generator) -> list[list[QueryState]]:
        """Split states into batches of one index and of like length, in random order."""
        return like_length_batches(
            states,
            lambda state: state.question.source,
            lambda part: self._encoder.lengths([state.text for state in part]),
            self._settings.batch,
            generator,
        )

    def _loss(self, batch: Sequence[QueryState]) -> Tensor:
        """Return the loss of a batch of states of one index."""
        source = batch[0].question.source
        rows = self._negatives(batch)
        vectors = self._vectors[source] if rows is None else self._vectors[source][torch.from_numpy(rows)]
        place = None if rows is None else {int(row): k for k, row in enumerate(rows)}
        queries = self._encoder([state.text for state in batch])  # [b, d]
        scores = queries @ vectors.T / self._settings.temperature  # [b, n]
        held = torch.zeros(scores.shape, dtype=torch.bool)
        missing = torch.zeros(scores.shape, dtype=torch.bool)
        for k, state in enumerate(batch):
            at = [row if place is None else place[row] for row in (*state.missing, *state.held)]
            missing[k, at[: len(state.missing)]] = True
            held[k, at[len(state.missing) :]] = True
        return contrastive(scores, missing.to(scores.device), ~held.to(scores.device))

    def _negatives(self, batch: Sequence[QueryState]) -> NDArray[np.int64] | None:
        """Return the rows that the batch is scored against, None for all: its passages and mined hard negatives."""
        source = batch[0].question.source
        if len(self._indexes[source]) <= self._settings.exact_negatives:
            return None
        own = np.array([row for state in batch for row in (*state.missing, *state.held)], np.int64)
        return np.unique(np.concatenate([own, *(self._hard[id(state.question)] for state in batch)]))

    def _mine(self) -> None:
        """Find the passages nearest to every question of a large corpus by the encoder as it is now."""
        for source, index in enumerate(self._indexes):
            mine = [question for question in self._questions if question.source == source]
            if len(index) > self._settings.exact_negatives and mine:
                vectors = self._encoded([question.view.text for question in mine]).cpu().numpy()
                mined = hard_negatives(
                    vectors,
                    self._vectors[source].cpu().numpy(),
                    [question.gold for question in mine],
                    self._settings.hard_negatives,
                    self._settings.false_negative_margin,
                )
                self._hard.update(zip(map(id, mine), mined, strict=True))

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

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Return the recall of missing passages given the question alone, and given one piece of evidence."""
        self._encoder.eval()
        bare = [state_given(question, ()) for question in self._held_out]
        after = [state_given(q, (k,)) for q in self._held_out if len(q.gold) > 1 for k in range(len(q.gold))]
        first = self._recall(bare)
        then = self._recall(after) if after else first
        return {"recall_question": first, "recall_given_evidence": then, "score": (first + then) / 2}

    def _recall(self, states: Sequence[QueryState]) -> float:
        found = []
        for first in range(0, len(states), 64):
            part = states[first : first + 64]
            for state, query in zip(part, self._encoder([state.text for state in part]), strict=True):
                found.append(recall_of_missing(self._vectors[state.question.source] @ query, state))
        return float(np.mean(found))


def recall_of_missing(scores: Tensor, state: QueryState) -> float:
    """Return which share of the missing passages is among the best ``CHECKED_AT`` beside the evidence.

    Args:
        scores: of all passages of the index [n].
        state: says which are missing, and which the query holds: these are left out.
    """
    scores = scores.index_fill(0, torch.tensor(state.held, dtype=torch.long, device=scores.device), -torch.inf)
    top = set(torch.topk(scores, min(CHECKED_AT, len(scores))).indices.tolist())
    return len(top.intersection(state.missing)) / len(state.missing)

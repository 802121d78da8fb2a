r"""Tunes a cross-encoder on what a policy or a fixed system found: listwise, and last the weight of its word.

For a state with path E, missing supporting passages P and negatives N, candidates of the policy that support nothing,

.. math::
    L = - \frac{1}{|P|} \sum_{p \in P} \log \frac{e^{s(q, E, p)}}{e^{s(q, E, p)} + \sum_{n \in N} e^{s(q, E, n)}},

so that no missing passage is a negative of another: their order is latent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...agent.policy_file import LoadedPolicy, load_policy
from ...agent.queries.low_rank import learning_rate
from ...agent.reranking.pair_encoder import CANDIDATE_TOKENS, STATE_TOKENS, PairEncoder
from ...agent.reranking.path_reranker import PathScores, save_reranker
from ...errors import PolicyError, QuestionsError, RecipeError
from ...retrievers.protocols import Progress
from ...retrievers.vectors.adapter import Adapter
from ...retrievers.vectors.encoder import embedding_text
from ..checkpoint import Progressed, claim, load_checkpoint, save_checkpoint
from ..devices import device_called
from ..run_log import RunLog
from ..training_questions import TrainingSource, drawn_out
from .reranker_states import (
    PathState,
    RankedQuestion,
    draw_path_state,
    draw_question_state,
    questions_ranked_by,
    ranked_questions,
)

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Weights that are tried."""

Draw = Callable[[RankedQuestion, int, np.random.Generator], PathState | None]
"""Draws a state of a question, with at most so many negatives."""


@dataclass(frozen=True, slots=True)
class RerankerSettings:
    """How the path re-ranker is tuned.

    Attributes:
        epochs: passes over the questions.
        states: drawn in an epoch, at most one of a question.
        rank: of the change of every linear layer that reads question and candidate together.
        learning_rate: highest of the schedule.
        batch: states in a gradient step.
        negatives: of a state, at most.
        dropout: inside those layers.
        held_out: share of the questions that the weight is fitted on.
    """

    epochs: int = 4
    states: int = 2000
    rank: int = 16
    learning_rate: float = 1e-3
    batch: int = 12
    negatives: int = 10
    dropout: float = 0.05
    held_out: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name in ("epochs", "states", "rank", "batch", "negatives"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("learning_rate", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise RecipeError(f"{name} must be above 0 and below 1, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout must be from 0 to below 1, not {self.dropout}")


def tune_reranker(
    sources: Sequence[TrainingSource],
    policy: Path | None,
    out: Path,
    *,
    system: str | None = None,
    settings: RerankerSettings | None = None,
    seed: int = 0,
    device: str = "cpu",
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Tune a re-ranker for a policy or a fixed system; returns recall on the held-out questions with and without it.

    For a policy it is a path re-ranker. For a fixed system it is a pointwise one, which reads every candidate with the
    question alone.

    The questions that are held out are those that :func:`.train` sets aside of the same sources by the same seed: the
    policy has not learned from them either. An interrupted run goes on when it is called again with the same arguments.

    Args:
        sources: labelled questions over indexes that the policy can search.
        policy: the folder of the policy whose results will be re-ranked; None where ``system`` is given.
        out: folder of the result, for ``SearchAgent(path_reranker=...)``.
        system: the fixed system whose results will be re-ranked, such as ``hybrid``.
        settings: the defaults when None.
        seed: of everything random.
        device: ``cpu`` or one that torch knows.
        warn: hears of question ids that were left out as ambiguous.
        progress: told of every question searched, every batch, and every question that the weight is fitted on.

    Raises:
        PolicyError: when there is no usable policy, policy and system are both given or both missing, or ``out``
            holds a run of other settings.
        EncoderError: when an index was made with another encoder than the policy's.
        QuestionsError: when there are too few labelled questions.
        RecipeError: when there is no such device.
    """
    settings, out = settings or RerankerSettings(), Path(out)
    device = str(device_called(device))
    if (policy is None) == (system is None):
        raise PolicyError(f"a re-ranker is for a policy or for a fixed system, not for {policy} and {system}: give one")
    loaded = None if policy is None else load_policy(Path(policy))
    adapter = None if loaded is None else loaded.adapter
    described = _described(sources, adapter, settings, seed)
    described |= {"policy": None if policy is None else Path(policy).name, "system": system}
    claim(out, "tuning.json", described)
    questions = _searched(sources, loaded, str(system), warn, progress)
    count = max(1, round(len(questions) * settings.held_out))
    learned, aside = drawn_out(questions, count, np.random.default_rng([seed, 2**31]))  # as training draws them
    if not any(question.negatives for question in learned):
        raise QuestionsError("there are too few questions with supporting passages in the index to tune on")
    encoder = PairEncoder(settings.rank, seed, settings.dropout, device, adapter)
    pointwise = system is not None
    draw = draw_question_state if pointwise else draw_path_state
    seconds = _learn(encoder, learned, out, settings, seed, progress, draw)
    figures = fit_weight(encoder.eval(), aside, progress, pointwise)
    described["validation_figures"] = figures
    save_reranker(out, encoder, settings.rank, figures["weight"], adapter, described, pointwise)
    return {**figures, "seconds": seconds}


def _searched(
    sources: Sequence[TrainingSource],
    policy: LoadedPolicy | None,
    system: str,
    warn: Callable[[str], None] | None,
    progress: Progress | None,
) -> list[RankedQuestion]:
    """Search every question with the policy, or with a fixed system where there is none."""
    if policy is not None:
        return ranked_questions(sources, policy, warn, progress)
    return questions_ranked_by(sources, system, warn, progress)


def _described(
    sources: Sequence[TrainingSource], adapter: Adapter | None, settings: RerankerSettings, seed: int
) -> dict[str, Any]:
    """Return what the run is known by."""
    return {
        "settings": asdict(settings),
        "seed": seed,
        "hop_encoder": None if adapter is None else adapter.digest,
        "sources": [source.describe() for source in sources],
    }


def _learn(
    encoder: PairEncoder,
    questions: Sequence[RankedQuestion],
    out: Path,
    settings: RerankerSettings,
    seed: int,
    progress: Progress | None,
    draw: Draw,
) -> float:
    """Run the epochs that are left; returns the seconds that all of them took."""
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=settings.learning_rate, weight_decay=0.01)
    checkpoint, progressed = out / "checkpoint.safetensors", Progressed()
    if checkpoint.exists():
        progressed = load_checkpoint(checkpoint, encoder, optimizer)
    log = RunLog(out, progressed.rounds)
    try:
        while progressed.rounds < settings.epochs:
            started = time.monotonic()
            loss = _epoch(encoder, optimizer, questions, settings, seed, progressed.rounds, progress, draw)
            log.write(progressed.rounds, "tuning", {"loss": loss})
            progressed.rounds += 1
            progressed.seconds += time.monotonic() - started
            save_checkpoint(checkpoint, encoder, optimizer, progressed)
    finally:
        log.close()
    return progressed.seconds


def _epoch(
    encoder: PairEncoder,
    optimizer: torch.optim.Optimizer,
    questions: Sequence[RankedQuestion],
    settings: RerankerSettings,
    seed: int,
    number: int,
    progress: Progress | None,
    draw: Draw,
) -> float:
    """Learn from one state of each question; returns the mean loss."""
    generator = np.random.default_rng([seed, number])
    torch.manual_seed(int(generator.integers(2**31)))
    order = generator.permutation(len(questions))[: settings.states]
    drawn = [draw(questions[k], settings.negatives, generator) for k in order]
    states = [state for state in drawn if state is not None]
    batches = [states[first : first + settings.batch] for first in range(0, len(states), settings.batch)]
    losses = []
    encoder.train()
    for done, batch in enumerate(batches):
        rate = learning_rate(number * len(batches) + done, settings.epochs * len(batches), settings.learning_rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = listwise_loss(encoder, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if progress is not None:
            progress(f"tuning, epoch {number + 1}/{settings.epochs}", done + 1, len(batches))
    return float(np.mean(losses)) if losses else 0.0


def listwise_loss(encoder: PairEncoder, states: Sequence[PathState]) -> Tensor:
    """Return the mean loss of states."""
    lists = [(*state.positives, *state.negatives) for state in states]
    candidates = [embedding_text(p.title, p.text) for passages in lists for p in passages]
    owner = [k for k, passages in enumerate(lists) for _ in passages]
    read = encoder.read([state.text for state in states], STATE_TOKENS)
    scores = encoder(read, encoder.read(candidates, CANDIDATE_TOKENS), owner)
    losses = []
    for state, own in zip(states, scores.split([len(passages) for passages in lists]), strict=True):
        right, wrong = own[: len(state.positives)], own[len(state.positives) :]
        losses.append(nn.functional.softplus(torch.logsumexp(wrong, dim=0) - right).mean())
    return torch.stack(losses).mean()


def fit_weight(
    encoder: PairEncoder,
    questions: Sequence[RankedQuestion],
    progress: Progress | None = None,
    pointwise: bool = False,
) -> dict[str, float]:
    """Choose the weight with the surest gain on ``questions``; returns it as ``weight``, and what it gains.

    The gain is in the mean of recall at 2 and at 5; what counts of it is the mean over the questions less its standard
    error, which is 0 for the weight 0. So a gain that may be chance leaves the ranking as it is.
    """
    quality = np.zeros((len(questions), len(WEIGHTS), 2))
    for done, question in enumerate(questions):
        rows = list(question.candidates)
        scores = PathScores(encoder, question.view, list(question.candidates.values()))
        for k, weight in enumerate(WEIGHTS):
            ranking = [rows[place] for place in scores.order(weight, pointwise)]
            quality[done, k] = [len(question.gold.keys() & ranking[:top]) / len(question.gold) for top in (2, 5)]
        if progress is not None:
            progress("fitting the weight", done + 1, len(questions))
    best = surest(quality.mean(axis=2))
    before, after = quality[:, 0].mean(axis=0), quality[:, best].mean(axis=0)
    return {
        "weight": WEIGHTS[best],
        "recall@2": float(after[0]),
        "recall@5": float(after[1]),
        "recall@2_without": float(before[0]),
        "recall@5_without": float(before[1]),
    }


def surest(quality: NDArray[np.float64]) -> int:
    """Return the column of ``quality`` [questions, weights] that gains most on the first, less its standard error."""
    gains = quality - quality[:, :1]
    return int((gains.mean(axis=0) - gains.std(axis=0) / np.sqrt(len(gains))).argmax())

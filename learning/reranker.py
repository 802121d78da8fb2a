r"""Fits the weights of a linear re-ranker on labelled questions (``trailhound tune-reranker``).

For a question with supporting candidates P and others N,

.. math::
    L = - \frac{1}{|P|} \sum_{p \in P} \log \frac{e^{s_p}}{e^{s_p} + \sum_{n \in N} e^{s_n}},

which is convex in the weights; a little of their square keeps them finite where the questions are few. Whether the
result is used is decided on questions that were set aside: a gain that may be chance leaves the ranking as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..agent._fixed_systems import FixedSystem
from ..agent._reranking import CANDIDATES, NAMES, Features, LinearReranker, features_of, save_reranker
from ..envs._question_set import QuestionSet
from ..envs._question_view import QuestionView
from ..envs._world import QuestionWorld
from ..envs.settings import EnvironmentSettings
from ..errors import EncoderError, QuestionsError
from ..retrievers.protocols import Progress
from ..retrievers.records import Candidates, Passage, Query
from ._run_folder import claim
from .training_questions import TrainingSource, drawn_out

SHRINKAGE = 1e-3
"""Of the squared weights, beside the mean loss of a question."""


@dataclass(frozen=True, slots=True)
class RankedQuestion:
    """A labelled question with its supporting passages, and what a fixed system found, best first, both by row."""

    view: QuestionView
    gold: dict[int, Passage]
    candidates: dict[int, Passage]

    def as_found(self) -> Candidates:
        """Return the candidates with 1 / rank as their scores, all that a re-ranker looks at."""
        rows = np.array(list(self.candidates), np.int64)
        return Candidates(rows, tuple(self.candidates.values()), 1 / np.arange(1.0, len(rows) + 1))


@dataclass(frozen=True, slots=True)
class Listed:
    """A question's candidates: features float64 [n, f], which support it, bool [n], and how many do in all."""

    features: NDArray[np.float64]
    supporting: NDArray[np.bool_]
    supporting_in_all: int

    def with_features(self, kept: Sequence[int]) -> Listed:
        """Return the same with some of the features alone."""
        return replace(self, features=self.features[:, list(kept)])


def tune_reranker(
    source: TrainingSource,
    kind: str,
    out: Path,
    *,
    system: str = "hybrid",
    held_out: float = 0.25,
    seed: int = 0,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Fit a re-ranker of a fixed system's results; returns its weights, and what it gains on the held-out questions.

    Args:
        source: labelled questions over an index.
        kind: ``hybrid``, which weighs words against vectors, or ``graph``, which weighs links.
        out: folder of the result.
        system: the fixed system.
        held_out: share of the questions that decide whether the weights are used.
        seed: draws these.
        warn: called with each warning: question ids that were left out as ambiguous.
        progress: called with (stage, done, total) at every question.

    Raises:
        PolicyError: when there is no such kind, or ``out`` holds a run of other settings.
        EncoderError: when the index is a knowledge graph.
        QuestionsError: when there are too few labelled questions.
    """
    LinearReranker(source.index, kind, [1.0] + [0.0] * (len(NAMES.get(kind, "?")) - 1))  # refuses what cannot be
    described = {"kind": kind, "system": system, "seed": seed, "held_out": held_out, "source": source.describe()}
    claim(out, described, resume=True)
    features = features_of(kind, source.index)
    listed = [listed_as(question, features) for question in questions_ranked_by(source, system, warn, progress)]
    kept, fitted, figures = decide(listed, kind, held_out, seed)
    figures = {**dict(zip(NAMES[kind], kept.tolist(), strict=True)), **figures}
    reranker = LinearReranker(source.index, kind, kept.tolist())
    save_reranker(out, reranker, {**described, "fitted": fitted.tolist(), "validation_figures": figures})
    return figures


def questions_ranked_by(
    source: TrainingSource, system: str, warn: Callable[[str], None] | None = None, progress: Progress | None = None
) -> list[RankedQuestion]:
    """Rank the passages of every labelled question with a fixed system.

    Raises:
        EncoderError: when the index is a knowledge graph.
    """
    index = source.index
    if index.facts is not None:
        raise EncoderError(f"{index.path} is a knowledge graph: a re-ranker needs passages")
    ranker = FixedSystem(index, system)
    questions = QuestionSet.load(index, source.questions, source.split, EnvironmentSettings(), warn)
    numbers = [number for number, item in enumerate(questions.items) if item.gold]
    found = []
    for done, number in enumerate(numbers, start=1):
        world = questions.world(number)
        gold, rows = _by_label(world, ranker.rank(world.view.text, CANDIDATES).rows[:CANDIDATES].tolist())
        passages = index.store.passages([*gold, *rows])
        supporting = dict(zip(gold, passages[: len(gold)], strict=True))
        found.append(RankedQuestion(world.view, supporting, dict(zip(rows, passages[len(gold) :], strict=True))))
        if progress is not None:
            progress(f"searching {source.questions.name}", done, len(numbers))
    return found


def _by_label(world: QuestionWorld, rows: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return a row for every label, sorted, and the ranking in which it alone meets that label.

    What is ranked first of a labelled document's passages stands for it.
    """
    first = {row: row for row in world.gold}
    for row in reversed(rows):
        if world.met_by(row) >= 0:
            first[world.met_by(row)] = row
    gold = sorted(first.values())
    return gold, [row for row in rows if world.met_by(row) < 0 or row in gold]


def listed_as(question: RankedQuestion, features: Features) -> Listed:
    """Return the candidates of a question as numbers."""
    found, view = question.as_found(), question.view
    supporting = np.array([row in question.gold for row in question.candidates], np.bool_)
    return Listed(features(Query(view.text, view.vector), found), supporting, len(question.gold))


def decide(
    questions: Sequence[Listed], kind: str, held_out: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, float]]:
    """Fit weights on some of the questions, and keep them if they gain surely on the others.

    The gain is in the mean of recall at 2 and at 5; what counts of it is its mean over the questions less its standard
    error.

    Returns:
        The weights to use, those that were fitted, and recall on the held-out questions with and without them.
    """
    count = max(1, round(len(questions) * held_out))
    learned, aside = drawn_out(questions, count, np.random.default_rng([seed, 2**31]))
    plain, fitted = np.eye(len(NAMES[kind]))[0], fit(learned, len(NAMES[kind]))
    quality = np.array([[_quality(question, one) for one in (plain, fitted)] for question in aside])
    gains = quality[:, 1].mean(axis=1) - quality[:, 0].mean(axis=1)
    used = int(gains.mean() > gains.std() / np.sqrt(len(gains)))
    before, after = quality[:, 0].mean(axis=0), quality[:, used].mean(axis=0)
    names = ("recall@2", "recall@5", "recall@2_without", "recall@5_without")
    figures = dict(zip(names, [*after.tolist(), *before.tolist()], strict=True))
    return (plain, fitted)[used], fitted, figures


def fit(questions: Sequence[Listed], features: int) -> NDArray[np.float64]:
    """Return the weights of least loss, float64 [features].

    Raises:
        QuestionsError: when no question has supporting candidates and others.
    """
    from scipy.optimize import minimize

    usable = [question for question in questions if 0 < question.supporting.sum() < len(question.supporting)]
    if not usable:
        raise QuestionsError("there are too few questions with supporting passages among the first to fit weights on")

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = 0.0, np.zeros(features)
        for question in usable:
            scores = question.features @ weights
            right, wrong = question.features[question.supporting], question.features[~question.supporting]
            others = scores[~question.supporting]
            against = others.max() + np.log(np.exp(others - others.max()).sum())
            pull = np.exp(others - against) @ wrong  # mean features of what stands against
            margins = against - scores[question.supporting]
            total += np.logaddexp(0, margins).mean()
            slope += ((1 / (1 + np.exp(-margins)))[:, None] * (pull - right)).mean(axis=0)
        size = len(usable)
        return total / size + SHRINKAGE * float(weights @ weights), slope / size + 2 * SHRINKAGE * weights

    start = np.eye(features)[0]
    found: NDArray[np.float64] = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return found


def _quality(question: Listed, weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return recall at 2 and at 5 of the order by ``weights``."""
    found = question.supporting[np.argsort(-(question.features @ weights), kind="stable")]
    supporting = max(question.supporting_in_all, 1)
    return float(found[:2].sum()) / supporting, float(found[:5].sum()) / supporting

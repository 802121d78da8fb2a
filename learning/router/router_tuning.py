"""Tunes the router of an index: from labels, from what a policy's searches earn, from pairs made of the passages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...agent.policy_file import load_policy
from ...agent.systems import shipped_policy
from ...errors import RouterError
from ...graph.edges import Relation
from ...index.index import Index
from ...retrievers.protocols import Progress
from ...retrievers.questions.labelled import load_questions
from ..training_questions import TrainingSource
from .docid_pairs import TrainingPair, labelled_pairs, made_pairs
from .examples import encoded, examples_of
from .router_folder import corpus_of, settled, write_router
from .router_rewards import Earning, of_labels, policy_earnings

if TYPE_CHECKING:
    from .making import Made

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RouterTuning:
    """How a router is tuned.

    Attributes:
        shards: how many.
        made: most pairs that are made of passages.
        objective: of the shards, see :class:`...retrievers.router.training.RouterTraining`.
        balance: weight of how far the shards are from being asked in proportion to their sizes.
        seed: of everything random.
    """

    shards: int = 8
    made: int = 2000
    objective: Literal["likelihood", "reward"] = "likelihood"
    balance: float = 0.02
    seed: int = 0


def tune_router(
    index: Index,
    out: Path,
    tuning: RouterTuning | None = None,
    *,
    questions: Path | None = None,
    split: str | None = None,
    policy: Path | None = None,
    warn: Warn | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Tune a router for an index and write it into ``out``; the same arguments give the same one.

    Args:
        index: as it was built; a changed one is compacted first.
        out: folder of the router.
        tuning: how.
        questions: labelled questions; without them all is learned from pairs that are made of the passages.
        split: of the questions.
        policy: folder of a policy; then shards learn from what its searches of the questions earn there.
        warn: hears of what is left out.
        progress: hears of the stages.

    Returns:
        Figures on held-out pairs (shares from 0 to 1), see :func:`...retrievers.router.making.measured`.

    Raises:
        RouterError: when there is too little to learn from, there are more shards than passages, the labels are
            another index's, or a policy has no questions to search.
        PolicyError: when the policy cannot be read.
    """
    tuning = tuning or RouterTuning()
    settled(index)
    if tuning.shards > len(index):
        raise RouterError(f"{len(index)} passages cannot be parted into {tuning.shards} shards: ask for fewer")
    lessons = _lessons(index, tuning, questions, split, policy, warn, progress)
    made = _made(index, lessons, tuning, progress)
    about = {
        "index": str(index.path),
        "questions": None if questions is None else str(questions),
        "split": split,
        "policy": None if policy is None else ("shipped" if policy == shipped_policy() else str(policy)),
        "objective": tuning.objective,
        "balance": tuning.balance,
        "seed": tuning.seed,
        "pairs": len(lessons),
        "figures": dict(made.figures),
    }
    write_router(index, made.router, out, about, progress)
    return dict(made.figures)


def _lessons(
    index: Index,
    tuning: RouterTuning,
    questions: Path | None,
    split: str | None,
    policy: Path | None,
    warn: Warn | None,
    progress: Progress | None,
) -> list[Earning]:
    """Return what to learn from: pairs of questions, if there are any, and of passages, with their worth."""
    lessons: list[Earning] = []
    if questions is not None and split is not None:
        if policy is not None:
            lessons = policy_earnings(TrainingSource(index, questions, split), load_policy(policy), warn, progress)
        else:
            lessons = of_labels(labelled_of(index, questions, split, warn))
    elif policy is not None:
        raise RouterError(f"the policy {policy} needs questions to search: give them with their split")
    if progress is not None:
        progress("making training pairs", 0, 0)
    made = made_pairs(list(index.store), settled(index).terms, np.random.default_rng(tuning.seed), tuning.made)
    lessons += of_labels(made)
    if len(lessons) < 2:
        raise RouterError(f"{index.path} gives {len(lessons)} training pairs: a router needs two, better hundreds")
    return lessons


def labelled_of(index: Index, questions: Path, split: str, warn: Warn | None = None) -> list[TrainingPair]:
    """Return the pairs of labelled questions.

    What an index of a part of the corpus does not hold is left out of the labels, with a warning.

    Raises:
        RouterError: when the index holds nothing that the labels name.
    """
    asked, qrels = load_questions(questions, split, warn)
    named = {name for question in asked for name, label in qrels.get(question.id, {}).items() if label > 0}
    unknown = {name for name in named if not index.store.has(name)}
    if unknown and unknown == named:
        raise RouterError(
            f"the labels of {questions} name the passage {min(unknown)!r}, which {index.path} does not hold,"
            " and nothing that it holds: give the questions of this index"
        )
    if unknown and warn is not None:
        warn(
            f"{len(unknown)} of the {len(named)} passages that the labels of {questions} name are not in"
            f" {index.path}: nothing is learned of them"
        )
    own = {
        question.id: {name: label for name, label in qrels.get(question.id, {}).items() if name not in unknown}
        for question in asked
    }
    return labelled_pairs(asked, own, index.store.row_of)


def _made(index: Index, lessons: Sequence[Earning], tuning: RouterTuning, progress: Progress | None) -> Made:
    from .making import RouterSettings, make_router
    from .training import RouterTraining

    parts = settled(index)
    corpus = corpus_of(parts)
    pairs = [lesson.pair for lesson in lessons]
    rewards, in_shards = ([getattr(lesson, name) for lesson in lessons] for name in ("rewards", "in_shards"))
    examples = examples_of(pairs, encoded(pairs, index.encoder, progress), corpus, rewards, in_shards)
    edges = index.graph.edges
    linked = edges.relation == Relation.TITLE_MENTION
    return make_router(
        corpus,
        examples,
        RouterSettings(tuning.shards, training=RouterTraining(objective=tuning.objective, balance=tuning.balance)),
        tuning.seed,
        (edges.source[linked], edges.target[linked]),
        list(index.sub_indexes.values()),
        progress,
    )

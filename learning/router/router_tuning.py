"""Tunes the router of an index: from labelled questions, and from pairs made of the passages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...errors import RouterError
from ...graph.edges import Relation
from ...index.index import Index
from ...retrievers.protocols import Progress
from ...retrievers.questions.labelled import load_questions
from ..epochs import write_metrics
from .examples import TrainingPair, encoded, examples_of, labelled_pairs, made_pairs
from .router_folder import corpus_of, settled, write_router
from .training import Place, RouterSettings, RouterTraining, make_router

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RouterTuning:
    """How a router is tuned.

    Attributes:
        shards: how many.
        made: most pairs that are made of passages.
        balance: weight of how far the shards are from being asked in proportion to their sizes.
        seed: of everything random.
    """

    shards: int = 8
    made: int = 2000
    balance: float = 0.02
    seed: int = 0


def tune_router(
    index: Index,
    out: Path,
    tuning: RouterTuning | None = None,
    *,
    questions: Path | None = None,
    split: str | None = None,
    warn: Warn | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Tune a router for an index and write it into ``out``; the same arguments give the same one.

    An interrupted run goes on when it is called again with the same arguments.

    Args:
        index: as it was built; a changed one is compacted first.
        out: folder of the router.
        tuning: how.
        questions: labelled questions; without them all is learned from pairs that are made of the passages.
        split: of the questions.
        warn: called with each warning: what is left out.
        progress: called with (stage, done, total).

    Returns:
        Figures on held-out pairs (shares from 0 to 1), see :func:`.training.measured`; ``metrics.json`` has them too.

    Raises:
        RouterError: when there is too little to learn from, there are more shards than passages, or the labels are
            another index's.
        PolicyError: when ``out`` holds a run of other settings.
    """
    tuning = tuning or RouterTuning()
    parts = settled(index)
    if tuning.shards > len(index):
        raise RouterError(f"{len(index)} passages cannot be parted into {tuning.shards} shards: ask for fewer")
    pairs = _pairs(index, tuning, questions, split, warn, progress)
    described = {
        "command": "tune-router",
        **asdict(tuning),
        "questions": None if questions is None else Path(questions).name,
        "split": split,
        "passages": len(index),
        "pairs": len(pairs),
    }
    corpus, edges = corpus_of(parts), index.graph.edges
    linked = edges.relation == Relation.TITLE_MENTION
    made = make_router(
        corpus,
        examples_of(pairs, encoded(pairs, index.encoder, progress), corpus),
        RouterSettings(tuning.shards, training=RouterTraining(balance=tuning.balance)),
        tuning.seed,
        (edges.source[linked], edges.target[linked]),
        Place(out, described, progress),
    )
    figures = dict(made.figures)
    write_router(index, made.router, out, {**described, "index": str(index.path), "figures": figures}, progress)
    write_metrics(out, asdict(tuning), figures)
    return figures


def _pairs(
    index: Index,
    tuning: RouterTuning,
    questions: Path | None,
    split: str | None,
    warn: Warn | None,
    progress: Progress | None,
) -> list[TrainingPair]:
    """Return what to learn from: pairs of questions, if there are any, and of passages."""
    pairs = labelled_of(index, questions, split, warn) if questions is not None and split is not None else []
    if progress is not None:
        progress("making training pairs", 0, 0)
    pairs += made_pairs(list(index.store), settled(index).terms, np.random.default_rng(tuning.seed), tuning.made)
    if len(pairs) < 2:
        raise RouterError(f"{index.path} gives {len(pairs)} training pairs: a router needs two, better hundreds")
    return pairs


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

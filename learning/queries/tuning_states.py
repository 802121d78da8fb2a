"""Query states to tune the hop encoder on: a question, some of its evidence, and what is still missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...envs.question_set import QuestionSet
from ...envs.question_view import QuestionView
from ...envs.world import MOST_EVIDENCE, conditioned_query
from ...index.index import Index
from ...retrievers.records import Passage


@dataclass(frozen=True, slots=True)
class TuningQuestion:
    """A labelled question over an index, ready to be drawn from.

    Attributes:
        source: number of its index among those tuned on.
        view: the analysed question.
        gold: rows of its supporting passages, sorted.
        passages: the same as passages.
    """

    source: int
    view: QuestionView
    gold: tuple[int, ...]
    passages: tuple[Passage, ...]


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


def tuning_questions(source: int, index: Index, questions: QuestionSet) -> list[TuningQuestion]:
    """Return the questions of a set that have labels."""
    found = []
    for number, item in enumerate(questions.items):
        if item.gold:
            rows = tuple(sorted(item.gold))
            view = questions.world(number).view
            found.append(TuningQuestion(source, view, rows, tuple(index.store.passages(rows))))
    return found


def draw_state(question: TuningQuestion, generator: np.random.Generator) -> QueryState:
    """Draw how much of the evidence is held (none to all but one, at most ``MOST_EVIDENCE``), which, in any order."""
    count = int(generator.integers(min(len(question.gold), MOST_EVIDENCE + 1)))
    return state_given(question, generator.permutation(len(question.gold))[:count].tolist())


def state_given(question: TuningQuestion, held: Sequence[int]) -> QueryState:
    """Return the state in which the supporting passages numbered ``held`` have been taken, in that order."""
    return QueryState(
        question,
        conditioned_query(question.view, [question.passages[k] for k in held]),
        tuple(row for k, row in enumerate(question.gold) if k not in held),
        tuple(question.gold[k] for k in held),
    )

"""Says of each question of an evaluation what was missed, what was found in its place, and by what path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..agent._decision import Decision
from ..agent._fixed_systems import Ranked
from ..index._searchable import Searchable
from ..retrievers.questions._label_targets import SettledLabels
from ..retrievers.records import Question
from ._judged import Judged, title_of
from ._metrics import rank
from ._result_file import Found, Named, PathStep, QuestionResult

_FIRST = 5
"""Places within which evidence has to stand, so as not to be missed."""

_TITLES = 3
"""Passages that a step names at most."""


def question_results(
    index: Searchable,
    labels: SettledLabels,
    questions: Sequence[Question],
    figures: Mapping[str, dict[str, float]],
    judged: Sequence[Judged],
    ranked: Sequence[Ranked],
) -> tuple[QuestionResult, ...]:
    """Return how each question went.

    Args:
        index: that was searched.
        labels: by the names of the index.
        questions: in order, as are ``judged`` and ``ranked``.
        figures: question id -> metric -> value.
        judged: each ranking by the names it is judged by.
        ranked: each ranking as the system gave it.
    """
    results = []
    for question, one, found in zip(questions, judged, ranked, strict=True):
        first, mine = rank(one.scores)[:_FIRST], figures[question.id]
        wanted = [name for name, score in labels.qrels.get(question.id, {}).items() if score > 0]
        # over facts other right answers may stand before the one that is asked for
        lost = [name for name in wanted if name not in first] if mine["recall@5"] < 1 else []
        results.append(
            QuestionResult(
                question.id,
                question.text,
                question.type,
                mine,
                tuple(Named(name, one.titles.get(name) or _labelled_title(index, labels, name)) for name in lost),
                tuple(Found(name, one.titles[name], name in wanted) for name in first),
                tuple(_path_step(index, decision) for decision in found.decisions if decision.detail),
            )
        )
    return tuple(results)


def _labelled_title(index: Searchable, labels: SettledLabels, name: str) -> str:
    target = labels.targets.get(name)
    return name if target is None else title_of(index.store.passage(target.rows[0]))


def _path_step(index: Searchable, decision: Decision) -> PathStep:
    titles = tuple(title_of(passage) for passage in index.store.passages(decision.rows[:_TITLES]))
    return PathStep(decision.kind, decision.detail, decision.reason, titles, decision.probability)

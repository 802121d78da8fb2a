"""Figures of questions over a knowledge graph, in the filtered setting."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from pathlib import Path

from ..agent._fixed_systems import Ranked
from ..index.index import Index
from ..retrievers.questions._labelled import known_answers
from ..retrievers.records import Question, Rows

HITS = (1, 2, 3, 5, 10)


def fact_figures(
    index: Index, folder: Path, questions: list[Question], ranked: list[Ranked], warn: Callable[[str], None] | None
) -> dict[str, dict[str, float]]:
    """Return question id -> metric -> value: hits@1, hits@3, hits@10, mrr and their like.

    The rank of an answer is counted among the entities that neither the index nor any ``.txt`` file of the folder
    gives as another answer (Bordes et al. 2013). Entities that were not ranked tie behind those that were, and ties
    count as their average (Berrendorf et al. 2020, arXiv:2002.06914, "realistic rank").
    """
    facts = index.facts
    assert facts is not None
    known, rows = known_answers(folder, warn), facts.entity_rows
    figures = {}
    for question, found in zip(questions, ranked, strict=True):
        others = {rows[name] for name in known.get(question.text, ()) if name in rows}
        if facts.knows(question.text):
            others |= set(facts.answers(facts.parse(question.text)).tolist())
        answer = rows.get(question.answer or "")
        place = filtered_rank(found.rows, answer, others - {answer}, len(facts.entities))
        figures[question.id] = _figures_at(place)
    return figures


def filtered_rank(ranking: Rows, answer: int | None, others: set[int], entities: int) -> float:
    """Return the rank of an answer, from 1, without the ``others``.

    Args:
        ranking: rows, best first; not every entity need be there.
        answer: its row; None when the graph does not have it, which ranks behind all.
        others: rows that are answers too.
        entities: how many there are.
    """
    rows = [row for row in ranking.tolist() if row not in others]
    if answer in rows:
        return float(rows.index(answer) + 1)
    behind = entities - len(others) - len(rows)  # all that tie for the places after the ranked ones
    return len(rows) + (behind + 1) / 2 if answer is not None else float(len(rows) + behind + 1)


def _figures_at(place: float) -> dict[str, float]:
    figures = {f"hits@{k}": float(place <= k) for k in HITS}
    figures["mrr"] = 1 / place
    figures["mean_rank"] = place
    figures |= {f"recall@{k}": figures[f"hits@{k}"] for k in (2, 5, 10)}  # there is one answer
    figures["all_recall@5"] = figures["hits@5"]
    figures["ndcg@10"] = 1 / log2(1 + place) if place <= 10 else 0.0
    figures["failure_rate@5"] = 1 - figures["hits@5"]
    return figures

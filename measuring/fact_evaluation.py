"""Measures a system on the questions of a knowledge graph, in the filtered setting."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from pathlib import Path
from time import perf_counter

import numpy as np

from ..agent.fixed_systems import Ranked
from ..agent.systems import PolicySystem, System
from ..index.index import Index
from ..retrievers.knowledge.facts import Facts
from ..retrievers.protocols import Progress
from ..retrievers.questions.fact_questions import known_answers
from ..retrievers.records import Question, Rows

HITS = (1, 2, 3, 5, 10)


def rank_facts(
    system: System, index: Index, questions: list[Question], progress: Progress | None
) -> tuple[list[Ranked], list[float]]:
    """Return every ranking and how many milliseconds it took; a policy does not see the fact that is asked for.

    A question about what the graph does not have has no result.
    """
    facts = index.facts
    assert facts is not None
    ranked, latencies = [], []
    for question in questions[:1]:
        _rank(system, facts, question)
    for number, question in enumerate(questions, start=1):
        started = perf_counter()
        ranked.append(_rank(system, facts, question))
        latencies.append((perf_counter() - started) * 1000)
        if progress is not None:
            progress("answering questions", number, len(questions))
    return ranked, latencies


def _rank(system: System, facts: Facts, question: Question) -> Ranked:
    everything = len(facts.entities)
    answer = question.answer
    if not facts.knows(question.text) or answer not in facts.entity_names:
        return Ranked(np.zeros(0, np.int64), np.zeros(0))
    if isinstance(system, PolicySystem):
        return system.rank_fact(question.text, answer, everything)
    return system.rank(question.text, everything)


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
    known = known_answers(folder, warn)
    figures = {}
    for question, found in zip(questions, ranked, strict=True):
        others = {facts.row(name) for name in known.get(question.text, ()) if name in facts.entity_names}
        if facts.knows(question.text):
            others |= set(facts.answers(facts.parse(question.text)).tolist())
        answer = facts.row(question.answer) if question.answer in facts.entity_names else None
        place = filtered_rank(found.rows, answer, others - {answer}, len(facts.entities))
        figures[question.id] = _figures(place)
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


def _figures(place: float) -> dict[str, float]:
    figures = {f"hits@{k}": float(place <= k) for k in HITS}
    figures["mrr"] = 1 / place
    figures["mean_rank"] = place
    figures |= {f"recall@{k}": figures[f"hits@{k}"] for k in (2, 5, 10)}  # there is one answer
    figures["all_recall@5"] = figures["hits@5"]
    figures["ndcg@10"] = 1 / log2(1 + place) if place <= 10 else 0.0
    figures["failure_rate@5"] = 1 - figures["hits@5"]
    return figures

"""How good a ranked result is, computed as trec_eval computes it.

A passage is supporting when its label is above 0. Rankings go by score, best first; equal scores by passage id,
last in the alphabet first.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import fsum, log2

from ..errors import QuestionsError
from ..retrievers.records import Qrels, Run

Labels = Mapping[str, int]
"""The labels of one question: passage id -> relevance."""


def rank(scores: Mapping[str, float]) -> list[str]:
    """Return the passage ids by falling score, ties by falling id (code points, which is the order of UTF-8).

    Scores are compared as float32: those that differ in further digits only are ties for trec_eval.

    Source: ``comp_sim_docno`` in trec_eval 9's ``form_res_rels.c``, https://github.com/usnistgov/trec_eval.
    """
    compared = zip(array("f", scores.values()), scores, strict=True)
    return [passage for _, passage in sorted(compared, reverse=True)]


def recall(ranking: Sequence[str], labels: Labels, k: int) -> float:
    """Return the share of the supporting passages among the first ``k``; 0 when there are none.

    Source: ``recall`` of trec_eval; ``R@k`` of ir-measures.
    """
    wanted = _supporting(labels)
    return len(wanted.intersection(ranking[:k])) / len(wanted) if wanted else 0.0


def all_recall(ranking: Sequence[str], labels: Labels, k: int) -> float:
    """Return 1 when every supporting passage is among the first ``k``, else 0; 0 when there are none.

    Source: Asai et al. 2020, "Learning to Retrieve Reasoning Paths over Wikipedia Graph for Question Answering",
    which calls it paragraph exact match.
    """
    wanted = _supporting(labels)
    return float(bool(wanted) and wanted.issubset(ranking[:k]))


def ndcg(ranking: Sequence[str], labels: Labels, k: int) -> float:
    """Return the discounted cumulative gain of the first ``k`` over that of the best ranking; 0 without gain.

    The gain is the label itself (no power of two), labels below 0 gain nothing, and rank i is discounted by
    log2(i + 1).

    Source: Järvelin and Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques", with the discount of
    ``ndcg_cut`` in trec_eval; ``nDCG@k`` of ir-measures.
    """
    best = _discounted(sorted(labels.values(), reverse=True)[:k])
    return _discounted([labels.get(passage, 0) for passage in ranking[:k]]) / best if best else 0.0


def reciprocal_rank(ranking: Sequence[str], labels: Labels) -> float:
    """Return 1 / the rank of the first supporting passage, 0 when none is ranked.

    Source: Voorhees 1999, "The TREC-8 Question Answering Track Report"; ``RR`` of ir-measures.
    """
    wanted = _supporting(labels)
    return next((1 / place for place, passage in enumerate(ranking, start=1) if passage in wanted), 0.0)


def failure(ranking: Sequence[str], labels: Labels, k: int) -> float:
    """Return 1 when no supporting passage is among the first ``k``, else 0.

    Source: the complement of ``success`` of trec_eval, ``Success@k`` of ir-measures.
    """
    return float(_supporting(labels).isdisjoint(ranking[:k]))


def evaluate_run(qrels: Qrels, run: Run) -> dict[str, dict[str, float]]:
    """Measure every question of ``qrels``; one without a result counts zero, and as a failure.

    Results of questions without labels are passed over.

    Returns:
        question id -> metric -> value in [0, 1]; the metrics are recall@2, recall@5, recall@10, recall@20,
        all_recall@5, ndcg@10, mrr and failure_rate@5.
    """
    return {question: _evaluate(rank(run.get(question, {})), labels) for question, labels in qrels.items()}


def mean(per_question: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every metric over the questions, each weighing the same.

    Raises:
        QuestionsError: there are no questions.
    """
    if not per_question:
        raise QuestionsError("there are no questions to take the mean of: give at least one with labels")
    values = list(per_question.values())
    return {metric: fsum(value[metric] for value in values) / len(values) for metric in values[0]}


def _evaluate(ranking: Sequence[str], labels: Labels) -> dict[str, float]:
    return {
        "recall@2": recall(ranking, labels, 2),
        "recall@5": recall(ranking, labels, 5),
        "recall@10": recall(ranking, labels, 10),
        "recall@20": recall(ranking, labels, 20),
        "all_recall@5": all_recall(ranking, labels, 5),
        "ndcg@10": ndcg(ranking, labels, 10),
        "mrr": reciprocal_rank(ranking, labels),
        "failure_rate@5": failure(ranking, labels, 5),
    }


def _supporting(labels: Labels) -> set[str]:
    return {passage for passage, relevance in labels.items() if relevance > 0}


def _discounted(gains: Sequence[int]) -> float:
    return fsum(max(gain, 0) / log2(place + 1) for place, gain in enumerate(gains, start=1))

"""How good a ranked result is, computed as trec_eval computes it.

A passage is supporting when its label is above 0. Rankings go by score, best first; equal scores by passage id,
last in the alphabet first.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from html import escape
from math import fsum, log2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyError, QuestionsError
from ..retrievers.atomic_file import write_atomically
from ..retrievers.calibration import ReliabilityBin, brier_score, calibration_error, reliability
from ..retrievers.records import Qrels, Run
from ..retrievers.svg import svg_picture

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


_SIDE = 320
_LEFT, _TOP = 70, 60
_COUNTS = 60
"""Height of the bars that say how many searches a bin holds."""
_WIDTH, _HEIGHT = _LEFT + _SIDE + 30, _TOP + _SIDE + 60 + _COUNTS + 30
_GRID = "#ddd"


def write_reliability(path: Path, title: str, confidences: NDArray[np.float64], complete: NDArray[np.bool_]) -> None:
    """Write the reliability diagram of a system's searches.

    Args:
        path: of the SVG file.
        title: which system.
        confidences: stated, [n].
        complete: whether all evidence was taken, [n].

    Raises:
        PolicyError: when the system states no confidence.
    """
    if not len(confidences):
        raise PolicyError(
            f"the {title} does not say how sure it is, so there is no reliability to draw: train a policy to the end"
        )
    write_atomically(path, draw_reliability(title, confidences, complete).encode())


def draw_reliability(title: str, confidences: NDArray[np.float64], complete: NDArray[np.bool_]) -> str:
    """Return the diagram: in each bin a bar as high as the share that was complete, a dot at mean confidence, and
    below how many searches the bin holds. On the diagonal, confidence is what it says."""
    bins = reliability(confidences, complete)
    error, brier = calibration_error(confidences, complete), brier_score(confidences, complete)
    parts = [
        f'<text x="{_LEFT}" y="24" font-size="14" font-weight="bold">{escape(_shortened(title))}</text>',
        f'<text x="{_LEFT}" y="44" fill="#555">{len(confidences)} searches, calibration error {error:.3f},'
        f" Brier score {brier:.3f}</text>",
        *_axes(),
        *(part for one in bins for part in _bar(one)),
        f'<path d="M{_LEFT} {_y(0)} L{_x(1)} {_y(1)}" stroke="#888" stroke-dasharray="5 4" fill="none"/>',
        *_histogram(bins),
    ]
    return svg_picture(_WIDTH, _HEIGHT, parts)


def _axes() -> list[str]:
    parts = []
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts += [
            f'<path d="M{_LEFT} {_y(tick):.1f} H{_x(1):.1f}" stroke="{_GRID}"/>',
            f'<text x="{_LEFT - 8}" y="{_y(tick) + 4:.1f}" text-anchor="end">{tick:.1f}</text>',
            f'<text x="{_x(tick):.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{tick:.1f}</text>',
        ]
    middle, down = _LEFT + _SIDE / 2, _TOP + _SIDE / 2
    turned = f'text-anchor="middle" transform="rotate(-90 22 {down})"'
    return [
        *parts,
        f'<text x="{middle}" y="{_y(0) + 38:.1f}" text-anchor="middle">stated confidence that all is found</text>',
        f'<text x="22" y="{down}" {turned}>share where all was found</text>',
    ]


def _bar(one: ReliabilityBin) -> list[str]:
    return [
        _rectangle(one, _y(0), one.right * _SIDE, "#9ec5e8"),
        f'<circle cx="{_x(one.confidence):.1f}" cy="{_y(one.right):.1f}" r="4" fill="#14568c"/>',
    ]


def _histogram(bins: list[ReliabilityBin]) -> list[str]:
    """Return the bars that say how many searches each bin holds, with the numbers."""
    bottom = _HEIGHT - 20
    most = max(one.count for one in bins)
    parts = [f'<path d="M{_LEFT} {bottom} H{_x(1):.1f}" stroke="#888"/>']
    for one in bins:
        height = _COUNTS * 0.7 * one.count / most
        place = f'x="{_x((one.low + one.high) / 2):.1f}" y="{bottom - height - 3:.1f}"'
        parts += [
            _rectangle(one, bottom, height, "#bbb"),
            f'<text {place} text-anchor="middle" font-size="10">{one.count}</text>',
        ]
    return parts


def _rectangle(one: ReliabilityBin, bottom: float, height: float, colour: str) -> str:
    left, right = _x(one.low) + 2, _x(one.high) - 2
    size = f'width="{right - left:.1f}" height="{height:.1f}"'
    return f'<rect x="{left:.1f}" y="{bottom - height:.1f}" {size} fill="{colour}"/>'


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE


def _shortened(text: str, width: int = 44) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"

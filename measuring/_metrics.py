"""How good a ranked result is, computed as trec_eval computes it.

A passage is supporting when its label is above 0. Rankings go by score, best first; equal scores by passage id,
last in the alphabet first.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from math import fsum, isfinite, log2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import PolicyError, QuestionsError
from ..index.index import Index
from ..retrievers._atomic_file import write_atomically
from ..retrievers._calibration import brier_score, calibration_error, reliability
from ..retrievers._svg import svg_bar, svg_picture, svg_text
from ..retrievers.corpus._json_records import decode, read_file
from ..retrievers.questions._label_targets import target_of
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
    figures = {}
    for question, labels in qrels.items():
        ranking = rank(run.get(question, {}))
        figures[question] = {f"recall@{k}": recall(ranking, labels, k) for k in (2, 5, 10, 20)} | {
            "all_recall@5": all_recall(ranking, labels, 5),
            "ndcg@10": ndcg(ranking, labels, 10),
            "mrr": reciprocal_rank(ranking, labels),
            "failure_rate@5": failure(ranking, labels, 5),
        }
    return figures


def mean(per_question: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every metric over the questions, each weighing the same.

    Raises:
        QuestionsError: there are no questions.
    """
    if not per_question:
        raise QuestionsError("there are no questions to take the mean of: give at least one with labels")
    values = list(per_question.values())
    return {metric: fsum(value[metric] for value in values) / len(values) for metric in values[0]}


def _supporting(labels: Labels) -> set[str]:
    return {passage for passage, relevance in labels.items() if relevance > 0}


def _discounted(gains: Sequence[int]) -> float:
    return fsum(max(gain, 0) / log2(place + 1) for place, gain in enumerate(gains, start=1))


_SIDE = 320
_LEFT, _TOP = 70, 60
_COUNTS = 60
"""Height of the bars that say how many searches a bin holds."""
_WIDTH, _HEIGHT = _LEFT + _SIDE + 30, _TOP + _SIDE + 60 + _COUNTS + 30
_CENTRED = 'text-anchor="middle"'


def write_reliability(path: Path, title: str, confidences: NDArray[np.float64], complete: NDArray[np.bool_]) -> None:
    """Write the reliability diagram of n searches: confidences stated [n], and whether all evidence was taken [n].

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
    about = f"{len(confidences)} searches, calibration error {error:.3f}, Brier score {brier:.3f}"
    parts = [
        svg_text(_LEFT, 24, title if len(title) <= 44 else f"{title[:43]}…", 'font-size="14" font-weight="bold"'),
        svg_text(_LEFT, 44, about, 'fill="#555"'),
    ]
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        parts += [
            f'<path d="M{_LEFT} {_y(tick):.1f} h{_SIDE}" stroke="#ddd"/>',
            svg_text(_LEFT - 8, _y(tick) + 4, f"{tick:.1f}", 'text-anchor="end"'),
            svg_text(_x(tick), _y(0) + 18, f"{tick:.1f}", _CENTRED),
        ]
    parts += [
        svg_text(_x(0.5), _y(0) + 38, "stated confidence that all is found", _CENTRED),
        svg_text(22, _y(0.5), "share where all was found", f'{_CENTRED} transform="rotate(-90 22 {_y(0.5)})"'),
    ]
    bottom, most = _HEIGHT - 20, max(one.count for one in bins)
    for one in bins:
        left, width, height = _x(one.low) + 2, (one.high - one.low) * _SIDE - 4, _COUNTS * 0.7 * one.count / most
        parts += [
            svg_bar(left, _y(one.right), width, one.right * _SIDE, "#9ec5e8"),
            f'<circle cx="{_x(one.confidence):.1f}" cy="{_y(one.right):.1f}" r="4" fill="#14568c"/>',
            svg_bar(left, bottom - height, width, height, "#bbb"),
            svg_text(left + width / 2, bottom - height - 3, str(one.count), f'{_CENTRED} font-size="10"'),
        ]
    diagonal = f'<path d="M{_LEFT} {_y(0)} L{_x(1)} {_y(1)}" stroke="#888" stroke-dasharray="5 4" fill="none"/>'
    return svg_picture(_WIDTH, _HEIGHT, [*parts, f'<path d="M{_LEFT} {bottom} h{_SIDE}" stroke="#888"/>', diagonal])


def _x(share: float) -> float:
    return _LEFT + share * _SIDE


def _y(share: float) -> float:
    return _TOP + (1 - share) * _SIDE


_FIELDS = "question Q0 passage rank score tag"
_UNWRITABLE = re.compile("^$|^\ufeff|\\s|\0|[\ud800-\udfff]")


def write_run(path: Path, run: Run, tag: str) -> None:
    """Write ``run`` in the order of its questions, passages best first with ranks from 1, atomically.

    Scores keep every digit. A question without passages has no line. The ``tag`` names the system.

    Raises:
        QuestionsError: an id or the tag has white space or cannot be written as UTF-8, a score is not finite, or the
            file cannot be written.
    """
    _check("tag", tag, path)
    lines = []
    for question, scores in run.items():
        _check("question id", question, path)
        for place, passage in enumerate(rank(scores), start=1):
            _check("passage id", passage, path)
            score = float(scores[passage])
            if not isfinite(score):
                raise QuestionsError(
                    f"the score of {passage!r} for {question!r} is {score}: only finite scores can be ranked", path
                )
            lines.append(f"{question} Q0 {passage} {place} {score!r} {tag}\n")
    try:
        write_atomically(Path(path), "".join(lines).encode())
    except OSError as cause:
        raise QuestionsError(
            f"cannot be written ({cause.strerror}): check the folder and its permissions", path
        ) from cause


def read_run(path: Path) -> Run:
    """Read a run file; the order of the lines and their ranks say nothing, as in trec_eval: the scores decide.

    Raises:
        QuestionsError: the file cannot be read, a line has not six fields, a score is not a finite number, or a
            passage comes twice for one question; names file and line.
    """
    path = Path(path)
    run: Run = {}
    text = decode(read_file(path, QuestionsError), path, QuestionsError)
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 6:
            raise QuestionsError(f"expected six fields ({_FIELDS}), found {line[:80]!r}", path, number)
        question, _, passage, _, score, _ = fields
        scores = run.setdefault(question, {})
        if passage in scores:
            raise QuestionsError(f"{passage!r} comes twice for {question!r}: rank it once", path, number)
        try:
            scores[passage] = float(score)
        except ValueError as cause:
            raise QuestionsError(f"the score {score!r} is not a number", path, number) from cause
        if not isfinite(scores[passage]):
            raise QuestionsError(f"the score {score!r} is not finite: only finite scores can be ranked", path, number)
    return run


def _check(what: str, value: str, path: Path) -> None:
    """Refuse what would be read back as something else."""
    if _UNWRITABLE.search(value):
        raise QuestionsError(
            f"the {what} {value!r} cannot stand in a TREC run file, which separates its fields by white space: "
            "rename it without white space and control characters, and not empty",
            path,
        )


def documents_never_retrieved(index: Index, runs: Sequence[Path]) -> list[str]:
    """Return the ids of the documents of which no passage stands in any of some run files, in the order of the store.

    Args:
        index: that was searched.
        runs: run files, each as deep as its system ranked; what ``evaluate --run-file`` writes.

    Raises:
        QuestionsError: when there is no run, one cannot be read, ranks nothing or ranks a passage that the index lacks.
    """
    if not runs:
        raise QuestionsError("no run file was given: give at least one")
    retrieved: set[int] = set()
    for path in runs:
        names = {name for ranking in read_run(path).values() for name in ranking}
        if not names:
            raise QuestionsError("ranks no passage: everything would go", path)
        for name in names:
            target = target_of(index.store, name)
            if target is None:
                raise QuestionsError(f"ranks {name!r}, which {index.path} does not hold", path)
            retrieved.update(target.rows)
    store = index.store
    return [document for document in store.document_ids() if retrieved.isdisjoint(store.rows_of(document))]

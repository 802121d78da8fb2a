"""Measures a system on labelled questions: quality, latency and effort, overall and by type of question.

Questions over a knowledge graph are measured in the filtered setting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agent._fixed_systems import Ranked
from ..agent._open_agent import READ
from ..agent._systems import PolicySystem, System, open_system
from ..agent.reader._language_models import answering_reader
from ..agent.reader._protocol import exact_match, f1_score
from ..errors import QuestionsError
from ..index._searchable import Searchable, one_index
from ..retrievers._atomic_file import write_json
from ..retrievers._calibration import brier_score, calibration_error
from ..retrievers.knowledge._facts import Facts
from ..retrievers.protocols import Progress
from ..retrievers.questions._label_targets import SettledLabels, meant, settle_labels, settle_names
from ..retrievers.questions._labelled import load_questions
from ..retrievers.questions._left_out import LEFT_OUT, load_left_out
from ..retrievers.records import Qrels, Question, Run
from ..sharding._opening import open_searchable
from ._fact_figures import fact_figures
from ._judged import Judged, Judging
from ._metrics import evaluate_run, mean, recall, write_reliability, write_run
from ._question_results import question_results
from ._result_file import QuestionResult

_NAMED = 3
"""Labels that a message names at most."""

DEPTH = 100
"""Passages of a question that a run file lists at most."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a system did.

    Attributes:
        system: which policy or fixed system was measured.
        figures: metric -> value over all questions.
        by_type: type of question -> metric -> value; empty when the questions have no types.
        run: the rankings, of what is judged: documents where the labels name documents, else passages.
        confidences, complete: of each question, in order: how sure the system was that its first five hold all the
            evidence, and whether they do; empty where the system does not say.
        unmatched: supporting labels that name nothing in the index; they count as not found.
        notes: what else has to be known to read the figures, in words.
        settings: what was measured on what: the index, the questions, their split, and whatever else was chosen.
        per_question: how each question went, in their order.
    """

    system: str
    figures: dict[str, float]
    by_type: dict[str, dict[str, float]]
    run: Run
    confidences: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    complete: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    unmatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    per_question: tuple[QuestionResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return one object of figures, and the questions one by one; a figure of one type is ``metric[type]``."""
        value: dict[str, Any] = {"system": self.system, **self.figures}
        for kind, figures in self.by_type.items():
            value |= {f"{name}[{kind}]": figure for name, figure in figures.items()}
        return value | {
            "labels_unmatched": list(self.unmatched),
            "notes": list(self.notes),
            "settings": self.settings,
            "per_question": [question.to_json() for question in self.per_question],
        }


def evaluate(
    index: Searchable | Path | str,
    questions: Path | str,
    split: str,
    *,
    policy: Path | str | None = None,
    system: str | None = None,
    reranker: Path | str | None = None,
    query_encoder: Path | str | None = None,
    run_file: Path | str | None = None,
    json_file: Path | str | None = None,
    reliability_file: Path | str | None = None,
    warn: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Rank every question of a split and measure; one question at a time, as one user would wait for it.

    A question without a result counts zero. Latency is from the question's text to the ranking, query encoding
    included; the first question is asked once before, so that loading the encoder does not count.

    Args:
        index: an opened index or sharded index, or the folder of one.
        questions: a folder with ``queries.jsonl`` and ``qrels/SPLIT.tsv``, whose labels name passages or documents
            (see :class:`trailhound.measuring._judged.Judging`); what its ``excluded.json``, if there is one, names for
            a question is left out of that question's ranking. Or with ``SPLIT.txt`` of triples over a knowledge graph,
            for which the figures are hits@k and mrr too (see :func:`fact_figures`).
        split: which of its splits.
        policy, system, reranker, query_encoder: see :class:`SearchAgent`.
        run_file: where to write the rankings in TREC's format.
        json_file: where to write :meth:`Evaluation.to_json`.
        reliability_file: where to draw the reliability diagram of the system's confidence, as SVG.
        warn: called with each warning: labels that the index lacks, ambiguous question ids.
        progress: called with (stage, done, total).

    Raises:
        QuestionsError: when the split cannot be read, the index has none of the passages it names, or the folder of
            a file to write is not there.
        PolicyError: when a reliability diagram is asked for, and the system does not say how sure it is.
    """
    opened = open_searchable(index) if isinstance(index, Path | str) else index
    check_folders(run_file, json_file, reliability_file)
    with opened.snapshot():
        asked = _load(opened, Path(questions), split, warn)
    folders = (None if place is None else Path(place) for place in (policy, reranker, query_encoder))
    chosen = open_system(opened, system, *folders)
    ranked, latencies = _rank_all(chosen, opened, asked.questions, progress)
    with opened.snapshot():
        evaluation = _measured(asked, chosen.name, ranked, latencies, None if policy is None else Path(policy), warn)
    given = {"index": opened.path, "questions": questions, "split": split, "policy": policy, "system": system}
    given |= {"reranker": reranker, "query_encoder": query_encoder}
    settings = {name: str(value) for name, value in given.items() if value is not None}
    return _written(replace(evaluation, settings=settings), run_file, json_file, reliability_file)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The questions over an index, and by what their results are judged."""

    index: Searchable
    folder: Path
    questions: list[Question]
    labels: SettledLabels
    left_out: dict[str, frozenset[str]]
    judging: Judging


def _load(index: Searchable, folder: Path, split: str, warn: Callable[[str], None] | None) -> _Asked:
    questions, qrels = load_questions(folder, split, warn)
    labels = settle_labels(index.store, qrels)
    _check_labels(index, labels, folder, warn)
    left_out = settle_names(index.store, load_left_out(folder))
    return _Asked(index, folder, questions, labels, left_out, Judging(labels, left_out))


def _measured(
    asked: _Asked,
    system: str,
    ranked: list[Ranked],
    latencies: list[float],
    policy: Path | None,
    warn: Callable[[str], None] | None,
) -> Evaluation:
    """Judge every ranking and count."""
    index, questions, labels = asked.index, asked.questions, asked.labels
    judged = [asked.judging.judge(index, question.id, one) for question, one in zip(questions, ranked, strict=True)]
    if index.facts is None:
        measured = _passage_figures(questions, labels.qrels, judged, ranked)
    else:
        measured = fact_figures(one_index(index, "a knowledge graph"), asked.folder, questions, ranked, warn)
    answers = _judged_answers(index, questions, ranked, policy)
    run = {question.id: one.scores for question, one in zip(questions, judged, strict=True)}
    return replace(
        _figures(system, questions, measured, run, ranked, latencies, answers),
        unmatched=labels.unmatched,
        notes=_notes(asked),
        per_question=question_results(index, labels, questions, measured, judged, ranked),
    )


def _written(
    evaluation: Evaluation, run: Path | str | None, figures: Path | str | None, drawing: Path | str | None
) -> Evaluation:
    """Write the files that are wanted; returns the evaluation."""
    if figures is not None:
        write_json(Path(figures), evaluation.to_json())
    if drawing is not None:
        write_reliability(Path(drawing), evaluation.system, evaluation.confidences, evaluation.complete)
    if run is not None:
        write_run(Path(run), evaluation.run, "trailhound")
    return evaluation


def check_folders(*files: Path | str | None) -> None:
    """Refuse files in folders that are not there, before any question is answered."""
    for file in files:
        if file is not None and not Path(file).parent.is_dir():
            raise QuestionsError("cannot be written: its folder is not there, make it first", file)


def _rank_all(
    system: System, index: Searchable, questions: list[Question], progress: Progress | None
) -> tuple[list[Ranked], list[float]]:
    """Return every ranking and how many milliseconds it took."""
    ranked, latencies = [], []
    for question in questions[:1]:
        with index.snapshot():
            _rank(system, index.facts, question)
    for number, question in enumerate(questions, start=1):
        started = perf_counter()
        with index.snapshot():
            ranked.append(_rank(system, index.facts, question))
        latencies.append((perf_counter() - started) * 1000)
        if progress is not None:
            progress("answering questions", number, len(questions))
    return ranked, latencies


def _rank(system: System, facts: Facts | None, question: Question) -> Ranked:
    """Rank for one question; a policy does not see the fact that is asked for, and what is no entity finds nothing."""
    if facts is None:
        return system.rank(question.text, DEPTH)
    everything, answer = len(facts.entities), question.answer
    if not facts.knows(question.text) or answer not in facts.entity_rows:
        return Ranked(np.zeros(0, np.int64), np.zeros(0))
    if isinstance(system, PolicySystem):
        return system.rank_fact(question.text, answer, everything)
    return system.rank(question.text, everything)


def _passage_figures(
    questions: list[Question], qrels: Qrels, judged: list[Judged], ranked: list[Ranked]
) -> dict[str, dict[str, float]]:
    """Return question id -> metric -> value, with the return, and how sure a policy was beside how right it was."""
    figures = evaluate_run(qrels, {question.id: one.scores for question, one in zip(questions, judged, strict=True)})
    for question, one, found in zip(questions, judged, ranked, strict=True):
        taken = recall(one.taken, qrels.get(question.id, {}), len(one.taken))
        figures[question.id]["return"] = taken - found.spent
        if found.confidence is not None:
            figures[question.id] |= {
                "confidence": found.confidence,
                "complete": figures[question.id]["all_recall@5"],
                "unanswered": float(found.unanswered),
            }
    return figures


def _judged_answers(
    index: Searchable, questions: list[Question], ranked: list[Ranked], policy: Path | None
) -> dict[str, dict[str, float]]:
    """Return exact match and F1 of the reader's answers, whether each is stated, and stated rightly, by question.

    Empty unless every question has its answer.
    """
    reader = answering_reader(policy)
    # over facts the ranking is the answer: there is nothing to read
    if reader is None or index.facts is not None or not all(question.answer for question in questions):
        return {}
    judged = {}
    for question, found in zip(questions, ranked, strict=True):
        read = index.store.passages(found.to_read(READ).tolist())
        answer = reader.answer(question.text, read)
        text, gold = answer.text if answer is not None else "", question.answer or ""
        right = exact_match(text, gold)
        judged[question.id] = {"answer_exact_match": right, "answer_f1": f1_score(text, gold)}
        stated = answer is not None and answer.stated
        judged[question.id] |= {"answer_stated": float(stated), "answer_stated_right": right * stated}
    return judged


def _figures(
    name: str,
    questions: list[Question],
    per_question: dict[str, dict[str, float]],
    run: Run,
    ranked: list[Ranked],
    latencies: list[float],
    answers: dict[str, dict[str, float]],
) -> Evaluation:
    for question, found, latency in zip(questions, ranked, latencies, strict=True):
        per_question[question.id] |= {"actions": found.actions, "calls": found.calls, "latency_ms": latency}
        per_question[question.id] |= {f"calls_{name}": count for name, count in found.asked.items()}
        per_question[question.id] |= answers.get(question.id, {})
    kinds = sorted({question.type for question in questions if question.type is not None})
    by_type = {kind: _summary({q.id: per_question[q.id] for q in questions if q.type == kind}) for kind in kinds}
    sure = [values for values in (per_question[q.id] for q in questions) if "confidence" in values]
    confidences = np.array([values["confidence"] for values in sure])
    return Evaluation(
        name, _summary(per_question), by_type, run, confidences, np.array([values["complete"] == 1 for values in sure])
    )


def _summary(per_question: dict[str, dict[str, float]]) -> dict[str, float]:
    figures = mean(per_question)
    latencies = [values["latency_ms"] for values in per_question.values()]
    for name in [name for name in figures if name in ("actions", "calls", "return") or name.startswith("calls_")]:
        figures[f"{name}_mean"] = figures.pop(name)
    del figures["latency_ms"]
    figures["latency_ms_p50"], figures["latency_ms_p95"] = np.percentile(latencies, [50, 95]).tolist()
    if "answer_stated" in figures:
        right = figures.pop("answer_stated_right")
        if figures["answer_stated"]:
            figures["answer_stated_precision"] = right / figures["answer_stated"]
    if "confidence" in figures:
        figures["confidence_mean"] = figures.pop("confidence")
        figures["unanswered_mean"] = figures.pop("unanswered")
        figures["complete_mean"] = figures.pop("complete")
        sure = np.array([(values["confidence"], values["complete"]) for values in per_question.values()])
        figures["calibration_error"] = calibration_error(sure[:, 0], sure[:, 1] == 1)
        figures["brier_score"] = brier_score(sure[:, 0], sure[:, 1] == 1)
    figures["questions"] = len(per_question)
    return figures


def _check_labels(index: Searchable, labels: SettledLabels, folder: Path, warn: Callable[[str], None] | None) -> None:
    """Warn of labels that name nothing in the index.

    Raises:
        QuestionsError: when none names anything.
    """
    lacking, named = labels.unmatched, labels.supporting
    if named and len(lacking) == named:
        raise QuestionsError(
            f"the index {index.path} has none of the {named} labelled passages and documents (such as {lacking[0]!r}):"
            f" evaluate over the index of the corpus that the labels speak of{meant(index.store, lacking[0])}",
            folder,
        )
    if lacking and warn is not None:
        warn(
            f"{folder}: {len(lacking)} of {named} labelled passages and documents ({_some(lacking)}) are not in the"
            f" index: they count as not found{meant(index.store, lacking[0])}"
        )


def _notes(asked: _Asked) -> tuple[str, ...]:
    """Say by what was judged, what was left out of rankings, and which labels were understood though misspelled."""
    notes, count = [], len(asked.questions)
    if asked.judging.by_document and len(asked.index) > asked.index.store.documents:
        notes.append(
            f"{asked.judging.by_document} of {count} questions are judged by document: a document stands where the"
            " first of its passages stands"
        )
    left = [question.id for question in asked.questions if question.id in asked.left_out]
    if left:
        notes.append(f"{LEFT_OUT} leaves documents out of the rankings of {len(left)} questions")
        for question in left:
            wanted = asked.labels.qrels.get(question, {})
            both = sorted(name for name in asked.left_out[question] if wanted.get(name, 0) > 0)
            if both:
                notes.append(f"{both[0]!r} is labelled and left out for {question!r}: it counts as not found")
    if asked.labels.respelled:
        notes.append(f"labels are read without a leading ./ and in NFC: {_some(asked.labels.respelled)}")
    return tuple(notes)


def _some(names: Sequence[str]) -> str:
    """Name the first few."""
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")

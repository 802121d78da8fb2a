"""Measures a system on labelled questions: quality, latency and effort, overall and by type of question.

Questions over a knowledge graph are measured in the filtered setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log2
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from ..agent._fixed_systems import Ranked
from ..agent._open_agent import READ
from ..agent._systems import PolicySystem, System, open_system
from ..agent.reader._language_models import answering_reader
from ..agent.reader._protocol import exact_match, f1_score
from ..errors import QuestionsError
from ..index.index import Index
from ..retrievers._atomic_file import write_json
from ..retrievers._calibration import brier_score, calibration_error
from ..retrievers.knowledge._facts import Facts
from ..retrievers.protocols import Progress
from ..retrievers.questions._label_targets import SettledLabels, meant, settle_labels, settle_names
from ..retrievers.questions._labelled import known_answers, load_questions
from ..retrievers.questions._left_out import LEFT_OUT, load_left_out
from ..retrievers.records import Qrels, Question, Rows, Run
from ._judged import Judging
from ._metrics import evaluate_run, mean, recall, write_reliability, write_run

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
    """

    system: str
    figures: dict[str, float]
    by_type: dict[str, dict[str, float]]
    run: Run
    confidences: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    complete: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    unmatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, float | str | list[str]]:
        """Return one flat object; a figure of one type is called ``metric[type]``."""
        flat: dict[str, float | str | list[str]] = {"system": self.system, **self.figures}
        for kind, figures in self.by_type.items():
            flat |= {f"{name}[{kind}]": value for name, value in figures.items()}
        return flat | {"labels_unmatched": list(self.unmatched), "notes": list(self.notes)}


def evaluate(
    index: Index | Path | str,
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
        index: an opened index, or the folder of one.
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
    opened = index if isinstance(index, Index) else Index.open(index)
    check_folders(run_file, json_file, reliability_file)
    folder = Path(questions)
    asked, qrels = load_questions(folder, split, warn)
    labels = settle_labels(opened.store, qrels)
    _check_labels(opened, labels, folder, warn)
    left_out = settle_names(opened.store, load_left_out(folder))
    judging = Judging(labels, left_out)
    folders = (None if place is None else Path(place) for place in (policy, reranker, query_encoder))
    chosen = open_system(opened, system, *folders)
    ranked, latencies = _rank_all(chosen, opened, asked, progress)
    judged = [_judged(opened, judging, question, found) for question, found in zip(asked, ranked, strict=True)]
    if opened.facts is None:
        measured = _passage_figures(asked, labels.qrels, judged, ranked)
    else:
        measured = fact_figures(opened, folder, asked, ranked, warn)
    answers = _judged_answers(opened, asked, ranked, None if policy is None else Path(policy))
    run = {question.id: one.scores for question, one in zip(asked, judged, strict=True)}
    figures = _figures(chosen.name, asked, measured, run, ranked, latencies, answers)
    evaluation = replace(figures, unmatched=labels.unmatched, notes=_notes(opened, asked, labels, judging, left_out))
    return _written(evaluation, run_file, json_file, reliability_file)


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
    system: System, index: Index, questions: list[Question], progress: Progress | None
) -> tuple[list[Ranked], list[float]]:
    """Return every ranking and how many milliseconds it took."""
    ranked, latencies = [], []
    for question in questions[:1]:
        _rank(system, index.facts, question)
    for number, question in enumerate(questions, start=1):
        started = perf_counter()
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


@dataclass(frozen=True, slots=True)
class _Judged:
    """A ranking as it is judged: name -> score, best first, and the names that stand for what was taken."""

    scores: dict[str, float]
    taken: list[str]


def _judged(index: Index, judging: Judging, question: Question, ranked: Ranked) -> _Judged:
    rows = ranked.rows.tolist()
    named = judging.names(question.id, index.store.passages(rows))
    scores = {name: float(score) for names, score in zip(named, ranked.scores, strict=True) for name in names}
    taken = [name for names, row in zip(named, rows, strict=True) if row in ranked.taken for name in names]
    return _Judged(scores, taken)


def _passage_figures(
    questions: list[Question], qrels: Qrels, judged: list[_Judged], ranked: list[Ranked]
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
    index: Index, questions: list[Question], ranked: list[Ranked], policy: Path | None
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


def _check_labels(index: Index, labels: SettledLabels, folder: Path, warn: Callable[[str], None] | None) -> None:
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


def _notes(
    index: Index,
    questions: list[Question],
    labels: SettledLabels,
    judging: Judging,
    left_out: Mapping[str, frozenset[str]],
) -> tuple[str, ...]:
    """Say by what was judged, what was left out of rankings, and which labels were understood though misspelled."""
    notes = []
    if judging.by_document and len(index) > index.store.documents:
        notes.append(
            f"{judging.by_document} of {len(questions)} questions are judged by document: a document stands where the"
            " first of its passages stands"
        )
    left = [question.id for question in questions if question.id in left_out]
    if left:
        notes.append(f"{LEFT_OUT} leaves documents out of the rankings of {len(left)} questions")
        for question in left:
            both = sorted(name for name in left_out[question] if labels.qrels.get(question, {}).get(name, 0) > 0)
            if both:
                notes.append(f"{both[0]!r} is labelled and left out for {question!r}: it counts as not found")
    if labels.respelled:
        notes.append(f"labels are read without a leading ./ and in NFC: {_some(labels.respelled)}")
    return tuple(notes)


def _some(names: Sequence[str]) -> str:
    """Name the first few."""
    more = len(names) - _NAMED
    return ", ".join(map(repr, names[:_NAMED])) + (f" and {more} more" if more > 0 else "")


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

"""The results of one system, question by question, from what it wrote: an evaluation's JSON, or a TREC run file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import QuestionsError
from ..retrievers.corpus._json_records import read_file
from ..retrievers.questions._label_targets import settle_labels, settle_names
from ..retrievers.questions._labelled import load_questions
from ..retrievers.questions._left_out import load_left_out
from ..retrievers.records import Run
from ._metrics import evaluate_run, read_run
from ._result_file import LATER, read_results


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """How a system did on each question.

    Attributes:
        path: of the file.
        system: what it says of itself; the name of the file for a run file.
        figures: question id -> metric -> value.
        types: question id -> type, where there is one.
    """

    path: Path
    system: str
    figures: Mapping[str, Mapping[str, float]]
    types: Mapping[str, str]


def read_judged_runs(paths: Sequence[Path], questions: Path | None, split: str | None) -> list[JudgedRun]:
    """Read files of results, each of which is what ``evaluate`` writes with ``--json``, or a TREC run file.

    Args:
        paths: of the files.
        questions, split: by whose labels run files are judged.

    Raises:
        QuestionsError: when a file cannot be read, a run file has no labels, or ranks other questions than they name.
    """
    runs = {path: read_run(path) for path in paths if not _is_json(path)}
    judged = _judge(runs, questions, split) if runs else {}
    return [judged[path] if path in judged else _evaluated(path) for path in paths]


def _is_json(path: Path) -> bool:
    return read_file(path, QuestionsError).lstrip()[:1] == b"{"


def _evaluated(path: Path) -> JudgedRun:
    results = read_results(path)
    if not results.per_question:
        raise QuestionsError(f"has figures of all questions together, not of each: {LATER}", path)
    figures = {one.id: one.figures for one in results.per_question}
    types = {one.id: one.type for one in results.per_question if one.type is not None}
    return JudgedRun(path, results.system, figures, types)


def _judge(runs: Mapping[Path, Run], questions: Path | None, split: str | None) -> dict[Path, JudgedRun]:
    first = next(iter(runs))
    if questions is None or split is None:
        raise QuestionsError("is a TREC run file, which has no labels: give --questions DIR --split SPLIT too", first)
    asked, qrels = load_questions(questions, split)
    names = _Names({name for run in runs.values() for ranking in run.values() for name in ranking})
    labels = settle_labels(names, qrels).qrels
    left_out = settle_names(names, load_left_out(questions))
    types = {question.id: question.type for question in asked if question.type is not None}
    judged = {}
    for path, run in runs.items():
        lacking, strange = [name for name in labels if name not in run], [name for name in run if name not in labels]
        if lacking or strange:
            raise QuestionsError(
                f"ranks nothing for {counted(lacking)} of the split {split!r}, and ranks for {counted(strange)} that it"
                " does not have: give the run of this split; where a system found nothing, compare what"
                " `trailhound evaluate --json` writes, which has every question",
                path,
            )
        counting = {
            question: {name: score for name, score in ranking.items() if name not in left_out.get(question, ())}
            for question, ranking in run.items()
        }
        judged[path] = JudgedRun(path, path.name, evaluate_run(labels, counting), types)
    return judged


def counted(names: Sequence[str]) -> str:
    """Say how many questions there are, and the first one: "2 questions (such as 'q1')"."""
    if not names:
        return "no question"
    return f"{len(names)} question{'s' if len(names) > 1 else ''} (such as {names[0]!r})"


class _Names:
    """The names that runs rank, for :func:`settle_labels`: labels may be spelled in another way."""

    def __init__(self, names: set[str]) -> None:
        self._rows = {name: row for row, name in enumerate(sorted(names))}

    def row_of(self, passage_id: str) -> int:
        """Return a number for a name; KeyError when no run ranks it."""
        return self._rows[passage_id]

    def rows_of(self, document_id: str) -> list[int]:
        """Raise KeyError: a run file does not say which passages a document has."""
        raise KeyError(document_id)

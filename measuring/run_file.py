"""Run files in TREC's format: writing, reading, and which documents none of them lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from ..errors import QuestionsError
from ..index.index import Index
from ..retrievers.atomic_file import write_atomically
from ..retrievers.corpus.json_records import decode, read_file
from ..retrievers.records import Run
from .metrics import rank

_FIELDS = "question Q0 passage rank score tag"
_UNWRITABLE = re.compile("^$|^\ufeff|\\s|\0|[\ud800-\udfff]")


def write_run(path: Path, run: Run, tag: str) -> None:
    """Write ``run`` in the order of its questions, passages best first with ranks from 1, atomically.

    Scores keep every digit. A question without passages has no line.

    Args:
        path: the file; an old one is replaced.
        run: the result.
        tag: names the system that gave it.

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
        scores[passage] = _score(score, path, number)
    return run


def _check(what: str, value: str, path: Path) -> None:
    """Refuse what would be read back as something else."""
    if _UNWRITABLE.search(value):
        raise QuestionsError(
            f"the {what} {value!r} cannot stand in a TREC run file, which separates its fields by white space: "
            "rename it without white space and control characters, and not empty",
            path,
        )


def _score(field: str, path: Path, number: int) -> float:
    try:
        score = float(field)
    except ValueError as cause:
        raise QuestionsError(f"the score {field!r} is not a number", path, number) from cause
    if not isfinite(score):
        raise QuestionsError(f"the score {field!r} is not finite: only finite scores can be ranked", path, number)
    return score


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
            if not index.store.has(name):
                raise QuestionsError(f"ranks the passage {name!r}, which {index.path} does not hold", path)
            retrieved.add(index.store.row_of(name))
    store = index.store
    return [document for document in store.document_ids() if retrieved.isdisjoint(store.rows_of(document))]

"""Made questions as files that every command reads: ``queries.jsonl`` and ``qrels/SPLIT.tsv``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ...retrievers.atomic_file import write_atomically
from ...retrievers.records import Qrels
from .making import MadeQuestions

TRAIN, VALIDATION = "train", "validation"
_QUERIES = "queries.jsonl"


def write_questions(made: MadeQuestions, folder: Path, held_out: float, rng: np.random.Generator) -> None:
    """Write the questions in two splits, ``train`` and ``validation``; ``queries.jsonl`` comes last.

    Args:
        made: the questions.
        folder: is made, or its files replaced.
        held_out: share of the questions for validation, at least one.
        rng: draws which.
    """
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    order = rng.permutation(len(made.questions))
    aside = {made.questions[k].id for k in order[: max(1, round(held_out * len(order)))].tolist()}
    for split in (TRAIN, VALIDATION):
        labels = {name: rows for name, rows in made.qrels.items() if (name in aside) == (split == VALIDATION)}
        write_atomically(folder / "qrels" / f"{split}.tsv", _lines(labels).encode())
    queries = (
        json.dumps({"_id": q.id, "text": q.text, "metadata": {"type": q.type}}, ensure_ascii=False)
        for q in made.questions
    )
    write_atomically(folder / _QUERIES, "".join(f"{line}\n" for line in queries).encode())


def are_written(folder: Path) -> bool:
    """Return whether ``folder`` holds questions that were written to the end."""
    return (folder / _QUERIES).is_file()


def _lines(labels: Qrels) -> str:
    rows = [f"{name}\t{passage}\t{score}\n" for name, scores in labels.items() for passage, score in scores.items()]
    return "query-id\tcorpus-id\tscore\n" + "".join(rows)

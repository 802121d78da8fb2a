"""Questions over a knowledge graph: every line of ``SPLIT.txt`` asks ``(head, relation, ?)`` for its tail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from ...errors import QuestionsError
from ..knowledge.facts import GRAPH_FILE, Triple, read_triples
from ..records import Qrels, Question


def has_fact_questions(folder: Path) -> bool:
    """Return whether a folder holds triples: it has a ``graph.txt``, or ``.txt`` files and no ``queries.jsonl``."""
    if (folder / "queries.jsonl").exists() or not folder.is_dir():
        return False
    return (folder / GRAPH_FILE).exists() or any(folder.glob("*.txt"))


def load_fact_questions(folder: Path, split: str) -> tuple[list[Question], Qrels]:
    """Load the questions of ``SPLIT.txt``, one a line; only tails are asked for, as MINERVA does.

    A question's text is ``head relation``, its answer the tail, its id ``SPLIT:LINE``.

    Raises:
        QuestionsError: when there is no such split, a line is malformed, or there is none.
    """
    path = folder / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(found.stem for found in folder.glob("*.txt"))) or "none"
        raise QuestionsError(f"there is no split {split!r} (SPLIT.txt of triples); there are: {there}", folder)
    triples = read_triples(path, QuestionsError)
    if not triples:
        raise QuestionsError(f"the split {split!r} has no triples: expected head<TAB>relation<TAB>tail", path)
    questions = [_question(split, triple) for triple in triples]
    return questions, {q.id: {t.tail: 1} for q, t in zip(questions, triples, strict=True)}


def known_answers(folder: Path, warn: Callable[[str], None] | None = None) -> dict[str, set[str]]:
    """Return the text of every question that the folder's triples answer, with all its answers.

    What any ``.txt`` there states is true, so a ranking is not blamed for it (the filtered setting of Bordes et al.
    2013, "Translating Embeddings for Modeling Multi-relational Data", section 4.1). Files that do not hold triples
    are passed over with a warning.
    """
    answers: dict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.glob("*.txt")):
        try:
            triples = read_triples(path, QuestionsError)
        except QuestionsError as error:
            if warn is not None:
                warn(f"{error}: the file is not used to filter rankings")
            continue
        for triple in triples:
            answers[_text(triple)].add(triple.tail)
    return dict(answers)


def _question(split: str, triple: Triple) -> Question:
    return Question(f"{split}:{triple.line}", _text(triple), triple.tail)


def _text(triple: Triple) -> str:
    return f"{triple.head} {triple.relation}"

"""Makes labelled questions from a corpus alone: what `trailhound train --supervision none` learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...errors import QuestionsError
from ...index.index import Index
from ...retrievers.protocols import Progress
from ...retrievers.records import Qrels, Question
from .drafts import Draft, Drawer
from .reading import Reading
from .wording import careless

SHARES = {
    "chain": 0.40,
    "kin": 0.08,
    "long_chain": 0.04,
    "comparison": 0.22,
    "pair": 0.14,
    "single": 0.03,
    "described": 0.04,
    "backward": 0.03,
    "lookup": 0.02,
}
"""Shape of path -> share of the questions. A shape that the corpus does not have gives its share to the others."""

SHARES_WITHOUT_NAMES = {"shared": 0.6, "lookup": 0.4}
"""The same for a corpus whose passages do not name one another."""

LEAST_NAMING = 0.02
"""Share of the passages that must name another one for questions to follow names."""

LEAST = 20
"""Fewer questions than this teach nothing."""

_MOST_ALIKE = 3
"""Questions about one set of passages."""

_TRIES = 40
"""Draws of a path for each question."""

_PATIENCE = 5
"""Questions in vain for each that was made before the corpus counts as drawn dry."""


@dataclass(frozen=True, slots=True)
class MadeQuestions:
    """Questions with their labels; a question's type is the shape of its path."""

    questions: list[Question]
    qrels: Qrels


def make_questions(
    index: Index, count: int, rng: np.random.Generator, progress: Progress | None = None
) -> MadeQuestions:
    """Make up to ``count`` questions over an index; the same generator state makes the same questions.

    A question names where its path starts and describes the rest: no title of another passage of the path stands in
    it. Its labels are the passages of its path.

    Raises:
        QuestionsError: when the corpus yields fewer than ``LEAST``.
    """
    reading = Reading(index, rng, progress)
    drawer = Drawer(reading, rng)
    shares = SHARES if drawer.naming >= LEAST_NAMING else SHARES_WITHOUT_NAMES
    shapes: dict[str, Callable[[], Draft | None]] = {name: getattr(drawer, name) for name in shares}
    questions: list[Question] = []
    qrels: Qrels = {}
    texts: set[str] = set()
    paths: Counter[frozenset[int]] = Counter()
    dry = 0
    while len(questions) < count and dry < _PATIENCE * (LEAST + len(questions)):
        name = _draw(shares, rng)
        question = _made(reading, name, shapes[name], rng)
        if question is None or question[0].lower() in texts or paths[frozenset(question[1].path)] == _MOST_ALIKE:
            dry += 1
            continue
        text, draft = question
        texts.add(text.lower())
        paths[frozenset(draft.path)] += 1
        identifier = f"made-{len(questions):05d}"
        questions.append(Question(identifier, text, None, name.replace("_", " ")))
        qrels[identifier] = {index.store.passage(row).id: 1 for row in draft.path}
        if progress is not None:
            progress("making questions", len(questions), count)
    if len(questions) < LEAST:
        raise QuestionsError(
            f"only {len(questions)} questions could be made from the {len(index)} passages of {index.path}, and"
            f" training needs {LEAST}: add documents (best with titles that mention one another), or train on questions"
            " of your own with --questions"
        )
    return MadeQuestions(questions, qrels)


def _draw(shares: dict[str, float], rng: np.random.Generator) -> str:
    names = list(shares)
    weights = np.array([shares[name] for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def _made(
    reading: Reading, name: str, shape: Callable[[], Draft | None], rng: np.random.Generator
) -> tuple[str, Draft] | None:
    """Draw one question of a shape until it holds, a few times; returns its text and draft."""
    for _ in range(_TRIES):
        draft = shape()
        if draft is not None:
            text = " ".join(careless(draft.text, rng).split())
            if holds(reading, text, draft):
                return text, draft
    return None


def holds(reading: Reading, text: str, draft: Draft) -> bool:
    """Return whether a question names all its starts and none of the other passages of its path."""
    named = {reading.titles[row] for mention in reading.index.titles.find_in_question(text) for row in mention.rows}
    starts = {reading.titles[row] for row in draft.starts}
    lowered = text.lower()
    for row in draft.path:
        title = reading.titles[row]
        if title in starts:
            continue
        if title and (title in named or reading.portrait(row).name.lower() in lowered):
            return False
    return starts <= named and len(lowered.split()) >= 3

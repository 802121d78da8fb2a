"""Makes labelled questions from a corpus alone: what `trailhound train --supervision none` learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import QuestionsError
from ...index.index import Index
from ...retrievers.protocols import Progress
from ...retrievers.questions._labelled import write_questions
from ...retrievers.records import Qrels, Question
from ._corpus_profile import CorpusProfile
from ._question_generator import Draft, NoDraft, QuestionGenerator, careless

TRAIN, VALIDATION = "train", "validation"

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

    def write(self, folder: Path, held_out: float, rng: np.random.Generator) -> None:
        """Write the questions into ``folder``; ``rng`` draws the share ``held_out`` (at least one) for validation."""
        order = rng.permutation(len(self.questions))
        aside = {self.questions[k].id for k in order[: max(1, round(held_out * len(order)))].tolist()}
        splits: dict[str, Qrels] = {TRAIN: {}, VALIDATION: {}}
        for name, labels in self.qrels.items():
            splits[VALIDATION if name in aside else TRAIN][name] = labels
        write_questions(folder, self.questions, splits)


def make_questions(
    index: Index, count: int, rng: np.random.Generator, progress: Progress | None = None
) -> MadeQuestions:
    """Make up to ``count`` questions over an index; the same generator state makes the same questions.

    A question names where its path starts and describes the rest: no title of another passage of the path stands in
    it. Its labels are the passages of its path.

    Raises:
        QuestionsError: when the corpus yields fewer than ``LEAST``.
    """
    corpus = CorpusProfile(index, rng, progress)
    generator = QuestionGenerator(corpus, rng)
    shares = SHARES if generator.naming >= LEAST_NAMING else SHARES_WITHOUT_NAMES
    names, weights = list(shares), np.array(list(shares.values()))
    questions: list[Question] = []
    qrels: Qrels = {}
    texts: set[str] = set()
    paths: Counter[frozenset[int]] = Counter()
    dry = 0
    while len(questions) < count and dry < _PATIENCE * (LEAST + len(questions)):
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        question = _made(corpus, getattr(generator, name), rng)
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


def _made(corpus: CorpusProfile, shape: Callable[[], Draft], rng: np.random.Generator) -> tuple[str, Draft] | None:
    """Draw one question of a shape until it holds, a few times; returns its text and draft."""
    for _ in range(_TRIES):
        with suppress(NoDraft):
            draft = shape()
            text = " ".join(careless(draft.text, rng).split()) if draft.text else ""
            if text and holds(corpus, text, draft):
                return text, draft
    return None


def holds(corpus: CorpusProfile, text: str, draft: Draft) -> bool:
    """Return whether a question names all its starts and none of the other passages of its path."""
    named = {corpus.titles[row] for mention in corpus.index.titles.find_in_question(text) for row in mention.rows}
    starts = {corpus.titles[row] for row in draft.starts}
    lowered = text.lower()
    for row in draft.path:
        title = corpus.titles[row]
        if title in starts:
            continue
        if title and (title in named or corpus.passage(row).name.lower() in lowered):
            return False
    return starts <= named and len(lowered.split()) >= 3

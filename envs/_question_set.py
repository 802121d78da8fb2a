"""Questions over one index, with what is known of each: the labels and the explored world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import QuestionsError
from ..index.index import Index
from ..retrievers.protocols import Encoder, query_vectors
from ..retrievers.questions._label_targets import SettledLabels, Target, meant, settle_labels
from ..retrievers.questions._labelled import load_questions
from ..retrievers.records import Qrels, Question, Vectors
from ._fact_world import fact_world
from ._nearness import similarity
from ._question_view import QuestionView
from ._world import QuestionWorld
from .settings import QUESTION, EnvironmentSettings

Encode = Callable[[Encoder, Sequence[str]], Vectors]
"""Encodes texts with an encoder."""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question and what its labels ask for.

    Attributes:
        question: as it is asked.
        gold: a row for every supporting label, none when nothing is known.
        meets: every row that meets a label -> the row of ``gold`` that stands for it, see :func:`meets_of`.
    """

    question: Question
    gold: frozenset[int]
    meets: Mapping[int, int]


def question_dimension(index: Index) -> int:
    """Return how many numbers a policy sees of a question over an index: its form, or over facts its vector."""
    return len(QUESTION) if index.facts is None else int(index.encoder.dimension)


class QuestionSet:
    """Questions over one index; worlds are made when first asked for, and kept.

    Args:
        index, settings, hop_encoder: see :class:`QuestionWorld`.
        questions, qrels: with their labels, which name passages or documents; what is above 0 is supporting. A document
            is found with any of its passages.
        encode: encodes the questions' texts with an encoder; by itself the encoder does.
        plain_every: every so many-th world does without the hop encoder, as over vectors of another one; 0 for none.

    Raises:
        QuestionsError: when there is no question, or a label names what the index does not have.
    """

    def __init__(
        self,
        index: Index,
        questions: Sequence[Question],
        qrels: Qrels,
        settings: EnvironmentSettings,
        hop_encoder: Encoder | None = None,
        encode: Encode | None = None,
        plain_every: int = 0,
    ) -> None:
        if not questions:
            raise QuestionsError("there is no question: queries.jsonl or the split is empty")
        self.index = index
        self.settings = settings
        labels = settle_labels(index.store, qrels)
        _check(index, questions, labels)
        self._worlds: dict[int, QuestionWorld] = {}
        self._hop_encoder = hop_encoder
        self._plain_every = plain_every
        self._vectors = None
        if index.facts is None:  # else a world encodes its own question, without the fact that it asks for
            texts = [question.text for question in questions]
            self._vectors = (encode or query_vectors)(index.encoder, texts)
        self.items = []
        for number, question in enumerate(questions):
            vector = None if self._vectors is None else self._vectors[number]
            meets = meets_of(index, labels.gold(question.id), vector)
            self.items.append(LabelledQuestion(question, frozenset(meets.values()), meets))

    @classmethod
    def load(
        cls,
        index: Index,
        folder: Path,
        split: str,
        settings: EnvironmentSettings,
        warn: Callable[[str], None] | None = None,
        hop_encoder: Encoder | None = None,
        labels: bool = True,
        encode: Encode | None = None,
        plain_every: int = 0,
    ) -> QuestionSet:
        """Load ``folder``'s ``split``, see :func:`trailhound.retrievers.questions._labelled.load_questions`.

        Without ``labels`` the qrels say which questions belong to the split, and nothing else of them is kept.
        """
        questions, qrels = load_questions(folder, split, warn)
        return cls(index, questions, qrels if labels else {}, settings, hop_encoder, encode, plain_every)

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.items)

    def world(self, number: int) -> QuestionWorld:
        """Return the world of a question, the same object every time."""
        if number not in self._worlds:
            item = self.items[number]
            if self._vectors is None:
                self._worlds[number] = fact_world(self.index, item.question.text, item.question.answer, self.settings)
                return self._worlds[number]
            plain = self._plain_every > 0 and number % self._plain_every == 0
            view = QuestionView.of(self.index, item.question.text, self._vectors[number])
            how = (None if plain else self._hop_encoder, item.question.answer, item.meets)
            self._worlds[number] = QuestionWorld(self.index, view, self.settings, item.gold, *how)
        return self._worlds[number]


def supporting_rows(index: Index, questions: Sequence[Question], labels: SettledLabels) -> dict[str, tuple[int, ...]]:
    """Return a row for every label of each question, see :func:`meets_of`; what the index lacks is left out."""
    targets = {question.id: labels.gold(question.id) for question in questions}
    several = [q for q in questions if any(len(target.rows) > 1 for target in targets[q.id])]
    vectors = query_vectors(index.encoder, [question.text for question in several]) if several else np.zeros((0, 0))
    by_id = {question.id: vector for question, vector in zip(several, vectors, strict=True)}
    return {
        name: tuple(dict.fromkeys(meets_of(index, mine, by_id.get(name)).values())) for name, mine in targets.items()
    }


def meets_of(index: Index, targets: Sequence[Target], vector: Vectors | None) -> dict[int, int]:
    """Return every row that meets one of some labels -> the row that stands for that label.

    A passage stands for itself, and for a document that of its passages which is nearest to the question's ``vector``
    [d]; without a vector, the first.
    """
    meets = {}
    for target in targets:
        best = target.rows[0]
        if len(target.rows) > 1 and vector is not None:
            best = target.rows[int(similarity(index, np.array(target.rows), vector).argmax())]
        meets.update(dict.fromkeys(target.rows, best))
    return meets


def _check(index: Index, questions: Sequence[Question], labels: SettledLabels) -> None:
    unmatched = set(labels.unmatched)
    for question in questions:
        for name, relevance in labels.qrels.get(question.id, {}).items():
            if relevance > 0 and name in unmatched:
                raise QuestionsError(
                    f"question {question.id!r} is labelled with {name!r}, and the index {index.path} has no passage and"
                    " no document of that name: index the corpus that the labels speak of"
                    f"{meant(index.store, name)}"
                )

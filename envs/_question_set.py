"""Questions over one index, with what is known of each: the labels and the explored world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import QuestionsError
from ..index.index import Index
from ..retrievers.protocols import Encoder
from ..retrievers.questions._labelled import load_questions
from ..retrievers.records import Qrels, Question, Vectors
from ._fact_world import fact_world
from ._question_view import QuestionView
from ._world import QuestionWorld
from .settings import EnvironmentSettings

Encode = Callable[[Encoder, Sequence[str]], Vectors]
"""Encodes texts with an encoder."""


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question and the rows of its supporting passages (none when nothing is known)."""

    question: Question
    gold: frozenset[int]


class QuestionSet:
    """Questions over one index; worlds are made when first asked for, and kept.

    Args:
        index, settings, hop_encoder: see :class:`QuestionWorld`.
        questions, qrels: with their labels; a passage above 0 is supporting.
        encode: encodes the questions' texts with an encoder; by itself the encoder does.

    Raises:
        QuestionsError: when there is no question, or a label names a passage that the index does not have.
    """

    def __init__(
        self,
        index: Index,
        questions: Sequence[Question],
        qrels: Qrels,
        settings: EnvironmentSettings,
        hop_encoder: Encoder | None = None,
        encode: Encode | None = None,
    ) -> None:
        if not questions:
            raise QuestionsError("there is no question: queries.jsonl or the split is empty")
        self.index = index
        self.settings = settings
        self.items = [
            LabelledQuestion(question, _gold_rows(index, question, qrels.get(question.id, {})))
            for question in questions
        ]
        self._worlds: dict[int, QuestionWorld] = {}
        self._hop_encoder = hop_encoder
        self._vectors = self._hop_vectors = None
        if index.facts is None:  # else a world encodes its own question, without the fact that it asks for
            texts = [question.text for question in questions]
            encoded = encode or (lambda encoder, texts: encoder.encode(texts))
            self._vectors = encoded(index.encoder, texts)
            self._hop_vectors = self._vectors if hop_encoder is None else encoded(hop_encoder, texts)

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
    ) -> QuestionSet:
        """Load ``folder``'s ``split``, see :func:`trailhound.retrievers.questions._labelled.load_questions`.

        Without ``labels`` the qrels say which questions belong to the split, and nothing else of them is kept.
        """
        questions, qrels = load_questions(folder, split, warn)
        return cls(index, questions, qrels if labels else {}, settings, hop_encoder, encode)

    def __len__(self) -> int:
        """Return the number of questions."""
        return len(self.items)

    def world(self, number: int) -> QuestionWorld:
        """Return the world of a question, the same object every time."""
        if number not in self._worlds:
            item = self.items[number]
            if self._vectors is None or self._hop_vectors is None:
                self._worlds[number] = fact_world(self.index, item.question.text, item.question.answer, self.settings)
                return self._worlds[number]
            view = QuestionView.of(self.index, item.question.text, self._vectors[number], self._hop_vectors[number])
            self._worlds[number] = QuestionWorld(
                self.index, view, self.settings, item.gold, self._hop_encoder, item.question.answer
            )
        return self._worlds[number]


def _gold_rows(index: Index, question: Question, labels: dict[str, int]) -> frozenset[int]:
    rows = set()
    for passage_id, relevance in labels.items():
        if relevance > 0:
            try:
                rows.add(index.store.row_of(passage_id))
            except KeyError as error:
                raise QuestionsError(
                    f"question {question.id!r} is labelled with passage {passage_id!r}, which the index"
                    f" {index.path} does not have: index the corpus that the labels speak of"
                ) from error
    return frozenset(rows)

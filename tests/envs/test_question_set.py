"""Questions and labels are held against the index before any search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound import EnvironmentSettings, Index, Question
from trailhound.envs._question_set import QuestionSet
from trailhound.errors import QuestionsError
from trailhound.retrievers.questions._labelled import load_questions


def test_gold_rows_are_the_labelled_passages(small_index: Index, corpus_folder: Path) -> None:
    questions, qrels = load_questions(corpus_folder, "train")
    known = QuestionSet.load(small_index, corpus_folder, "train", EnvironmentSettings())
    assert len(known) == len(questions)
    for item, question in zip(known.items, questions, strict=True):
        assert item.question == question
        labelled = {passage for passage, relevance in qrels[question.id].items() if relevance > 0}
        assert {small_index.store.passage(row).id for row in item.gold} == labelled


def test_worlds_are_made_once_with_the_vectors_of_their_questions(small_index: Index, corpus_folder: Path) -> None:
    known = QuestionSet.load(small_index, corpus_folder, "dev", EnvironmentSettings())
    for number, item in enumerate(known.items):
        world = known.world(number)
        assert known.world(number) is world
        assert world.gold == item.gold
        np.testing.assert_array_equal(world.view.vector, small_index.query(item.question.text).vector)


def test_no_questions_are_an_error(small_index: Index) -> None:
    with pytest.raises(QuestionsError, match="there is no question"):
        QuestionSet(small_index, [], {}, EnvironmentSettings())


def test_a_label_that_the_index_does_not_have_is_an_error(small_index: Index) -> None:
    question = Question("q1", "Who founded the harbour?")
    with pytest.raises(
        QuestionsError, match=r"'q1' is labelled with 'nowhere', and the index .* has no passage and no document"
    ):
        QuestionSet(small_index, [question], {"q1": {"nowhere": 1}}, EnvironmentSettings())


def test_labels_of_no_relevance_and_questions_without_labels_have_no_gold(small_index: Index) -> None:
    first = small_index.store.passage(3).id
    questions = [Question("q1", "one"), Question("q2", "two")]
    known = QuestionSet(small_index, questions, {"q1": {first: 0, "nowhere": 0}}, EnvironmentSettings())
    assert [item.gold for item in known.items] == [frozenset(), frozenset()]

"""The built-in reader answers questions that it was not trained on, says where it read the answer, and knows doubt."""

from __future__ import annotations

import numpy as np
import pytest
from trailhound.agent.reader._extractive import UNREAD, ExtractiveReader, standing_for
from trailhound.agent.reader._protocol import ReadingTask, exact_match
from trailhound.learning._reader import ReadingExample


def test_it_answers_unseen_questions_of_every_kind(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    right = []
    for example in unseen:
        answer = small_reader.answer(example.question, example.evidence)
        assert answer is not None
        right.append(exact_match(answer.text, example.answer))
    assert np.mean(right) >= 0.75


def test_an_answer_stands_where_it_says(small_reader: ExtractiveReader, unseen: list[ReadingExample]) -> None:
    example = next(e for e in unseen if e.question.startswith("When"))
    answer = small_reader.answer(example.question, example.evidence)
    assert answer is not None
    [read] = [p for p in example.evidence if p.id == answer.passage]
    assert read.text[answer.start : answer.end] == answer.text
    assert read.id == example.evidence[1].id, "the director's passage, not the film's"


def test_a_choice_is_written_as_the_question_writes_it(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    example = next(e for e in unseen if " or " in e.question)
    answer = small_reader.answer(example.question, example.evidence)
    assert answer is not None
    assert answer.text in {example.evidence[0].title, example.evidence[2].title}
    assert (answer.passage, answer.start, answer.end) == (None, 0, 0)


def test_evidence_makes_the_answer_likelier(small_reader: ExtractiveReader, unseen: list[ReadingExample]) -> None:
    """With all the evidence, then without what is decisive, then with none; a comparison is a coin's toss without."""
    full = [ReadingTask(e.question, e.answer, e.evidence) for e in unseen]
    none = [ReadingTask(e.question, e.answer, ()) for e in unseen]
    gains = small_reader.log_likelihoods(full) - small_reader.log_likelihoods(none)
    assert (gains > 0).mean() > 0.8
    compared = [task for task in none if " or " in task.question]
    assert np.exp(small_reader.log_likelihoods(compared)).mean() == pytest.approx(0.5, abs=0.25)
    spans = [task for task in none if " or " not in task.question]
    assert small_reader.log_likelihoods(spans) == pytest.approx(np.log(UNREAD))


def test_probabilities_of_all_candidates_sum_to_one(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    read = [small_reader.candidates(e.question, e.evidence) for e in unseen[:3]]
    for candidates, probabilities in zip(read, small_reader.probabilities(read), strict=True):
        assert len(probabilities) == len(candidates.answers) == len(candidates.features)
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_the_likelihood_is_the_sum_over_what_stands_for_the_answer(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    example = unseen[0]
    candidates = small_reader.candidates(example.question, example.evidence)
    [probabilities] = small_reader.probabilities([candidates])
    summed = probabilities[standing_for(example.answer, candidates)].sum()
    [told] = small_reader.log_likelihoods([ReadingTask(example.question, example.answer, example.evidence)])
    assert told == pytest.approx(np.log(UNREAD + (1 - UNREAD) * summed))


def test_an_answer_that_is_not_written_out_is_stood_for_by_its_nearest(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    director = unseen[0].evidence[1]
    candidates = small_reader.candidates("Who directed it?", [director])
    longer = director.title + " Junior"
    nearest = {candidates.surfaces[k] for k in np.flatnonzero(standing_for(longer, candidates))}
    assert nearest == {director.title}
    assert not standing_for("Somebody Else Entirely", candidates).any()


def test_nothing_to_read_is_no_answer(small_reader: ExtractiveReader) -> None:
    assert small_reader.answer("Who wrote it?", []) is None
    closed = small_reader.answer("Is Bergen larger than Ghent?", [])
    assert closed is not None
    assert closed.text in {"yes", "no"}

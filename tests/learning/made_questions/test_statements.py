"""Questions that a sentence answers, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from trailhound.learning.made_questions._statements import defined, definition, heading_tasks, shortened, stated, tasks
from trailhound.learning.made_questions._wording import bare, reworded, said_by_me, verb_of


def drawn(make: object, sentence: str) -> set[str]:
    return {question for seed in range(30) for question in make(sentence, np.random.default_rng(seed))}  # type: ignore[operator]


@pytest.mark.parametrize(
    ("word", "verb"),
    [("uses", "use"), ("using", "use"), ("stopped", "stop"), ("applies", "apply"), ("took", "take"), ("table", "")],
)
def test_forms_of_verbs(word: str, verb: str) -> None:
    assert verb_of(word) == verb


@pytest.mark.parametrize(
    ("heading", "task"),
    [
        ("Deleting an Account", ["delete an account"]),
        ("How to use the API", ["use the API"]),
        ("3. Measure latency", ["measure latency"]),
        ("Account types", []),
        ("Examples", []),
    ],
)
def test_what_a_heading_is_about_doing(heading: str, task: list[str]) -> None:
    assert heading_tasks(heading) == task


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("To delete your account, open the panel.", ["delete my account"]),
        ("Calculate sales tax given an address.", ["calculate sales tax given an address"]),
        ("Use slow mode to save power.", ["use slow mode to save power", "save power"]),
        ("Separate valuations are required for both.", []),
        ("See note 7 for details.", []),
        ("This allows us to examine old pumps.", ["examine old pumps"]),
        ("The panel is grey.", []),
    ],
)
def test_what_a_sentence_says_how_to_do(sentence: str, found: list[str]) -> None:
    assert tasks(sentence) == found


def test_definitions_are_asked_for_by_name_and_by_what_they_say() -> None:
    sentence = "A rotor is a part that turns inside the housing."
    assert defined(sentence) == ("rotor", "a part that turns inside the housing")
    questions = drawn(definition, sentence)
    assert "What is rotor?" in questions
    assert "Which part turns inside the housing?" in questions
    assert defined("Tumour grade The tumour grade is a sign that tells how it grows.")[0] == "tumour grade"
    assert defined("It is a part that turns.") == ("", "")
    assert "What does RAG stand for?" in drawn(definition, "We use retrieval augmented generation (RAG) here.")


def test_what_is_said_of_a_subject_is_asked_from_both_ends() -> None:
    questions = drawn(
        stated, "Low doses are recommended for older patients with weak hearts, because they sleep badly."
    )
    assert "What are recommended for older patients with weak hearts?" in questions
    assert any(
        question.endswith("are low doses recommended for older patients with weak hearts?") for question in questions
    )
    assert "What causes rust in old pipes?" in drawn(stated, "Standing water causes rust in old pipes.")
    assert drawn(stated, "It is recommended for older patients with weak hearts.") == set()


def test_a_clause_ends_where_the_next_begins() -> None:
    assert shortened("The pump stops, which is what we want.") == "The pump stops"
    assert shortened("one two three of the") == "one two three"


def test_other_words_are_other_words_for_the_same() -> None:
    text = "Remove the small film (if any)"
    said = {reworded(text.lower(), np.random.default_rng(seed), 1.0) for seed in range(20)}
    assert said == {"delete the little movie"}
    assert reworded("the film", np.random.default_rng(0), 0.0) == "the film"


def test_who_asks_says_i() -> None:
    assert said_by_me("show your files to you if you can") == "show my files to me if I can"


def test_marks_are_no_words() -> None:
    assert bare("Set `max_tokens` - e.g. 3.5 - (not more).") == ["Set", "max_tokens", "e.g", "3.5", "not", "more"]

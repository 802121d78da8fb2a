"""Words around a mention say what the mentioned is to the one that mentions."""

from __future__ import annotations

from collections import Counter

import pytest
from trailhound.learning.made_questions._corpus_profile import PassageProfile, Role, agent, roles_of
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.records import Passage

COUNTS = Counter({"director": 9, "producer": 5, "composer": 2, "recorder": 1})
ANN = ("Ann Lee", "Ann Lee (1901 – 1980) was a director. She and her sister lived in Rome.")
TOM = ("Tom Reed", "Tom Reed (1901 – 1980) was a baker. He lived with his cat.")
ROME = ("Rome", "Rome is a city in Italy.")


def roles(source: str, mentioned: tuple[str, str], title: str = "The Gate") -> list[Role]:
    """Return what ``mentioned`` is to a passage that names it."""
    name, text = mentioned
    start = source.index(name)
    read = [
        PassageProfile.of(row, Passage("p", "d", t, x, 0, len(x), sentence_spans(x)))
        for row, (t, x) in enumerate(((title, source), (name, text)))
    ]
    return roles_of(read[0], read[1], start, start + len(name), COUNTS)


@pytest.mark.parametrize(
    ("source", "mentioned", "nouns"),
    [
        ("The Gate is a film directed by Ann Lee.", ANN, {"director"}),
        ("The Gate is a film produced and directed by Ann Lee.", ANN, {"producer", "director"}),
        ("The Gate is a film directed by Tom Hill and Ann Lee.", ANN, {"director"}),
        ("The Gate is a film written by Ann Lee.", ANN, {"writer"}),
        ("The Gate is a film starring Jo Hill, Tom Reed and Ann Lee.", ANN, {"star"}),
        ("He was the second son of Tom Reed.", TOM, {"father", "parent"}),
        ("He was the second son of King Ann Lee.", ANN, {"mother", "parent"}),
        ("She was the wife of Tom Reed.", TOM, {"husband"}),
        ("She was the mother of Tom Reed.", TOM, {"son", "child"}),
        ("He was the elder brother of Ann Lee.", ANN, {"sister", "sibling"}),
        ("In 1920 he married Ann Lee.", ANN, {"wife", "spouse"}),
        ("He lived with his wife Ann Lee.", ANN, {"wife"}),
        ("His mother was Ann Lee.", ANN, {"mother"}),
        ("He was taught by the baker Tom Reed and others.", TOM, {"baker"}),
    ],
)
def test_relation_words(source: str, mentioned: tuple[str, str], nouns: set[str]) -> None:
    found = roles(source, mentioned)
    assert {role.noun for role in found} == nouns
    assert all("{a}" in role.phrase and role.noun in role.phrase for role in found)


def test_an_agent_is_named_only_as_the_corpus_names_it() -> None:
    assert agent("directed", COUNTS) == "director"
    assert agent("composed", COUNTS) == "composer"
    assert agent("recorded", COUNTS) == "", "the corpus says recorder but once"
    assert agent("spoken", COUNTS) == ""


@pytest.mark.parametrize("source", ["He was born in Rome and died there.", "Near {a} Rome he built a mill."])
def test_without_a_relation_word_the_sentence_says_it(source: str) -> None:
    found = roles(source, ROME, "Tom Reed")
    assert found
    for role in found:
        assert role.noun == ""
        assert role.phrase.startswith("the city ")
        assert role.phrase.count("{a}") == 1, "braces of the text are no slots"
        assert "Rome" not in role.phrase
    assert any("born in" in role.phrase or "mill" in role.phrase or "Near" in role.phrase for role in found)

"""A passage says what it is about; what it does not say is left open, and cannot be asked for."""

from __future__ import annotations

import pytest
from trailhound.learning.made_questions._corpus_profile import PassageProfile, all_facts, english
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.records import Passage

TEXT = (
    "Ann Lee (1901 – 1980) was a director from Rome. She directed 130 films between 1914 and 1934, and lived long. "
    "Lee won the Golden Gate. Nobody else directed as many films. She ran."
)


def profile(title: str, text: str) -> PassageProfile:
    return PassageProfile.of(0, Passage("p", "d", title, text, 0, len(text), sentence_spans(text)))


@pytest.mark.parametrize(
    ("text", "kind", "phrase"),
    [
        ("Iron Gate is a 1975 East German drama film directed by Ann Lee.", "film", "1975 East German drama film"),
        ("Iron Gate was an American indie rock band from Brooklyn, New York.", "band", "American indie rock band"),
        ("Iron Gate is one of the oldest gates in the town.", "gates", "oldest gates"),
        ("Iron Gate tells a story.", "", ""),
        ("Iron Gate is the Iron.", "", ""),
    ],
)
def test_the_kind_is_the_noun_of_the_first_is_a(text: str, kind: str, phrase: str) -> None:
    read = profile("Iron Gate (film)", text)
    assert (read.kind, read.phrase) == (kind, phrase)
    assert read.name == "Iron Gate"


def test_dates_of_life_make_a_person_and_pronouns_a_woman() -> None:
    king = profile("Otto I", "Otto I (1020 – 4 May 1071) was the son of Adela. He ruled with his brother.")
    assert (king.kind, king.is_person, king.is_woman) == ("person", True, False)
    singer = profile("Lena Marsk", "Lena Marsk (born 4 May 1971) is a Danish singer. She lives with her father.")
    assert (singer.kind, singer.is_person, singer.is_woman) == ("singer", True, True)
    film = profile("The Gate", "The Gate is a 1971 film. His and her story is told.")
    assert not film.is_person


def test_a_title_that_is_a_sentence_is_no_name() -> None:
    assert profile("The Gate", "It stands.").has_name
    assert not profile("", "It stands.").has_name
    assert not profile("Of " + "many " * 10 + "words", "It stands.").has_name


def test_the_sentence_that_holds_a_position() -> None:
    read = profile("The Gate", "It stands. It falls.")
    begin, end = read.sentence_at(read.text.index("falls"))
    assert read.text[begin:end].strip() == "It falls."
    assert read.sentence_at(999) == (0, len(read.text))


def test_a_passage_answers_what_it_says() -> None:
    person = profile("Some Title", "Ann Lee (born 4 May 1901 in Rome) is a painter. She married Tom Reed.")
    assert {fact.name for fact in person.facts()} == {"birth", "birthplace", "spouse"}
    town = profile("Some Title", "Oldport is a town in Spain with a population of 1,402, founded in 1402.")
    assert {"people", "founding"} <= {fact.name for fact in town.facts()}
    assert not {"birth", "death", "spouse"} & {fact.name for fact in town.facts()}


def test_every_question_asks_about_what_it_is_given() -> None:
    for fact in all_facts():
        assert fact.asks
        assert all("{x}" in ask for ask in fact.asks)
        assert all("{x}" in ask and "{y}" in ask for ask in (*fact.compares, *fact.leads))
        assert all("{role" in ask for ask in fact.leads)


def test_relatives_of_relatives() -> None:
    father = profile("Some Title", "Otto (1020 – 1071) was the only son of Hugo. He married Adela.")
    assert set(father.kinship("father")) == {"paternal grandfather", "stepmother"}
    assert father.kinship("director") == []


def test_predicates_are_what_the_sentences_say_of_the_subject() -> None:
    read = profile("Ann Lee", TEXT)
    stated = ["was a director from Rome", "directed 130 films between 1914 and 1934", "won the Golden Gate"]
    assert read.predicates() == stated
    inside = TEXT.index("130")
    assert read.predicates(inside) == [stated[0], stated[2]]


def test_the_tables_fit_together() -> None:
    """A kinship without its cue, or a question without a place for its subject, would be found only when drawn."""
    tables = english()
    assert set(tables) == {"vague_kinds", "agents", "inverse", "kinships", "kin_cues", "facts"}
    assert {relative for called in tables["kinships"].values() for relative in called} <= set(tables["kin_cues"])
    assert {len(words) for words in tables["inverse"].values()} == {1, 3}
    assert {fact.of for fact in all_facts()} == {"person", "thing", "any"}
    assert len({fact.name for fact in all_facts()}) == len(all_facts())

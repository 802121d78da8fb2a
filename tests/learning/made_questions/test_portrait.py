"""A passage says what it is about; what it does not say is left open."""

from __future__ import annotations

import pytest
from trailhound.learning.made_questions.portrait import Portrait, read_portrait
from trailhound.retrievers.compiling.chunking import sentence_spans
from trailhound.retrievers.records import Passage


def portrait(title: str, text: str) -> Portrait:
    return read_portrait(0, Passage("p", "d", title, text, 0, len(text), sentence_spans(text)))


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
    read = portrait("Iron Gate (film)", text)
    assert (read.kind, read.phrase) == (kind, phrase)
    assert read.name == "Iron Gate"


def test_dates_of_life_make_a_person_and_pronouns_a_woman() -> None:
    king = portrait("Otto I", "Otto I (1020 – 4 May 1071) was the son of Adela. He ruled with his brother.")
    assert (king.kind, king.is_person, king.is_woman) == ("person", True, False)
    singer = portrait("Lena Marsk", "Lena Marsk (born 4 May 1971) is a Danish singer. She lives with her father.")
    assert (singer.kind, singer.is_person, singer.is_woman) == ("singer", True, True)
    film = portrait("The Gate", "The Gate is a 1971 film. His and her story is told.")
    assert not film.is_person


def test_a_title_that_is_a_sentence_is_no_name() -> None:
    assert portrait("The Gate", "It stands.").has_name
    assert not portrait("", "It stands.").has_name
    assert not portrait("Of " + "many " * 10 + "words", "It stands.").has_name


def test_the_sentence_that_holds_a_position() -> None:
    read = portrait("The Gate", "It stands. It falls.")
    begin, end = read.sentence_at(read.text.index("falls"))
    assert read.text[begin:end].strip() == "It falls."
    assert read.sentence_at(999) == (0, len(read.text))

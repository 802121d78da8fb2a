"""Only what a passage says can be asked for."""

from __future__ import annotations

from trailhound.learning.made_questions.facts import FACTS, facts_of, kinship
from trailhound.learning.made_questions.portrait import Portrait, read_portrait
from trailhound.retrievers.compiling.chunking import sentence_spans
from trailhound.retrievers.records import Passage


def portrait(text: str) -> Portrait:
    return read_portrait(0, Passage("p", "d", "Some Title", text, 0, len(text), sentence_spans(text)))


def test_a_passage_answers_what_it_says() -> None:
    person = portrait("Ann Lee (born 4 May 1901 in Rome) is a painter. She married Tom Reed.")
    assert {fact.name for fact in facts_of(person)} == {"birth", "birthplace", "nationality", "spouse"} - {
        "nationality"
    }
    town = portrait("Oldport is a town in Spain with a population of 1,402, founded in 1402.")
    assert {"people", "founding"} <= {fact.name for fact in facts_of(town)}
    assert not {"birth", "death", "spouse"} & {fact.name for fact in facts_of(town)}


def test_every_question_asks_about_what_it_is_given() -> None:
    for fact in FACTS:
        assert fact.asks
        assert all("{x}" in ask for ask in fact.asks)
        assert all("{x}" in ask and "{y}" in ask for ask in (*fact.compares, *fact.leads))
        assert all("{role" in ask for ask in fact.leads)


def test_relatives_of_relatives() -> None:
    father = portrait("Otto (1020 – 1071) was the only son of Hugo. He married Adela.")
    assert set(kinship("father", father)) == {"paternal grandfather", "stepmother"}
    assert kinship("director", father) == []

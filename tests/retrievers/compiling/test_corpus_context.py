"""Who in a corpus speaks of what a passage is about."""

from __future__ import annotations

import gc
import time

from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._context import MOST_MENTIONS, MOST_NAMES, Mentions
from trailhound.retrievers.compiling._markdown import sections
from trailhound.retrievers.records import Document


def names(documents: list[Document], words: int = 120) -> list[list[list[str]]]:
    chunked = [(document, chunk(document, words)) for document in documents]
    mentions = Mentions(chunked, [sections(*pair) for pair in chunked])
    return [
        [mentions.names(number, place) for place in range(len(passages))]
        for number, (_, passages) in enumerate(chunked)
    ]


def test_titles_of_passages_that_come_as_they_are() -> None:
    corpus = [
        Document("1", "Silver Gate", "A film by Ada Brun.", atomic=True),
        Document("2", "Ada Brun", "Ada Brun is a director.", atomic=True),
        Document("3", "Torl Prize", "It went to Ada Brun for Silver Gate.", atomic=True),
        Document("4", "", "Untitled words on Ada Brun.", atomic=True),
    ]
    assert names(corpus) == [[["Torl Prize"]], [["Silver Gate", "Torl Prize"]], [[]], [[]]]


def test_sections_are_subjects_and_speak() -> None:
    film = Document("f", "Films", "## Silver Gate\n\nBy Ada Brun. It won.\n\n## Iron Door\n\nLike Silver Gate was.")
    people = Document("p", "People", "## Ada Brun\n\nShe came from Torl.\n\nShe died there, much later on.")
    assert names([film, people], 8) == [
        [["Films > Iron Door"], []],
        [["Films > Silver Gate"], ["Films > Silver Gate"]],
    ]


def test_what_a_document_says_of_itself_is_no_news() -> None:
    own = Document("a", "Ada Brun", "# Ada Brun\n\nAda Brun was born.\n\n## Career\n\nAda Brun made films.")
    other = Document("b", "Torl", "# Torl\n\n## Career\n\nTorl knew Ada Brun.\n\n## Sights\n\nNone.")
    third = Document("c", "Lena Marsk", "# Lena Marsk\n\nWords.\n\n## Career\n\nLena Marsk painted.")
    # "Career" is in three documents: a kind of section, which names nobody and is named by nobody.
    assert names([own, other, third], 8)[0] == [["Torl"], ["Torl"]]


def test_few_names_and_none_of_what_everyone_speaks_of() -> None:
    speakers = [Document(f"s{n}", f"Speaker Nr{n}", "Ada Brun and all.", atomic=True) for n in range(MOST_MENTIONS)]
    subject = Document("x", "Ada Brun", "She is.", atomic=True)
    assert names([*speakers, subject])[-1] == [[f"Speaker Nr{n}" for n in range(MOST_NAMES)]]
    one_more = Document("y", "One More", "Also of Ada Brun.", atomic=True)
    assert names([*speakers, one_more, subject])[-1] == [[]]


def test_sections_may_be_counted_elsewhere() -> None:
    documents = [
        Document("a", "Ada Brun", "She is.", atomic=True),
        Document("b", "Silver Gate", "It is by Ada Brun.", atomic=True),
    ]
    chunked = [(document, chunk(document)) for document in documents]
    located = [sections(document, passages) for document, passages in chunked]
    assert Mentions(chunked, located).names(0, 0) == ["Silver Gate"]
    assert Mentions(chunked, located, lambda title: 1).names(0, 0) == ["Silver Gate"]
    assert Mentions(chunked, located, lambda title: 3 if title == "Silver Gate" else 1).names(0, 0) == []
    assert Mentions(chunked, located, lambda title: 3 if title == "Ada Brun" else 1).names(0, 0) == []


def test_time_is_linear_in_the_corpus() -> None:
    def seconds(count: int) -> float:
        documents = [
            Document(str(n), f"Person Nr{n}", f"Knows Person Nr{n // 2} and Person Nr0.", atomic=True)
            for n in range(count)
        ]
        started = time.process_time()
        names(documents)
        return time.process_time() - started

    seconds(100)  # the pattern of words is made once
    gc.disable()  # it looks at all that other tests have left
    try:
        assert min(seconds(4000) for _ in range(3)) < 24 * min(seconds(500) for _ in range(3)) + 0.1
    finally:
        gc.enable()

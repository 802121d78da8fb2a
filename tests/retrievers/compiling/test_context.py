"""The line before a passage says what the passage does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from trailhound.errors import CorpusError
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._context import context_lines, in_context, name_of
from trailhound.retrievers.records import Document, Passage

ADA = Document(
    "a",
    "Ada Brun",
    "# Ada Brun\n\nShe was born in Torl.\n\n## Films\n\nThe first was silent and short.\n\nThe second had Lena Marsk.",
)
LENA = Document("l", "Lena Marsk", "Lena Marsk is a painter.", atomic=True)
CHUNKED = [(ADA, chunk(ADA, 8)), (LENA, chunk(LENA))]
TEXTS = [passage.text for _, passages in CHUNKED for passage in passages]


def test_the_corpus_under_test_is_cut_as_it_looks() -> None:
    assert TEXTS == [
        "# Ada Brun\n\nShe was born in Torl.",
        "## Films\n\nThe first was silent and short.",
        "The second had Lena Marsk.",
        "Lena Marsk is a painter.",
    ]


def test_none_says_nothing() -> None:
    assert context_lines(CHUNKED, "none") == ["", "", "", ""]


def test_the_line_has_the_path_of_headings_that_the_passage_lacks() -> None:
    deep = Document("d", "T", "# A\n\n## B\n\n### C\n\none two three.\n\nfour five six.")
    assert context_lines([(deep, chunk(deep, 6))], "corpus")[-1] == "A > B > C"


def test_corpus_says_who_speaks_of_the_subject() -> None:
    assert context_lines(CHUNKED, "corpus") == ["", "", "Films", "Ada Brun > Films"]
    film = Document("f", "Silver Gate", "A film by Ada Brun.", atomic=True)
    assert context_lines([*CHUNKED, (film, chunk(film))], "corpus")[:3] == [
        "Silver Gate",
        "Silver Gate",
        "Films. Silver Gate",
    ]


def test_corpus_names_the_subject_of_a_chunk_full_of_pronouns() -> None:
    notes = Document(
        "notes.txt",
        "notes",
        "Ottilie Marsk built harbours. Ottilie was from Torl. Marsk drew the plans of every harbour.\n\n"
        "She went to sea later, and there she stayed for years with her brother.",
    )
    other = Document("o", "other", "Plans are drawn for years. Torl has a harbour.", atomic=True)
    chunked = [(notes, chunk(notes, 16)), (other, chunk(other))]
    assert [len(passages) for _, passages in chunked] == [2, 1]
    first, second, third = context_lines(chunked, "corpus")
    assert (first, third) == ("", "")
    assert set(second.split()) == {"Ottilie", "Marsk", "harbours"}


class TestFunction:
    def test_it_sees_document_passage_and_all_passages(self) -> None:
        def place(document: Document, passage: Passage, passages: Sequence[Passage]) -> str:
            return f" {document.title}\n{passages.index(passage) + 1} of {len(passages)} "

        assert context_lines(CHUNKED, place) == [
            "Ada Brun 1 of 3",
            "Ada Brun 2 of 3",
            "Ada Brun 3 of 3",
            "Lena Marsk 1 of 1",
        ]
        assert name_of(place) == f"{__name__}.{place.__qualname__}"
        assert name_of(context_lines) == "trailhound.retrievers.compiling._context.context_lines"
        assert name_of("corpus") == "corpus"

    def test_what_it_gives_must_be_a_string(self) -> None:
        with pytest.raises(CorpusError, match="gave None for the passage 'a#0'"):
            context_lines(CHUNKED, lambda document, passage, passages: None)  # type: ignore[arg-type, return-value]


def test_a_line_comes_before_the_text_and_none_changes_nothing() -> None:
    assert in_context("Films", "It was.") == "Films\nIt was."
    assert in_context("", "It was.") == "It was."

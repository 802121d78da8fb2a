"""The lines of added documents are those that a walk over the whole corpus would give them."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Document, Index, IndexSettings
from trailhound.demo.encyclopedia import Encyclopedia
from trailhound.retrievers.changing import live_context
from trailhound.retrievers.changing.live_context import CorpusKnowledge, line_words, lines_of_additions
from trailhound.retrievers.changing.live_lexical import LiveLexical
from trailhound.retrievers.changing.live_store import LiveStore
from trailhound.retrievers.changing.live_terms import LiveTerms
from trailhound.retrievers.compiling.chunking import chunk
from trailhound.retrievers.compiling.context import Chunked, context_lines
from trailhound.retrievers.protocols import Encoder

WORDS = 30


def chunked(document: Document) -> Chunked:
    return document, chunk(document, WORDS)


def articles(encyclopedia: Encyclopedia) -> list[Document]:
    """Return documents of five sections each, and some of one text without a heading."""
    parts = encyclopedia.documents
    made = []
    for first in range(0, len(parts), 6):
        some = parts[first : first + 5]
        text = "\n\n".join(f"## {part.title}\n\n{part.text}" for part in some)
        made.append(Document(f"long {first}", some[0].title, text))
        made += [Document(part.id, part.title, part.text) for part in parts[first + 5 : first + 6]]
    return made


def knowledge(
    folder: Path, documents: list[Document], encoder: Encoder, without: tuple[str, ...] = ()
) -> CorpusKnowledge:
    """Return what an index knows, half of which was added."""
    half = len(documents) // 2
    index = Index.build(documents[:half], folder / "x", settings=IndexSettings(chunk_words=WORDS), encoder=encoder)
    index.add(documents[half:])
    assert isinstance(index.store, LiveStore)
    assert isinstance(index.lexical, LiveLexical)
    assert isinstance(index.terms, LiveTerms)
    return CorpusKnowledge(index.store, index.lexical, index.terms, without)


def test_they_are_those_of_a_build(tmp_path: Path, encyclopedia: Encyclopedia, hashing_encoder: Encoder) -> None:
    documents = articles(encyclopedia)
    old, new = documents[:-8], documents[-8:]
    every = [chunked(document) for document in documents]
    expected = context_lines(every, "corpus")[-sum(len(passages) for _, passages in every[-8:]) :]
    lines = knowledge(tmp_path, old, hashing_encoder).lines(every[-8:])
    assert sum(bool(line) for line in expected) > 30
    assert sum("," in line for line in expected) > 10, "names, not only headings"
    assert lines == expected
    assert len(new) == 8


def test_what_is_removed_says_nothing(tmp_path: Path, hashing_encoder: Encoder) -> None:
    told = [
        Document("g", "Silver Gate", "Silver Gate is by Ada Brun."),
        Document("h", "Golden Gate", "Golden Gate is by Ada Brun."),
        Document("x", "Else", "Nothing of it."),
    ]
    new = chunked(Document("a", "Ada Brun", "She was born in Torl."))
    every = context_lines([*map(chunked, told), new], "corpus")
    assert every[-1] == "Silver Gate, Golden Gate"
    assert knowledge(tmp_path, told, hashing_encoder).lines([new]) == [every[-1]]
    assert knowledge(tmp_path, told, hashing_encoder, ("g",)).lines([new]) == ["Golden Gate"]
    assert knowledge(tmp_path, told, hashing_encoder, ("g", "h")).lines([new]) == [""]


def test_a_title_that_is_everywhere_is_no_subject(
    tmp_path: Path, hashing_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [Document(f"g{k}", f"Gate {k} Torl", "This gate is by Ada Brun.") for k in range(4)]
    new = chunked(Document("a", "Ada Brun", "She was born in Torl."))
    known = knowledge(tmp_path, told, hashing_encoder)
    assert known.lines([new]) == ["Gate 0 Torl, Gate 1 Torl, Gate 2 Torl"]
    monkeypatch.setattr(live_context, "MOST_READ", 3)
    assert known.lines([new]) == [""]


def test_other_contexts_ask_the_document_alone(tmp_path: Path, hashing_encoder: Encoder) -> None:
    known = knowledge(tmp_path, [Document("x", "Else", "x"), Document("y", "Y", "y")], hashing_encoder)
    new = chunked(Document("a", "Ada Brun", "# Ada Brun\n\nShe lived.\n\n## Films\n\n" + "A silent one. " * 20))
    assert lines_of_additions([new], "none", known) == ()
    for context in ("title", "neighbours"):
        assert lines_of_additions([new], context, known) == tuple(context_lines([new], context))  # type: ignore[arg-type]
    assert lines_of_additions([new], lambda *some: "so", known) == ("so",) * len(new[1])
    assert lines_of_additions([new], "corpus", known)[-1] == "Films"


def test_what_a_line_of_the_base_certainly_says() -> None:
    one = chunked(Document("a", "Ada Brun", "# Ada Brun\n\nShe lived.\n\n## Films\n\n" + "A silent one. " * 20))
    assert line_words(one, "function") == [""] * len(one[1])
    assert line_words(one, "corpus") == line_words(one, "title") == context_lines([one], "title")
    assert line_words(one, "neighbours") == context_lines([one], "neighbours")

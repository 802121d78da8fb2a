"""The compiler puts the stages in order and says what each did, never what it found."""

from __future__ import annotations

import json
from collections.abc import Sequence

from trailhound.retrievers.compiling._compiler import CorpusCompiler, StageRecord, window_of
from trailhound.retrievers.compiling._masking import MASK, Masker
from trailhound.retrievers.compiling._window import Window
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Document, Vectors

CORPUS = [
    Document("a@b.example", "Ada", "# Ada\n\nWrite to a@b.example. Or call 212-555-0142.\n\n## Life\n\nOne. Two.", "f"),
    Document("c@d.example", "Lena", "Lena knows Ada and c@d.example.", "g", atomic=True),
    Document("plain", "", "Nothing private.", "h", atomic=True),
]
DONE = StageRecord("index", {"dense": "exact"}, {"passages": 4})


def stages(compiler: CorpusCompiler) -> dict[str, tuple[dict[str, object], dict[str, int]]]:
    records = compiler.records(DONE)
    assert json.loads(json.dumps(records)) == records
    return {record["stage"]: (record["settings"], record["counts"]) for record in records}


def test_every_stage_has_a_record_of_what_it_did() -> None:
    warnings: list[str] = []
    masker = Masker(["email", "phone", "card"], {"private": "(?i)private"})
    compiler = CorpusCompiler(masker, tokens=7, context="corpus", warn=warnings.append)
    compiled = list(compiler.compile(CORPUS))
    lines = compiler.lines()
    assert [passage for _, passages in compiled for passage in passages] == compiler.passages
    assert lines == ["", "", "", ""] or len(lines) == len(compiler.passages)
    records = stages(compiler)
    assert list(records) == ["normalise", "mask", "chunk", "contextualise", "index"]
    characters = sum(len(document.title) + len(document.text) for document in CORPUS)
    assert records["normalise"] == ({"form": "NFC"}, {"documents": 3, "characters": characters})
    assert records["mask"] == (
        {"kinds": ["email", "phone", "card"], "patterns": ["private"]},
        {"email": 4, "phone": 1, "card": 0, "private": 1, "documents": 3, "document ids": 2},
    )
    assert records["chunk"] == (
        {"tokens": 7, "window": None},
        {"passages": len(compiler.passages), "atomic documents": 2, "cut atomic documents": 0},
    )
    assert records["contextualise"] == (
        {"context": "corpus"},
        {"passages": sum(map(bool, lines)), "words": sum(len(line.split()) for line in lines)},
    )
    assert len(warnings) == 1
    assert "2 document ids" in warnings[0]
    assert "example" not in json.dumps(compiler.records(DONE)) + warnings[0]


def test_passages_are_slices_of_the_masked_document_at_the_old_offsets() -> None:
    compiler = CorpusCompiler(Masker(["all"]), tokens=7)
    for (document, passages), original in zip(compiler.compile(CORPUS), CORPUS, strict=True):
        assert len(document.text) == len(original.text)
        for passage in passages:
            assert passage.text == document.text[passage.start : passage.end]
            assert passage.document_id == document.id
    assert [passage.id for passage in compiler.passages][-2:] == [f"{MASK * 11}~2", "plain"]


def test_nothing_is_masked_unless_it_was_asked_for() -> None:
    compiler = CorpusCompiler(Masker())
    assert [document for document, _ in compiler.compile(CORPUS)] == CORPUS
    assert compiler.lines() == [""] * len(compiler.passages)
    records = stages(compiler)
    assert records["mask"] == ({"kinds": [], "patterns": []}, {"documents": 0, "document ids": 0})
    assert records["contextualise"] == ({"context": "none"}, {"passages": 0, "words": 0})


class Counting:
    """An encoder whose tokens are characters."""

    name = "counting"
    dimension = 1
    max_tokens = 12

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        raise NotImplementedError

    def count_tokens(self, text: str) -> int:
        return len(text)


def test_the_budget_is_recorded_and_atomic_documents_that_are_cut_are_told() -> None:
    warnings: list[str] = []
    compiler = CorpusCompiler(Masker(), 5, Window(Counting()), warn=warnings.append)
    list(compiler.compile([Document("d", "", "abcdefg hij"), Document("e", "", "Four. Five. Six.", atomic=True)]))
    assert [passage.id for passage in compiler.passages] == ["d#0", "d#1", "d#2", "e#0", "e#1"]
    assert stages(compiler)["chunk"] == (
        {"tokens": 5, "window": 10},
        {"passages": 5, "atomic documents": 1, "cut atomic documents": 1},
    )
    assert len(warnings) == 1
    assert warnings[0].startswith(
        "passages of the corpus that are longer than the 10 tokens that the encoder reads: 1;"
    )


def test_what_an_encoder_does_not_read_is_told() -> None:
    warnings: list[str] = []
    assert window_of(Counting(), 10, warnings.append).limit == 10
    assert warnings == []
    window_of(Counting(), 11, warnings.append)
    assert warnings == ["counting reads 10 tokens: no passage is longer, though 11 were asked for"]

    class Mute:
        name, dimension, encode = "mute", 1, Counting.encode

    assert window_of(Mute(), 11, warnings.append).limit is None
    assert "mute has no count_tokens and max_tokens: passages are cut by words" in warnings[1]

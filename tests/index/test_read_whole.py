"""Every passage of an index is read whole by its encoder, and documents are cut alike however they come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.retrievers.records import Document, Passage, Query

ROWS = "\n".join(f"| Town{number} | {number * 7} metres |" for number in range(30))
LONG = " ".join(f"The harbour of place{number} opened in year{number}." for number in range(20))
CORPUS = [
    Document("short", "Ferry", "The ferry leaves at nine.", atomic=True),
    Document("long", "Harbours", LONG, atomic=True),
    Document("table.md", "Heights", f"# Heights\n\nOf towns.\n\n| City | Height |\n|---|---|\n{ROWS}\n"),
    Document(
        "a.log", "", "\n".join(f"2024-03-{day:02d} ERROR lost connection" for day in range(1, 29)), markup="plain"
    ),
]
MOST = 20


@pytest.fixture
def encoder(word_encoder: Any) -> Any:
    """The stand-in encoder, reading twenty words of a text."""
    word_encoder.max_tokens = MOST + 2
    return word_encoder


def passages_of(index: Index) -> dict[str, Passage]:
    return {passage.id: passage for passage in index.store}


@pytest.mark.parametrize("settings", [{}, {"context": "corpus"}, {"dimension": 8}, {"drop_duplicates": True}])
def test_nothing_is_embedded_that_the_encoder_does_not_read(
    encoder: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    warnings: list[str] = []
    index = Index.build(
        CORPUS, tmp_path / "x", encoder=encoder, settings=IndexSettings(**settings), warn=warnings.append
    )
    assert 30 < len(index) < 60
    assert max(encoder.count_tokens(text) for text in encoder.asked) <= MOST
    assert all(any(text.endswith(passage.text) for text in encoder.asked) for passage in index.store)
    assert any("longer than the 20 tokens that the encoder reads: 1;" in warning for warning in warnings)
    assert any("no passage is longer, though 208 were asked for" in warning for warning in warnings)


def test_documents_are_cut_alike_however_they_come_in(encoder: Any, tmp_path: Path) -> None:
    whole = passages_of(Index.build(CORPUS, tmp_path / "whole", encoder=encoder))
    index = Index.build(CORPUS[:1], tmp_path / "x", encoder=encoder)
    index.add(CORPUS[1:])
    assert passages_of(index) == whole
    index.add([CORPUS[1]], replace=True)
    assert passages_of(index) == whole
    asked = len(encoder.asked)
    assert index.compact()
    assert passages_of(index) == whole
    assert len(encoder.asked) == asked  # every vector was there already
    assert {passage for passage in whole if passage.startswith("long")} == {f"long#{n}" for n in range(10)}


def test_rows_are_found_by_the_header_of_their_table(encoder: Any, tmp_path: Path) -> None:
    index = Index.build(CORPUS, tmp_path / "x", encoder=encoder)
    index.add([Document("b.md", "Depths", f"| Lake | Depth |\n|---|---|\n{ROWS}\n")])
    for query, document in (("height of Town29", "table.md"), ("depth of Town29", "b.md")):
        best = index.store.passage(int(index.lexical.search(Query(query), 1).rows[0]))
        assert (best.document_id, "Town29" in best.text) == (document, True)

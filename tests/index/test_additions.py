"""What is added to an index is made as its base was, whatever kind it is of; compacted, it is the index built anew."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Index, IndexSettings, Passage
from trailhound.errors import MaskingError, UpdateError
from trailhound.index import _writing as writing
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Query
from trailhound.retrievers.vectors._encoder import embedding_text

NOTES = [
    Document("a", "Harbour", "# Harbour\n\nThe harbour of Ostrava has no water.\n\n## Cranes\n\nThere are four."),
    Document("b", "Mill", "A mill by a river, which Jana Novak bought from the harbour."),
    Document("c", "Quay", "Ships of the old company lay at the quay in winter, and their crews in the inn."),
]
NOVAK = Document(
    "n",
    "Jana Novak",
    "# Jana Novak\n\nShe was a miller's daughter.\n\n## Years in Ostrava\n\nShe sold bread to the crews of the cranes.",
)
SHIP = Document("s", "Ship", "The ship lay at the quay. It was Jana Novak who named it.")
CHUNKED: dict[str, Any] = {"chunk_tokens": 8}
KINDS = {
    "corpus": IndexSettings(context="corpus", **CHUNKED),
    "no word pieces": IndexSettings(late_interaction=False, **CHUNKED),
    "tokens": IndexSettings(chunk_tokens=8),
    "compressed": IndexSettings(dense="sq8"),
    "masked": IndexSettings(mask=("email",), context="corpus"),
}


def found(index: Index, text: str) -> dict[str, list[str]]:
    query = index.query(text)
    hits = {name: part.search(query, 4).rows.tolist() for name, part in index.sub_indexes.items()}
    return {name: [passage.id for passage in index.store.passages(rows)] for name, rows in hits.items()}


Files = Callable[[Index], dict[str, Any]]


def assert_equal(index: Index, anew: Index, files_of: Files) -> None:
    """Compare two indexes, file by file; tantivy gives its files a random name, so that is asked."""
    assert files_of(index) == files_of(anew)
    for text in ("harbour of Ostrava", "cranes", "Jana Novak", "the quay in winter", "years"):
        hits, expected = (some.lexical.search(Query(text), 9) for some in (index, anew))
        assert hits.rows.tolist() == expected.rows.tolist()
        assert hits.scores.tolist() == expected.scores.tolist()


def changed(index: Index, **more: Any) -> None:
    """Let documents come, one take another's place, and one go."""
    index.add([NOVAK], **more)
    index.add([SHIP, Document("b", "Mill", "The mill burned down. Write to jana@novak.example.")], replace=True, **more)
    index.delete(["c"])


@pytest.mark.parametrize("kind", KINDS)
def test_compacted_it_is_the_index_that_is_built_from_all_documents(
    kind: str, tmp_path: Path, word_encoder: Encoder, files_of: Files
) -> None:
    index = Index.build(NOTES, tmp_path / "x", settings=KINDS[kind], encoder=word_encoder)
    changed(index)
    opened = Index.open(tmp_path / "x", encoder=word_encoder)
    for text in ("Jana Novak", "years in Ostrava", "quay", "cranes bread"):
        assert found(opened, text) == found(index, text)
    assert index.compact()
    documents = [index.store.document(identifier) for identifier in index.store.document_ids()]
    assert [document.id for document in documents] == ["a", "n", "s", "b"]
    assert_equal(index, Index.build(documents, tmp_path / "y", settings=KINDS[kind], encoder=word_encoder), files_of)
    index.add([NOTES[2]])
    assert found(index, "quay in winter")["lexical"][0].startswith("c#")


@pytest.mark.parametrize("dense", ["exact", "sq8"])
def test_word_pieces_of_additions_are_scored_as_those_of_an_index_built_anew(
    dense: Any, tmp_path: Path, word_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MERGED_AT_ONCE", 3)
    notes = [Document(f"{k}", f"Note {k}", f"gate {k} of town {k * 7 % 40} and river {k % 11}") for k in range(40)]
    index = Index.build(notes[:30], tmp_path / "x", settings=IndexSettings(dense=dense), encoder=word_encoder)
    word_encoder.asked.clear()
    for note in notes[30:]:
        index.add([note])
    assert len(word_encoder.asked) == 10, "one pass gives vector and word pieces, and merging needs none"
    index.delete(["3", "33"])
    assert 1 < len(index.parts.segments) < 11
    anew = Index.build([note for note in notes if note.id not in ("3", "33")], tmp_path / "y", encoder=word_encoder)
    for some in (index, Index.open(tmp_path / "x", encoder=word_encoder)):
        for text in ("gate 12 of a town", "the river", notes[38].text):
            asked = some.query(text).pieces
            assert some.pieces is not None
            assert anew.pieces is not None
            assert asked is not None
            rows, expected = some.store.rows(), anew.store.rows()
            assert [p.id for p in some.store.passages(rows.tolist())] == [p.id for p in anew.store]
            found = some.pieces.score(asked, rows[::-1])[::-1]
            np.testing.assert_allclose(found, anew.pieces.score(asked, expected), atol=1e-6)


@pytest.mark.parametrize(("context", "question"), [("corpus", "mill")], ids=lambda text: text)
def test_an_added_passage_is_found_by_what_stands_before_it(
    context: Any, question: str, tmp_path: Path, word_encoder: Encoder
) -> None:
    """The heading, the passage before, and who speaks of its subject; none of these words is its own."""
    index = Index.build(
        NOTES, tmp_path / "x", settings=IndexSettings(context=context, chunk_tokens=8), encoder=word_encoder
    )
    index.add([NOVAK])
    passages = {p.id: p.text for p in index.store.passages(index.store.rows_of("n"))}
    having = {identifier for identifier in found(index, question)["lexical"] if identifier in passages}
    assert any(question not in passages[identifier].lower() for identifier in having)
    plain = Index.build(NOTES, tmp_path / "y", settings=IndexSettings(chunk_tokens=8), encoder=word_encoder)
    plain.add([NOVAK])
    assert all(question in passages[p].lower() for p in found(plain, question)["lexical"] if p in passages)


def test_links_are_of_what_passages_say_not_of_their_context(tmp_path: Path, word_encoder: Encoder) -> None:
    graphs = {}
    for context in ("none", "corpus"):
        settings = IndexSettings(context=context, chunk_tokens=8)  # type: ignore[arg-type]
        index = Index.build(NOTES, tmp_path / context, settings=settings, encoder=word_encoder)
        index.add([NOVAK, SHIP])
        edges = index.graph.edges
        columns = (edges.source, edges.target, edges.relation, edges.start, edges.end)
        graphs[context] = sorted(zip(*(column.tolist() for column in columns), strict=True))
    assert graphs["corpus"] == graphs["none"] != []


class TestContextByAFunction:
    @staticmethod
    def numbered(document: Document, passage: Passage, passages: Sequence[Passage]) -> str:
        return f"part {['zero', 'one', 'two', 'three', 'four'][list(passages).index(passage)]} of it"

    def test_it_has_to_be_given_again(self, tmp_path: Path, word_encoder: Encoder, files_of: Files) -> None:
        index = Index.build(NOTES, tmp_path / "x", context=self.numbered, encoder=word_encoder)
        with pytest.raises(
            UpdateError, match=r"function of your own, which it does not keep.*Index.change\(..., context"
        ):
            index.add([NOVAK])
        assert not index.changed
        index.add([NOVAK], context=self.numbered)
        assert "n#0" in found(index, "part zero")["lexical"]
        index.delete(["b"])
        with pytest.raises(UpdateError, match=r"Index.compact\(..., context=function\)"):
            index.compact()
        assert index.compact(context=self.numbered)
        documents = [NOTES[0], NOTES[2], NOVAK]
        anew = Index.build(documents, tmp_path / "y", context=self.numbered, encoder=word_encoder)
        assert_equal(index, anew, files_of)

    def test_an_index_without_one_takes_none(self, tmp_path: Path, word_encoder: Encoder) -> None:
        index = Index.build(NOTES, tmp_path / "x", settings=IndexSettings(context="corpus"), encoder=word_encoder)
        with pytest.raises(UpdateError, match="built with the context 'corpus', not by a function: leave context out"):
            index.add([NOVAK], context=self.numbered)


@pytest.mark.parametrize("dense", ["exact", "sq8"])
def test_additions_are_made_shorter_by_the_map_of_the_base(
    dense: Any, tmp_path: Path, word_encoder: Any, files_of: Files
) -> None:
    """Compaction keeps the map, and with it the encoder's name: policies that were trained for the index still fit."""
    notes = [*NOTES, *(Document(f"x{k}", f"Note {k}", f"gate {k} of town {k % 7}") for k in range(20))]
    settings = IndexSettings(dimension=6, dense=dense, chunk_tokens=12)
    index = Index.build(notes, tmp_path / "x", settings=settings, encoder=word_encoder)
    other = Index.open(tmp_path / "x", encoder=word_encoder)
    name = index.encoder_name
    changed(index)
    shortened = index.encoder.encode([embedding_text(p.title, p.text) for p in index.store])
    added = [k for k, row in enumerate(index.store.rows().tolist()) if row >= len(other)]
    np.testing.assert_array_equal(index.dense.reconstruct(index.store.rows())[added], shortened[added])
    assert found(index, "The ship lay at the quay.")["dense"][0] == "s#0"
    word_encoder.asked.clear()
    assert index.compact()
    assert dense == "sq8" or word_encoder.asked == [], "vectors are taken over"
    assert index.encoder_name == name
    assert other.refresh()
    assert other.encoder_name == name
    if dense == "exact":
        np.testing.assert_array_equal(index.dense.vectors, shortened)
    # All else is as in an index that learns its own map.
    documents = [index.store.document(identifier) for identifier in index.store.document_ids()]
    anew = Index.build(documents, tmp_path / "y", settings=settings, encoder=word_encoder)
    assert anew.encoder_name != name
    one, two = ({k: v for k, v in files_of(some).items() if k[:5] != "dense"} for some in (index, anew))
    assert one == two


class TestMasking:
    def test_private_data_is_masked_in_what_is_added(self, tmp_path: Path, word_encoder: Encoder) -> None:
        index = Index.build(NOTES, tmp_path / "x", settings=IndexSettings(mask=("email",)), encoder=word_encoder)
        index.add([Document("e", "Contact", "Write to jana.novakova@example.org about the mill.")])
        assert index.store.document("e").text == f"Write to {'█' * 25} about the mill."
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or b"novakova" not in path.read_bytes(), path
        assert index.compact()
        assert index.store.document("e").text == f"Write to {'█' * 25} about the mill."

    def test_patterns_have_to_be_given_again_with_their_names(self, tmp_path: Path, word_encoder: Encoder) -> None:
        patterns = {"staff": r"EMP-\d{6}", "room": r"R\d\d"}
        index = Index.build(NOTES, tmp_path / "x", mask_patterns=patterns, encoder=word_encoder)
        contact = Document("e", "Contact", "EMP-123456 is in R17.")
        for given in (None, {}, {"staff": patterns["staff"]}, {**patterns, "more": "x"}):
            with pytest.raises(UpdateError, match="patterns of your own named staff, room, which it does not keep"):
                index.add([contact], mask_patterns=given)
        with pytest.raises(MaskingError, match="not a regular expression"):
            index.add([contact], mask_patterns={"staff": "(", "room": "x"})
        assert not index.changed
        for again, identifier in itertools.product((False, True), "ef"):
            if again:
                assert index.compact() or identifier == "f"  # it asks for no pattern, and forgets no name
                with pytest.raises(UpdateError, match="named staff, room"):
                    index.add([contact], replace=True)
            more = Document(identifier, "Contact", contact.text)
            index.add([more], again, mask_patterns=dict(reversed(patterns.items())))
            assert index.store.document(identifier).text == f"{'█' * 10} is in ███."

    def test_an_index_without_patterns_takes_none(self, tmp_path: Path, word_encoder: Encoder) -> None:
        index = Index.build(NOTES, tmp_path / "x", encoder=word_encoder)
        with pytest.raises(UpdateError, match=r"named nothing, .* given are staff"):
            index.add([NOVAK], mask_patterns={"staff": "x"})


def test_added_documents_are_cut_by_the_same_budget(tmp_path: Path, word_encoder: Encoder) -> None:
    index = Index.build(NOTES, tmp_path / "x", settings=IndexSettings(chunk_tokens=5), encoder=word_encoder)
    before = len(index)
    index.add([Document("w", "Words", "One two three four five. Six seven eight nine ten. Eleven twelve.")])
    texts = [index.store.passage(row).text for row in range(before, len(index))]
    assert texts == ["One two three four five.", "Six seven eight nine ten.", "Eleven twelve."]

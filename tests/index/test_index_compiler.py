"""What the corpus compiler makes of an index: nothing private in it, passages found by their context."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Index, IndexSettings, Passage
from trailhound.errors import IndexFolderError, MaskingError
from trailhound.graph._knowledge_graph import KnowledgeGraph
from trailhound.index._build import documents_of
from trailhound.retrievers._folder import SEGMENTS
from trailhound.retrievers._store import FILE_NAME, StoreWriter
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._masking import MASK
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors import _vector_cache as vector_cache
from trailhound.retrievers.vectors._encoder import embedding_text
from trailhound.retrievers.words._lexical import LexicalIndex
from trailhound.retrievers.words._terms import TermIndex, term_hashes
from trailhound.retrievers.words._titles import TitleMatcher

VALUES = {
    "email": "Quirrelda.Vonmarsk@Zubrovnik-Mail.example",
    "phone": "+49 1719 8273645",
    "card": "4539 5787 6362 1486",
    "iban": "DE89 3704 0044 0532 0130 00",
    "ip": "2001:db8:85a3::8a2e:370:7334",
    "secret": "password = Xylophant-77!",
    "token": "ghp_Zq81mXv02Lk93Bn47Tr65Ws10Hd28Pf36Jc5",
    "key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\n-----END PRIVATE KEY-----",
    "staff": "EMP-904817",
    "project": "Operation Vantablau",
}
PATTERNS = {"staff": r"EMP-\d{6}", "project": "Operation Vantablau"}
KEEP = ["was", "password", "BEGIN", "PRIVATE", "KEY", "END", "example", "mail"]


def forms(value: str) -> set[bytes]:
    """Return what a value could be recognised by: itself, its digits, its tokens of five characters and more."""
    tokens = {token for token in re.split(r"[^\w]+", value) if len(token) > 4 and token not in KEEP}
    digits = re.sub(r"\D", "", value)
    written = {value, re.sub(r"\s+", "", value), *tokens, *([digits] if len(digits) > 5 else [])}
    written |= {form.lower() for form in written} | {json.dumps(form)[1:-1] for form in written}
    return {encoded for form in written for encoded in (form.encode(), form.encode("utf-16-le"))}


def private_corpus() -> list[Document]:
    """Return documents with every value in text, title, id, source, and in names and values of metadata."""
    documents = []
    for kind, value in VALUES.items():
        text = f"# Note on {kind}\n\nOne line before. It was {value}\n and the rest of it follows here.\n\n## More\n\n"
        text += f"Again and again: {value}\nEnd of the note."
        metadata: dict[str, Any] = {"of": value, "deep": [{f"x {value} y": [value]}]}
        documents.append(Document(f"id {value} id", f"On {value}", text, f"dir/{value}/file.txt", metadata=metadata))
        documents.append(Document(f"{value}", "", f"Alone: {value}", f"{value}", atomic=True, metadata=metadata))
    return documents


def everything_beside(folder: Path) -> bytes:
    return b"\0".join(
        str(path).encode() + b"\0" + path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "house" / "x.index"


class TestMasking:
    def test_no_file_holds_a_private_value_in_any_form(
        self, place: Path, hashing_encoder: Encoder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vector_cache, "PART", 4)  # so that vectors are kept beside the index too
        kept: list[bytes] = []

        def look(stage: str, done: int, total: int) -> None:
            kept.append(everything_beside(place.parent))

        heard: list[str] = []
        settings = IndexSettings(mask=("all",), context="corpus", chunk_tokens=12)
        index = Index.build(
            private_corpus(),
            place,
            settings=settings,
            encoder=hashing_encoder,
            mask_patterns=PATTERNS,
            warn=heard.append,
            progress=look,
        )
        # Under way, too: what a killed build leaves on the disk.
        for state in (*kept, everything_beside(place.parent), "\n".join(heard).encode()):
            found = [(kind, form) for kind, value in VALUES.items() for form in forms(value) if form in state]
            assert found == []
        assert any(b".vectors/" in state for state in kept)
        # Lexical files are compressed, and terms are hashes: these are asked instead of read.
        for word in {word for value in VALUES.values() for word in re.split(r"\W+", value)} - {"", *KEEP}:
            assert len(index.lexical.search(Query(word), 9)) == 0
            assert index.terms.document_frequency(term_hashes(word)).sum() == 0
        assert index.store.documents == 2 * len(VALUES)
        assert index.settings.mask == ("email", "phone", "card", "iban", "ip", "secret")

    def test_the_same_search_without_masking_finds_every_value(self, place: Path, hashing_encoder: Encoder) -> None:
        """The test above could not see a value if this did not."""
        Index.build(private_corpus(), place, encoder=hashing_encoder)
        state = everything_beside(place.parent)
        assert [kind for kind, value in VALUES.items() if not any(form in state for form in forms(value))] == []

    def test_a_masked_index_that_replaces_an_open_one_leaves_nothing_of_it(
        self, place: Path, hashing_encoder: Encoder
    ) -> None:
        Index.build(private_corpus(), place, encoder=hashing_encoder)
        settings = IndexSettings(mask=("all",))
        Index.build(private_corpus(), place, settings=settings, encoder=hashing_encoder, mask_patterns=PATTERNS)
        state = everything_beside(place.parent)
        assert [form for value in VALUES.values() for form in forms(value) if form in state] == []

    def test_offsets_stay_and_counts_are_in_the_manifest(self, place: Path, hashing_encoder: Encoder) -> None:
        documents = [Document("d", "T", "Mail a@b.example, then\n\ncall 212-555-0142 or c@d.example.")]
        settings = IndexSettings(mask=("email",), chunk_tokens=4)
        index = Index.build(documents, place, settings=settings, encoder=hashing_encoder)
        text = index.store.document("d").text
        assert text == f"Mail {MASK * 11}, then\n\ncall 212-555-0142 or {MASK * 11}."
        assert [passage.text for passage in index.store] == [text[p.start : p.end] for p in index.store]
        mask = next(stage for stage in index.manifest["compiler"] if stage["stage"] == "mask")
        assert mask["counts"] == {"email": 2, "documents": 1, "document ids": 0}

    def test_what_cannot_be_masked_is_said_before_anything_is_built(
        self, place: Path, hashing_encoder: Encoder
    ) -> None:
        with pytest.raises(MaskingError, match="'emial'"):
            IndexSettings(mask=("emial",))
        with pytest.raises(MaskingError, match="not a regular expression"):
            Index.build([Document("d", "", "t")], place, encoder=hashing_encoder, mask_patterns={"x": "("})
        assert not place.exists()


class Counting:
    """An encoder that tells which texts it was asked for; its tokens are words."""

    name = "words"
    dimension = 8
    max_tokens = 64

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.asked += texts
        codes = [hashlib.sha256(text.encode()).digest()[:8] for text in texts]
        vectors = np.array([list(code) for code in codes], np.float32).reshape(len(texts), 8) + 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def count_tokens(self, text: str) -> int:
        return len(text.split())


ARTICLES = [
    Document("a", "Ada Brun", "# Ada Brun\n\nShe was born in Torl.\n\nLater she moved.\n\n## Films\n\nA silent one."),
    Document("s", "Silver Gate", "Silver Gate is by Ada Brun.", atomic=True),
]


class TestContext:
    def test_it_is_embedded_and_searched_but_not_stored(self, place: Path) -> None:
        encoder = Counting()
        index = Index.build(ARTICLES, place, settings=IndexSettings(chunk_tokens=8, context="corpus"), encoder=encoder)
        assert [passage.text for passage in index.store] == [
            "# Ada Brun\n\nShe was born in Torl.",
            "Later she moved.",
            "## Films\n\nA silent one.",
            "Silver Gate is by Ada Brun.",
        ]
        assert "Ada Brun. Silver Gate\nLater she moved." in encoder.asked
        assert index.lexical.search(Query("silver gate"), 9).rows.tolist() == [3, 1, 2, 0]
        plain = Index.build(ARTICLES, place, settings=IndexSettings(chunk_tokens=8), encoder=encoder)
        assert plain.lexical.search(Query("gate"), 9).rows.tolist() == [3]

    def test_terms_and_graph_are_of_what_the_passages_say(
        self, place: Path, hashing_encoder: Encoder, files_of: Callable[[Index], dict[str, Any]]
    ) -> None:
        parts = {}
        for context in ("none", "corpus"):
            settings = IndexSettings(chunk_tokens=8, context=context)  # type: ignore[arg-type]
            index = Index.build(ARTICLES, place, settings=settings, encoder=hashing_encoder)
            files = files_of(index)
            parts[context] = {name: files[name] for name in files if name.startswith(("terms", "graph", "ev"))}
            shutil.rmtree(place)
        assert parts["none"] == parts["corpus"]

    def test_vectors_are_used_again_only_for_an_equal_context(self, place: Path) -> None:
        encoder = Counting()
        plain, with_titles = IndexSettings(chunk_tokens=8), IndexSettings(chunk_tokens=8, context="corpus")
        Index.build(ARTICLES, place, settings=plain, encoder=encoder)
        first = len(encoder.asked)
        Index.build(ARTICLES, place, settings=with_titles, encoder=encoder)
        assert [text.split("\n")[0] for text in encoder.asked[first:]] == ["Ada Brun. Silver Gate"] * 3
        asked = len(encoder.asked)
        Index.build(ARTICLES, place, settings=with_titles, encoder=encoder)
        assert len(encoder.asked) == asked

    def test_a_users_function_is_recorded_by_name(self, place: Path) -> None:
        encoder = Counting()

        def numbered(document: Document, passage: Passage, passages: Sequence[Passage]) -> str:
            return f"part {passages.index(passage) + 1}"

        index = Index.build(ARTICLES, place, context=numbered, encoder=encoder)
        assert "Silver Gate. part 1\nSilver Gate is by Ada Brun." in encoder.asked
        again = Index.open(place, encoder=encoder)
        assert again.settings == index.settings == IndexSettings(context="function")
        recorded = next(stage for stage in again.manifest["compiler"] if stage["stage"] == "contextualise")
        assert recorded["settings"] == {"context": f"{__name__}.{numbered.__qualname__}"}
        with pytest.raises(IndexFolderError, match="none was given"):
            Index.build(ARTICLES, place, settings=again.settings, encoder=encoder)


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"chunk_tokens": 0}, "chunk_tokens must be 1 or more, not 0"),
            ({"context": "titles"}, "'titles': choose one of none, corpus"),
        ],
    )
    def test_what_contradicts_itself(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(IndexFolderError, match=message):
            IndexSettings(**settings)

    def test_an_encoder_that_cannot_count_tokens_is_told(self, place: Path, word_encoder: Encoder) -> None:
        class Mute:
            name, dimension, encode = "mute", word_encoder.dimension, word_encoder.encode

        warnings: list[str] = []
        index = Index.build(
            ARTICLES, place, settings=IndexSettings(chunk_tokens=9), encoder=Mute(), warn=warnings.append
        )
        assert [warning[:38] for warning in warnings] == ["mute has no count_tokens and max_token"]
        assert all(len(passage.text.split()) <= 9 for passage in index.store)

    def test_a_knowledge_graph_is_neither_masked_nor_put_in_context(self, place: Path, tmp_path: Path) -> None:
        (tmp_path / "graph.txt").write_text("a\tknows\tb\n")
        for settings in (IndexSettings(mask=("email",)), IndexSettings(context="corpus")):
            with pytest.raises(IndexFolderError, match="knowledge graph"):
                Index.build([tmp_path / "graph.txt"], place, settings=settings)

    def test_with_default_settings_every_part_is_made_of_titles_and_texts_alone(
        self, place: Path, tmp_path: Path, hashing_encoder: Encoder, corpus_folder: Path
    ) -> None:
        """Puts the parts together by hand, as they were before there was a compiler, and compares bytes."""
        index = Index.build(corpus_folder, place, encoder=hashing_encoder)
        writer = StoreWriter(tmp_path / FILE_NAME)
        passages: list[Passage] = []
        for document in documents_of([corpus_folder], print, None, place, False, False)[0]:
            parts = chunk(document, 120)
            writer.add(document, parts)
            passages += parts
        writer.close()
        titles, texts = [passage.title for passage in passages], [passage.text for passage in passages]
        documents = [passage.document_id for passage in passages]
        terms = TermIndex.build([f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)])
        terms.save(tmp_path / "terms.safetensors")
        KnowledgeGraph.build(titles, texts, documents, terms, TitleMatcher(titles, documents), None).save(
            tmp_path / "graph"
        )
        for name in (FILE_NAME, "terms.safetensors", "graph/edges.safetensors"):
            assert (place / SEGMENTS / "s000001" / name).read_bytes() == (tmp_path / name).read_bytes()
        embedded = [embedding_text(title, text) for title, text in zip(titles, texts, strict=True)]
        np.testing.assert_array_equal(index.dense.vectors, hashing_encoder.encode(embedded))
        LexicalIndex.build(tmp_path / "lexical", zip(titles, texts, strict=True))
        lexical = LexicalIndex(tmp_path / "lexical")
        for words in ("town", "river gate film", "school of her mother"):
            found, expected = index.lexical.search(Query(words), 50), lexical.search(Query(words), 50)
            assert found.rows.tolist() == expected.rows.tolist()
            assert found.scores.tolist() == expected.scores.tolist()
        assert index.settings == IndexSettings()

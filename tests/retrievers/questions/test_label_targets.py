"""Labels name passages or documents, however their ids are spelled."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from trailhound import Document, Index
from trailhound.errors import QuestionsError
from trailhound.index.settings import IndexSettings
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.questions._label_targets import meant, settle_labels, settle_names, target_of
from trailhound.retrievers.questions._left_out import load_left_out

LONG = "The ferry leaves at nine and comes back at noon. " * 12
ACCENTED = unicodedata.normalize("NFC", "café/über.md")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, hashing_encoder: Encoder) -> Index:
    documents = [
        Document("guide/ferry.md", "Ferries", LONG),
        Document("one", "One", "A single passage.", atomic=True),
        Document(ACCENTED, "Café", LONG),
    ]
    folder = tmp_path_factory.mktemp("labels") / "x.index"
    return Index.build(documents, folder, encoder=hashing_encoder, settings=IndexSettings(chunk_tokens=30))


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("guide/ferry.md", "guide/ferry.md"),
        ("guide/ferry.md#1", "guide/ferry.md#1"),
        ("./guide/ferry.md", "guide/ferry.md"),
        (".//guide/ferry.md#0", "guide/ferry.md#0"),
        ("one", "one"),
        (unicodedata.normalize("NFD", ACCENTED), ACCENTED),
        ("./" + unicodedata.normalize("NFD", ACCENTED) + "#0", ACCENTED + "#0"),
    ],
)
def test_a_label_names_the_passages_of_its_id(index: Index, label: str, name: str) -> None:
    target = target_of(index.store, label)
    assert target is not None
    assert target.name == name
    passages = index.store.passages(target.rows)
    if target.document:
        assert [passage.id for passage in index.store if passage.document_id == name] == [p.id for p in passages]
    else:
        assert [passage.id for passage in passages] == [name]
    assert target.document == ("#" not in name)


@pytest.mark.parametrize("label", ["nowhere", "guide/ferry.md#99", "guide", "./", ".", "ferry.md", "GUIDE/FERRY.MD"])
def test_what_names_nothing_is_said(index: Index, label: str) -> None:
    assert target_of(index.store, label) is None
    settled = settle_labels(index.store, {"q": {label: 1, "one": 1, "elsewhere": 0}})
    assert settled.unmatched == (label,)
    assert settled.qrels == {"q": {label: 1, "one": 1, "elsewhere": 0}}
    assert settled.supporting == 2


@pytest.mark.parametrize("label", ["docs/guide/ferry.md", "/home/me/docs/guide/ferry.md#1", r"docs\guide\ferry.md"])
def test_a_label_with_folders_too_many_gets_a_hint(index: Index, label: str) -> None:
    assert "; did you mean 'guide/ferry.md" in meant(index.store, label)
    assert meant(index.store, "ferry.md") == meant(index.store, "nowhere/else.md") == ""


def test_spellings_of_one_name_are_one_label(index: Index) -> None:
    settled = settle_labels(index.store, {"q": {"./one": 1, "one": 1}})
    assert settled.qrels == {"q": {"one": 1}}
    assert settled.respelled == ("./one",)
    with pytest.raises(QuestionsError, match=r"'one' .*have the scores .*'q': keep one"):
        settle_labels(index.store, {"q": {"./one": 0, "one": 1}})


def test_a_labelled_passage_stands_for_its_labelled_document(index: Index) -> None:
    settled = settle_labels(index.store, {"q": {"guide/ferry.md": 1, "guide/ferry.md#1": 1, "one": 1}})
    assert [target.name for target in settled.gold("q")] == ["guide/ferry.md#1", "one"]
    assert settled.gold("unknown") == []


def test_ids_that_are_left_out_are_spelled_like_labels(index: Index, tmp_path: Path) -> None:
    assert load_left_out(tmp_path) == {}
    (tmp_path / "excluded.json").write_text(json.dumps({"q": ["./one", "N/A"], "r": []}))
    assert settle_names(index.store, load_left_out(tmp_path)) == {"q": frozenset({"one", "N/A"})}


@pytest.mark.parametrize("text", ["[", "[]", '{"q": "one"}', '{"q": [1]}', "\xff"])
def test_a_malformed_list_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "excluded.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(QuestionsError, match=r"excluded\.json"):
        load_left_out(tmp_path)

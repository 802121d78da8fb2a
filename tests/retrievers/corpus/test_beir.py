import re
from pathlib import Path

import pytest
from trailhound.errors import CorpusError
from trailhound.retrievers.corpus._beir import read_beir
from trailhound.retrievers.corpus._normalise import Complaints
from trailhound.retrievers.records import Document


def read(tmp_path: Path, *lines: str) -> tuple[list[Document], list[str]]:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    heard: list[str] = []
    return [document for document, _ in read_beir(path, Complaints(heard.append))], heard


def test_documents_are_atomic_and_keep_id_and_metadata(tmp_path: Path) -> None:
    documents, heard = read(
        tmp_path,
        r'{"_id": "d 1", "title": "Cafe\u0301", "text": "\ufeffa\r\nb ", "metadata": {"n": 1}, "url": "u"}',
        '{"_id": "2", "text": "no title"}',
    )
    assert documents == [
        Document("d 1", "Caf\u00e9", "a\nb ", "corpus.jsonl:1", atomic=True, metadata={"url": "u", "n": 1}),
        Document("2", "", "no title", "corpus.jsonl:2", atomic=True),
    ]
    assert heard == []


def test_empty_documents_are_skipped_and_title_only_ones_kept(tmp_path: Path) -> None:
    documents, heard = read(
        tmp_path,
        '{"_id": "a", "title": " ", "text": "\\n"}',
        '{"_id": "b", "title": "Only a title", "text": ""}',
    )
    path = tmp_path / "corpus.jsonl"
    assert [(document.id, document.text) for document in documents] == [("b", "Only a title")]
    assert heard == [
        f"{path}:1: skipped an empty document (id 'a')",
        f"{path}:2: no text: took the title as the text (id 'b')",
    ]


def test_repaired_characters_are_warned_of_with_their_line(tmp_path: Path) -> None:
    documents, heard = read(
        tmp_path,
        r'{"_id": "a", "text": "x\u0000y"}',
        r'{"_id": "b", "text": "x\udc00", "metadata": {"k": "\ud800"}}',
    )
    path = tmp_path / "corpus.jsonl"
    assert [document.text for document in documents] == ["xy", "x\ufffd"]
    assert documents[1].metadata == {"k": "\ufffd"}
    assert heard == [
        f"{path}:1: removed NUL characters (1)",
        f"{path}:2: replaced lone surrogates by U+FFFD (1)",
        f"{path}:2: replaced lone surrogates by U+FFFD (1)",
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"title": "t", "text": "x"}', "the field '_id' is missing"),
        ('{"_id": "b"}', "the field 'text' is missing"),
        ('{"_id": 5, "text": "x"}', "the field '_id' must be a string, not a number"),
        ('{"_id": "b", "text": null}', "the field 'text' must be a string, not null"),
        ('{"_id": "b", "text": "x", "title": 3}', "the field 'title' must be a string, not a number"),
        ('{"_id": "b", "text": "x", "metadata": []}', "the field 'metadata' must be an object, not a list"),
    ],
)
def test_wrong_fields_are_named_with_file_and_line(tmp_path: Path, line: str, reason: str) -> None:
    place = re.escape(f"{tmp_path / 'corpus.jsonl'}:2: {reason}")
    with pytest.raises(CorpusError, match=place):
        read(tmp_path, '{"_id": "a", "text": "x"}', line)

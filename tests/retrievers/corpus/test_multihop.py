import json
import re
from pathlib import Path
from typing import Any

import pytest
from trailhound.errors import CorpusError, QuestionsError
from trailhound.retrievers.corpus._multihop import (
    content_id,
    join_sentences,
    multihop_records,
    read_multihop,
    supporting_ids,
)
from trailhound.retrievers.corpus._normalise import Complaints

HOTPOT = {
    "_id": "q1",
    "question": "Who?",
    "answer": "Ann",
    "type": "bridge",
    "context": [["Ann", ["Ann was born.", " She lived."]], ["Bob", ["Bob died.", "He was old."]]],
    "supporting_facts": [["Bob", 1], ["Bob", 0]],
}
MUSIQUE = {
    "id": "2hop__1_2",
    "question": "Where?",
    "answer": "There",
    "paragraphs": [
        {"idx": 0, "title": "Ann", "paragraph_text": "First Ann.", "is_supporting": True},
        {"idx": 1, "title": "Ann", "paragraph_text": "Second Ann.", "is_supporting": False},
    ],
}


def write_json(tmp_path: Path, *records: dict[str, Any]) -> Path:
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(list(records), indent=1), encoding="utf-8")
    return path


def write_lines(tmp_path: Path, *records: dict[str, Any]) -> Path:
    path = tmp_path / "dev.jsonl"
    path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return path


def test_sentences_get_a_space_only_where_there_is_none() -> None:
    assert join_sentences(["A.", " B.", "C. ", "D.", "", "E."]) == "A. B. C. D. E."


def test_contexts_are_atomic_documents_with_content_ids(tmp_path: Path) -> None:
    found = list(read_multihop(write_json(tmp_path, HOTPOT), Complaints(pytest.fail)))
    documents = [document for document, _ in found]
    assert [(document.title, document.text) for document in documents] == [
        ("Ann", "Ann was born. She lived."),
        ("Bob", "Bob died. He was old."),
    ]
    assert [document.id for document in documents] == [
        content_id("Ann", "Ann was born. She lived."),
        content_id("Bob", "Bob died. He was old."),
    ]
    assert all(document.atomic and document.source == "dev.json record 1" for document in documents)


def test_content_id_is_stable_and_tells_title_from_text() -> None:
    assert content_id("Ann", "Ann was born. She lived.") == "f287abccaee1edf7a123"
    assert content_id("ab", "c") != content_id("a", "bc")


def test_paragraphs_with_equal_titles_are_different_documents(tmp_path: Path) -> None:
    documents = [document for document, _ in read_multihop(write_lines(tmp_path, MUSIQUE), Complaints(pytest.fail))]
    assert [(document.title, document.text) for document in documents] == [
        ("Ann", "First Ann."),
        ("Ann", "Second Ann."),
    ]
    assert documents[0].id != documents[1].id


def test_empty_context_is_skipped_with_its_line(tmp_path: Path) -> None:
    heard: list[str] = []
    path = write_lines(tmp_path, HOTPOT, {**HOTPOT, "context": [["Nobody", [" "]]]})
    assert len(list(read_multihop(path, Complaints(heard.append)))) == 2
    assert heard == [f"{path}:2: skipped an empty context (title 'Nobody')"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"context": [["Ann"]]}, "every 'context' must be [title, [sentences]], both of strings"),
        ({"context": [["Ann", ["a", 5]]]}, "every 'context' must be [title, [sentences]], both of strings"),
        ({"context": [["Ann", "text"]]}, "every 'context' must be [title, [sentences]], both of strings"),
        ({"context": {"title": []}}, "the field 'context' must be a list, not an object"),
        ({"paragraphs": [{"title": "Ann"}]}, "every item of 'paragraphs' needs 'title' and 'paragraph_text'"),
        ({"paragraphs": None}, "the field 'paragraphs' must be a list, not null"),
    ],
)
def test_wrong_forms_are_named_with_file_and_line(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = write_lines(tmp_path, HOTPOT, {**HOTPOT, **change})
    with pytest.raises(CorpusError, match=re.escape(f"{path}:2: {reason}")):
        list(read_multihop(path, Complaints(pytest.fail)))


def test_line_of_a_wrong_record_in_an_indented_list(tmp_path: Path) -> None:
    path = write_json(tmp_path, HOTPOT, {"_id": "q2", "question": "?"})
    line = path.read_text().split("\n").index('  "_id": "q2",')
    with pytest.raises(CorpusError, match=re.escape(f"{path}:{line}: not a question of HotpotQA")):
        list(read_multihop(path, Complaints(pytest.fail)))


def test_supporting_contexts_by_title_and_by_flag(tmp_path: Path) -> None:
    complaints = Complaints(pytest.fail)
    (hotpot,) = multihop_records(write_json(tmp_path, HOTPOT), QuestionsError)
    assert supporting_ids(hotpot, complaints) == [content_id("Bob", "Bob died. He was old.")]
    (musique,) = multihop_records(write_lines(tmp_path, MUSIQUE), QuestionsError)
    assert supporting_ids(musique, complaints) == [content_id("Ann", "First Ann.")]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([["Cid", 0]], "the supporting title 'Cid' is not among the contexts"),
        (["Bob"], "every item of 'supporting_facts' must be [title, sentence number]"),
        (None, "the field 'supporting_facts' must be a list, not null"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, facts: Any, reason: str) -> None:
    path = write_lines(tmp_path, {**HOTPOT, "supporting_facts": facts})
    (record,) = multihop_records(path, QuestionsError)
    with pytest.raises(QuestionsError, match=re.escape(f"{path}:1: {reason}")):
        supporting_ids(record, Complaints(pytest.fail))


def test_split_without_labels(tmp_path: Path) -> None:
    unlabelled = {name: value for name, value in HOTPOT.items() if name != "supporting_facts"}
    (record,) = multihop_records(write_lines(tmp_path, unlabelled), QuestionsError)
    with pytest.raises(QuestionsError, match="this split has no labels"):
        supporting_ids(record, Complaints(pytest.fail))

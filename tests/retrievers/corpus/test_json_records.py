import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import CorpusError, QuestionsError
from trailhound.retrievers.corpus._json_records import Record, read_json_array, read_json_lines

GOOD = b'{"_id": "a"}\n'


def written(tmp_path: Path, data: bytes, name: str = "corpus.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_lines_are_counted_with_blank_ones_and_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path, b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": 2}')
    records = list(read_json_lines(path, CorpusError))
    assert [(record.place.line, record.number, record.values) for record in records] == [
        (1, 1, {"a": 1}),
        (4, 2, {"a": 2}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"_id": "b", "te', "not valid JSON"),
        (b'{"_id": "b"} {"_id": "c"}', "not valid JSON"),
        (b'{"_id": NaN}', "not valid JSON"),
        (b'{"_id": "\\ud800", "x": NaN}', "NaN is not a JSON value"),
        (b'{"_id": "\\ud800", "x": }', "not valid JSON"),
        (b'{"_id": "b\xff"}', "byte 11 of the line (0xff) is not UTF-8"),
        (b'{"_id": "\xed\xa0\x80"}', "byte 10 of the line (0xed) is not UTF-8"),
        (b'["b"]', "expected a JSON object, found a list"),
        (b"null", "expected a JSON object, found null"),
        (b"[" * 5000, "not valid JSON"),
    ],
)
def test_damaged_line_is_named(tmp_path: Path, line: bytes, reason: str) -> None:
    path = written(tmp_path, GOOD + b"\n" + line + b"\n" + GOOD)
    with pytest.raises(CorpusError, match=re.escape(f"{path}:3: ") + ".*" + re.escape(reason)) as caught:
        list(read_json_lines(path, CorpusError))
    assert caught.value.line == 3


def test_lone_surrogate_escapes_are_let_through_and_pairs_stay_pairs(tmp_path: Path) -> None:
    path = written(tmp_path, rb'{"a": "x\ud800y", "b": "\ud83d\ude00", "c": "\\ud800"}')
    assert next(read_json_lines(path, CorpusError)).values == {"a": "x\ud800y", "b": "😀", "c": r"\ud800"}


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    for read in (read_json_lines, read_json_array):
        with pytest.raises(QuestionsError, match=re.escape(f"{tmp_path}: is a folder, not a regular file")):
            list(read(tmp_path, QuestionsError))


json_objects = st.dictionaries(st.text(max_size=5), st.none() | st.integers(-(10**9), 10**9) | st.text(), max_size=3)


@given(st.lists(json_objects, max_size=5), st.sampled_from([None, 1, 3]))
def test_array_gives_what_the_standard_parser_gives(
    tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, object]], indent: int | None
) -> None:
    path = tmp_path_factory.mktemp("array") / "data.json"
    text = "\n " + json.dumps(objects, indent=indent) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
    records = list(read_json_array(path, CorpusError))
    assert [record.values for record in records] == objects
    lines = text.split("\n")
    assert all(lines[(record.place.line or 0) - 1].strip()[0] in "[{" for record in records)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('[\n{"a": 1},\n{"a": 2', 3, "it ends in the middle at column 8"),
        ('[\n{"a": 1},\n', 3, "it ends in the middle at column 1"),
        ('[\n{"a": 1}\n', 3, "it ends in the middle at column 1"),
        ('[\n{"a": 1}\n{"a": 2}]', 3, "expected ',' or ']' at column 1"),
        ('[\n{"a": 1},\n]', 3, "at column 1"),
        ('[\n{"a": 1}]\n[]', 3, "text after the end of the list at column 1"),
        ('[\n{"a": 1},\n{"a": NaN}]', 3, "NaN is not a JSON value"),
        ('[\n{"a": 1},\n7]', 3, "expected a JSON object, found a number"),
        ("[\n\n" + "[" * 200_000, 3, "not valid JSON"),
        ('{"a": 1}', 1, "name a file with one record per line .jsonl"),
        ("", 1, "expected a JSON list"),
    ],
)
def test_damaged_array_is_named_with_its_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = written(tmp_path, text.encode(), "data.json")
    with pytest.raises(CorpusError, match=re.escape(f"{path}:{line}: ") + ".*" + re.escape(reason)):
        list(read_json_array(path, CorpusError))


def test_array_names_line_and_byte_that_are_not_utf8(tmp_path: Path) -> None:
    path = written(tmp_path, b'[{"a": 1},\n{"a": "\xe9"}]', "data.json")
    with pytest.raises(CorpusError, match=re.escape(f"{path}:2: byte 8 of the line (0xe9) is not UTF-8")):
        list(read_json_array(path, CorpusError))


def record_of(tmp_path: Path, text: str) -> Record:
    return next(read_json_lines(written(tmp_path, text.encode()), CorpusError))


@pytest.mark.parametrize(
    ("value", "kind"),
    [("5", "a number"), ("true", "a boolean"), ("null", "null"), ("[]", "a list"), ("{}", "an object")],
)
def test_string_field_of_another_type(tmp_path: Path, value: str, kind: str) -> None:
    record = record_of(tmp_path, f'{{"text": {value}}}')
    with pytest.raises(CorpusError, match=f":1: the field 'text' must be a string, not {kind}"):
        record.string("text")


def test_missing_field_lists_the_fields_there_are(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=":1: the field 'text' is missing; fields there are: 'a', 'b'"):
        record_of(tmp_path, '{"a": 1, "b": 2}').string("text")


def test_absent_and_null_are_empty_where_a_field_is_optional(tmp_path: Path) -> None:
    record = record_of(tmp_path, '{"title": null}')
    assert record.optional_string("title") == record.optional_string("other") == ""


@pytest.mark.parametrize("identifier", ["", " ", "a\\tb", "a\\nb", "a\\u0000", "\\ud800"])
def test_unusable_ids_are_refused(tmp_path: Path, identifier: str) -> None:
    with pytest.raises(CorpusError, match=r"corpus\.jsonl:1: "):
        record_of(tmp_path, f'{{"_id": "{identifier}"}}').identifier("_id")

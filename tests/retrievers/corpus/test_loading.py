import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from trailhound.errors import CorpusError
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.corpus._report import Skipped
from trailhound.retrievers.records import Document

DATA = Path(__file__).parents[3].parent / "shared" / "data"
QUESTION = {
    "_id": "q",
    "question": "Who?",
    "context": [["Ann", ["Ann was."]], ["Ann", ["Ann was."]], ["Bob", ["B."]]],
}
PARAGRAPHS = [{"title": "Ann", "paragraph_text": "Ann was."}, {"title": "Cid", "paragraph_text": "C."}]


def read(*paths: Path) -> tuple[list[Document], list[str]]:
    heard: list[str] = []
    return list(CorpusReader(paths, heard.append)), heard


def beir(path: Path, *documents: tuple[str, str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    lines = [json.dumps({"_id": identifier, "title": "", "text": text}) for identifier, text in documents]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_kind_of_path_finds_its_reader(tmp_path: Path) -> None:
    beir(tmp_path / "beir" / "corpus.jsonl", ("b", "from a folder"))
    lines = beir(tmp_path / "more.jsonl", ("l", "from a file"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("from text", encoding="utf-8")
    single = tmp_path / "single.md"
    single.write_text("# Alone\n", encoding="utf-8")
    hotpot = tmp_path / "hotpot.json"
    hotpot.write_text(json.dumps([QUESTION]), encoding="utf-8")
    musique = tmp_path / "musique.jsonl"
    musique.write_text(json.dumps({"id": "2hop__1", "question": "?", "paragraphs": PARAGRAPHS}), encoding="utf-8")
    documents, heard = read(tmp_path / "beir", lines, tmp_path / "docs", single, hotpot, musique)
    assert [document.text for document in documents] == [
        "from a folder",
        "from a file",
        "from text",
        "# Alone\n",
        "Ann was.",
        "B.",
        "C.",
    ]
    assert [document.id for document in documents][:4] == ["b", "l", "a.txt", "single.md"]
    assert [document.atomic for document in documents] == [True, True, False, False, True, True, True]
    assert heard == []


def test_repeated_id_with_equal_text_is_kept_once(tmp_path: Path) -> None:
    first = beir(tmp_path / "one.jsonl", ("a", "same"), ("b", "x"))
    second = beir(tmp_path / "two.jsonl", ("c", "y"), ("a", "same"))
    documents, heard = read(first, second)
    assert [document.id for document in documents] == ["a", "b", "c"]
    assert heard == [f"{second}:2: repeats a document and is kept once (id 'a', first at {first}:1)"]


def test_repeated_id_with_another_text_is_skipped_and_names_both_places(tmp_path: Path) -> None:
    path = beir(tmp_path / "one.jsonl", ("a", "x"), ("b", "y"), ("a", "z"))
    expected = f"the id 'a' names another document than at {path}:1: ids must be unique"
    reader = CorpusReader([path], lambda message: None)
    assert [document.text for document in reader] == ["x", "y"]
    assert reader.report.skipped == [Skipped(f"{path}:3", expected)]
    with pytest.raises(CorpusError, match=re.escape(f"{path}:3: {expected}")):
        list(CorpusReader([path], pytest.fail, strict=True))


def test_of_two_folders_with_a_file_of_one_name_the_second_is_skipped_and_said(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "readme.md").write_text(folder, encoding="utf-8")
    first, second = tmp_path / "one" / "readme.md", tmp_path / "two" / "readme.md"
    expected = f"the id 'readme.md' names another document than at {first}: ids must be unique (for text files, give"
    reader = CorpusReader([tmp_path / "one", tmp_path / "two"], lambda message: None)
    assert [document.text for document in reader] == ["one"]
    (skipped,) = reader.report.skipped
    assert skipped.path == str(second)
    assert skipped.reason.startswith(expected)
    with pytest.raises(CorpusError, match=re.escape(f"{second}: {expected}")):
        list(CorpusReader([tmp_path / "one", tmp_path / "two"], pytest.fail, strict=True))
    assert len(read(tmp_path)[0]) == 2


def test_many_equal_warnings_become_a_count(tmp_path: Path) -> None:
    path = beir(tmp_path / "c.jsonl", *((f"d{number}", "") for number in range(1_203)), ("last", "x"))
    documents, heard = read(path)
    assert [document.id for document in documents] == ["last"]
    assert len(heard) == 4
    assert heard[-1] == "1,200 more: skipped an empty document"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("empty.jsonl", "", "holds no documents: expected text, Markdown"),
        ("empty.txt", " ", "holds no documents: expected text, Markdown"),
        ("rubbish", "\1\2\3\4\5\6", "is no text: 6 of its first 6 bytes are control characters"),
        ("cut.jsonl", '{"_id": "a", ', "1: not valid JSON (it ends in the middle"),
    ],
)
def test_files_without_documents(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=re.escape(f"{path}:") + " ?" + re.escape(reason)):
        read(path)


def test_a_path_without_documents_is_reported_beside_a_good_one(tmp_path: Path) -> None:
    good = beir(tmp_path / "good.jsonl", ("a", "x"))
    (tmp_path / "void").mkdir()
    reader = CorpusReader([good, tmp_path / "void"], lambda message: None)
    assert len(list(reader)) == 1
    (skipped,) = reader.report.skipped
    assert skipped.path == str(tmp_path / "void")
    assert skipped.reason.startswith("holds no documents")


def test_missing_path_is_told_before_anything_is_read(tmp_path: Path) -> None:
    good = beir(tmp_path / "good.jsonl", ("a", "x"))
    with pytest.raises(CorpusError, match=re.escape(f"{tmp_path / 'gone'}: there is no such file or folder")):
        next(iter(CorpusReader([good, tmp_path / "gone"], pytest.fail)))


def test_no_path_at_all() -> None:
    with pytest.raises(CorpusError, match="no corpus given"):
        read()


def test_questions_without_their_corpus(tmp_path: Path) -> None:
    beir(tmp_path / "queries.jsonl", ("q", "Who?"))
    with pytest.raises(CorpusError, match=re.escape("it has queries.jsonl, but corpus.jsonl is missing")):
        read(tmp_path)


READ_AND_MEASURE = """
import resource, sys
from pathlib import Path
from trailhound.retrievers.corpus._loading import CorpusReader

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lengths = [len(document.text) for document in CorpusReader([Path(sys.argv[1])], sys.exit)]
print(*lengths, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is measured in Linux's unit, KiB")
@pytest.mark.parametrize("name", ["long.jsonl", "long.txt"])
def test_a_line_of_fifty_megabytes_is_read_in_sane_memory(tmp_path: Path, name: str) -> None:
    text = "The long text goes on. " * (50_000_000 // 23)
    path = tmp_path / name
    lines = f'{{"_id": "a", "text": "x"}}\n{{"_id": "b", "text": "{text}"}}\n'
    path.write_text(lines if name == "long.jsonl" else text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    *lengths, peak = map(int, done.stdout.split())
    assert lengths == ([1, len(text)] if name == "long.jsonl" else [len(text)])
    assert peak * 1024 < 5 * len(text)


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the shared data sets are not here")
def test_2wiki_is_read_whole() -> None:
    documents, heard = read(DATA / "2wiki")
    assert len(documents) == 6_119
    assert len({document.id for document in documents}) == 6_119
    assert documents[0].title == "Teutberga"
    assert documents[0].source == "corpus.jsonl:1"
    assert heard == []

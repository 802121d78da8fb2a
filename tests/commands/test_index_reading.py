"""``trailhound index`` over what users really have: bad files, other encodings, folders that are no data set."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trailhound import Index
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]
SIMPLE = '{"_id": "r", "title": "", "text": "a record of the harbour"}\n'


def code_of(*arguments: str | Path) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def indexed(folder: Path, out: Path, capsys: Capture, *options: str) -> dict[str, Any]:
    """Return what ``--json`` says of indexing a folder."""
    assert code_of("index", folder, "--out", out, "--quiet", "--json", *options) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


def ids(out: Path) -> set[str]:
    return {passage.document_id for passage in Index.open(out).store}


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _unreadable(path: Path) -> None:
    path.write_text("x")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads whatever the rights say")


BAD: dict[str, tuple[str, bytes | Callable[[Path], None], str]] = {
    "broken PDF": ("a.pdf", b"%PDF-1.7\nrubbish", "cannot be read as PDF"),
    "empty PDF": ("a.pdf", b"", "cannot be read as PDF"),
    "HTML that is a program": ("a.html", bytes(range(32)) * 50, "is no text"),
    "program named text": ("a.txt", b"\x7fELF" + bytes(range(256)) * 40, "is no text"),
    "FIFO": ("a.txt", _fifo, "is a FIFO"),
    "dangling link": ("a.md", _dangling, "is a link that leads nowhere"),
    "unreadable": ("a.txt", _unreadable, "cannot be read (Permission denied)"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_skipped_and_reported_and_strict_stops(kind: str, tmp_path: Path, capsys: Capture) -> None:
    name, content, reason = BAD[kind]
    folder = written(tmp_path / "docs", {f"{number}.txt": f"The ferry {number} leaves." for number in range(3)})
    out = tmp_path / "x.index"
    indexed(folder, out, capsys)
    before = (out / "manifest.json").read_bytes()
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        content(folder / name)

    report = indexed(folder, out, capsys)
    assert report["documents"] == 3
    assert [one["path"] for one in report["skipped"]] == [str(folder / name)]
    assert reason in report["skipped"][0]["reason"]
    assert Index.open(out).manifest["reading"]["skipped"] == report["skipped"]

    assert code_of("index", folder, "--out", out) == 0
    output = capsys.readouterr()
    assert str(folder / name) in output.out
    assert reason in output.out
    assert "reading files: 4 in " in output.err or "reading files: 3 in " in output.err

    kept = (out / "manifest.json").read_bytes()
    assert code_of("index", folder, "--out", out, "--strict", "--quiet") == 1
    error = capsys.readouterr().err
    assert f"{folder / name}" in error
    assert reason in error
    assert (out / "manifest.json").read_bytes() == kept != before


def test_a_file_whose_package_is_missing_is_skipped_with_the_way_to_get_it(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "docx", None)
    folder = written(tmp_path / "docs", {"a.docx": b"PK", "b.txt": "The ferry leaves."})
    report = indexed(folder, tmp_path / "x.index", capsys)
    assert report["documents"] == 1
    (skipped,) = report["skipped"]
    assert skipped["path"] == str(folder / "a.docx")
    assert "pip install 'trailhound[office]'" in skipped["reason"]


def test_a_damaged_record_is_skipped_with_its_line(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(SIMPLE + '{"_id": "cut", \n' + '{"_id": "none"}\n[]\n' + SIMPLE.replace('"r"', '"s"'))
    report = indexed(path, tmp_path / "x.index", capsys)
    assert report["documents"] == 2
    assert [one["path"] for one in report["skipped"]] == [f"{path}:{line}" for line in (2, 3, 4)]
    assert code_of("index", path, "--out", tmp_path / "x.index", "--strict", "--quiet") == 1
    assert f"{path}:2: not valid JSON" in capsys.readouterr().err


def test_nothing_readable_is_an_error(tmp_path: Path, capsys: Capture) -> None:
    folder = written(tmp_path / "docs", {"a.pdf": b"rubbish", "b.pdf": b"rubbish"})
    assert code_of("index", folder, "--out", tmp_path / "x.index", "--quiet") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{folder / 'a.pdf'}: cannot be read as PDF" in error
    assert "1 more could not be read" in error
    assert not (tmp_path / "x.index").exists()


def test_a_long_table_ends_in_a_count(tmp_path: Path, capsys: Capture) -> None:
    folder = written(tmp_path / "docs", {"a.txt": "text", **{f"{number:02}.pdf": b"rubbish" for number in range(30)}})
    assert code_of("index", folder, "--out", tmp_path / "x.index", "--quiet") == 0
    output = capsys.readouterr().out
    assert output.count("cannot be read as PDF") == 20
    assert "and 10 more" in output


ENCODED = {
    "cp1252": ("old.txt", "The caf\u00e9 by the harbour", "latin-1", "cp1252"),
    "utf-16": ("wide.txt", "Die F\u00e4hre f\u00e4hrt um sieben", "utf-16", "utf-16-le"),
    "cp1251": ("ru.txt", "Паром отходит от пристани в семь часов утра каждый день", "cp1251", "cp1251"),
    "shift_jis": ("ja.md", "フェリーは朝七時に港を出発し、夕方に戻ります。", "shift_jis", "cp932"),
}


def test_encodings_are_found_and_said(tmp_path: Path, capsys: Capture) -> None:
    folder = written(tmp_path / "docs", {name: text.encode(written) for name, text, written, _ in ENCODED.values()})
    report = indexed(folder, tmp_path / "x.index", capsys)
    assert report["encodings"] == {name: found for name, _, _, found in ENCODED.values()}
    store = Index.open(tmp_path / "x.index").store
    assert {name: store.document(name).text for name, *_ in ENCODED.values()} == {
        name: text for name, text, *_ in ENCODED.values()
    }
    assert code_of("index", folder, "--out", tmp_path / "x.index", "--quiet") == 0
    assert "read as cp1252: old.txt\n" in capsys.readouterr().out


TRIPLES = "a\tr\tb\nb\tr\tc\n"
GRAPH: dict[str, tuple[dict[str, str | bytes], set[str] | None]] = {
    # The files of a folder; the ids of its documents, None where it is a knowledge graph.
    "triples and splits": ({"graph.txt": TRIPLES, "train.txt": TRIPLES, "dev.txt": "a\tr\tc\n"}, None),
    "triples and what tells of them": ({"graph.txt": TRIPLES, "README.md": "# About\n\nx"}, None),
    "text of that name": ({"graph.txt": "A graph is drawn.", "a.txt": "text"}, {"graph.txt", "a.txt"}),
    "triples beside a text": ({"graph.txt": TRIPLES, "a.txt": "plain text here"}, {"graph.txt", "a.txt"}),
    "triples beside a page": ({"graph.txt": TRIPLES, "a.md": "# page"}, {"graph.txt", "a.md"}),
    "triples beside a page below": ({"graph.txt": TRIPLES, "in/a.md": "# page"}, {"graph.txt", "in/a.md"}),
}


@pytest.mark.parametrize("kind", GRAPH)
def test_a_folder_is_a_knowledge_graph_only_where_nothing_else_is_in_it(
    kind: str, tmp_path: Path, capsys: Capture
) -> None:
    files, expected = GRAPH[kind]
    folder, out = written(tmp_path / "docs", files), tmp_path / "x.index"
    assert code_of("index", folder, "--out", out, "--quiet") == 0
    output = capsys.readouterr()
    if expected is None:
        assert "facts" in output.out
        return
    assert ids(out) == expected
    assert f"to index one, name {folder / 'graph.txt'}" in output.err
    if "triples" in kind:
        assert code_of("index", folder / "graph.txt", "--out", out, "--quiet") == 0
        assert "2 facts" in capsys.readouterr().out


def test_a_text_that_is_named_graph_is_a_document_where_it_is_named_itself(tmp_path: Path, capsys: Capture) -> None:
    path, out = written(tmp_path, {"graph.txt": "A graph is drawn with a pencil."}) / "graph.txt", tmp_path / "x.index"
    assert code_of("index", path, "--out", out, "--quiet") == 0
    assert f"{path}: read as a document, for its lines are not head<TAB>relation" in capsys.readouterr().err
    assert ids(out) == {"graph.txt"}


def test_options_that_no_knowledge_graph_has_are_refused(tmp_path: Path, capsys: Capture) -> None:
    folder = written(tmp_path / "kg", {"graph.txt": TRIPLES})
    for options, name in ((["--mask", "email"], "mask"), (["--drop-duplicates"], "drop_duplicates")):
        assert code_of("index", folder, "--out", tmp_path / "x.index", "--quiet", *options) == 1
        assert name in capsys.readouterr().err


LABELLED: dict[str, str | bytes] = {
    "corpus.jsonl": SIMPLE,
    "queries.jsonl": SIMPLE,
    "qrels/test.tsv": "q\tr\t1\n",
}
BEIR: dict[str, tuple[dict[str, str | bytes], set[str]]] = {
    "a data set": (
        {
            "corpus.jsonl": SIMPLE,
            "queries.jsonl": SIMPLE,
            "qrels/test.tsv": "q\tr\t1\n",
            "README.md": "About",
            "x.json": "{}",
        },
        {"r"},
    ),
    "documents beside": ({"corpus.jsonl": SIMPLE, "a.txt": "text", "b.md": "# page"}, {"r", "a.txt", "b.md"}),
    "documents below": ({"corpus.jsonl": SIMPLE, "deep/a.txt": "text"}, {"r", "deep/a.txt"}),
    "a data set with a document": ({**LABELLED, "a.txt": "text"}, {"r", "a.txt"}),
    "records among documents": ({"more.jsonl": SIMPLE, "a.txt": "text"}, {"r", "a.txt"}),
    "lines of something else": ({"log.jsonl": '{"event": "start"}\n', "a.txt": "text"}, {"log.jsonl", "a.txt"}),
}


@pytest.mark.parametrize("kind", BEIR)
def test_a_folder_is_a_data_set_only_where_nothing_else_is_in_it(kind: str, tmp_path: Path, capsys: Capture) -> None:
    files, expected = BEIR[kind]
    folder, out = written(tmp_path / "docs", files), tmp_path / "x.index"
    report = indexed(folder, out, capsys)
    assert ids(out) == expected
    beside = sum(name.startswith(("queries", "qrels", "README", "x.json")) for name in files)
    assert sum(report["left_out"].values()) == beside
    assert report["skipped"] == []


def test_a_socket_and_hidden_folders_are_counted_on_the_command_line(tmp_path: Path, capsys: Capture) -> None:
    folder = written(
        tmp_path / "docs", {"a.txt": "text", ".notes/b.md": "x", "p.png": b"x", "q.png": b"x", "e.txt": ""}
    )
    (folder / "linked").symlink_to("../elsewhere")
    written(tmp_path / "elsewhere", {"b.txt": "x"})
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(folder / "s.txt"))
    assert code_of("index", folder, "--out", tmp_path / "x.index", "--quiet") == 0
    output = capsys.readouterr().out
    assert "left out: 2 .png, 1 empty, 1 in hidden folders, 1 links to folders elsewhere\n" in output
    assert "is a socket" in output

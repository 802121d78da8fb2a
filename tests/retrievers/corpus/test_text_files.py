import os
import re
import socket
from pathlib import Path

import pytest
from trailhound.errors import CorpusError
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.corpus._report import ReadingReport
from trailhound.retrievers.corpus._text_files import SUFFIXES
from trailhound.retrievers.records import Document


def read(folder: Path) -> tuple[list[Document], list[str]]:
    heard: list[str] = []
    return list(CorpusReader([folder], heard.append)), heard


def report_of(*paths: Path) -> ReadingReport:
    reader = CorpusReader(paths, lambda message: None)
    list(reader)
    return reader.report


def test_folder_is_read_in_path_order_with_paths_as_ids(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "notes.md").write_text(
        "intro\n```\n# code\n```\n## The title ##\ntext", encoding="utf-8"
    )
    (tmp_path / "a.TXT").write_text("plain", encoding="utf-8")
    (tmp_path / "b.html").write_text("<title>Web</title><p>x</p>", encoding="utf-8")
    documents, heard = read(tmp_path)
    assert [(document.id, document.title, document.source) for document in documents] == [
        ("a.TXT", "a", "a.TXT"),
        ("b.html", "Web", "b.html"),
        ("b/deep/notes.md", "The title", "b/deep/notes.md"),
    ]
    assert [document.text for document in documents[:2]] == ["plain", "x"]
    assert not any(document.atomic for document in documents)
    assert heard == []


def test_what_is_left_out_is_counted_by_kind(tmp_path: Path) -> None:
    for name in ("a.txt", "b.png", "c.png", "Makefile", ".hidden.txt", ".notes/b.md", ".notes/deep/c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    for name in (".git", "node_modules", "__pycache__"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "d.txt").write_text("x", encoding="utf-8")
    documents, heard = read(tmp_path)
    assert [document.id for document in documents] == ["Makefile", "a.txt"]
    assert heard == []
    assert report_of(tmp_path).left_out == {
        ".png": 2,
        "hidden": 1,
        "in hidden folders": 2,
        "in .git": 1,
        "in node_modules": 1,
        "in __pycache__": 1,
    }


def test_text_is_normalised_once_and_repairs_are_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffCafe\u0301\r\nx\0y\r\n".encode())
    documents, heard = read(tmp_path)
    assert documents[0].text == "Caf\u00e9\nxy\n"
    assert heard == [f"{path}: removed NUL characters (1)"]


def test_character_references_are_normalised_too(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>Cafe&#x301; &#xD800;</p>", encoding="utf-8")
    assert read(tmp_path)[0][0].text == "Caf\u00e9 \ufffd"


def test_empty_files_are_skipped_with_a_warning(tmp_path: Path) -> None:
    for name, text in (("a.txt", ""), ("b.md", " \n"), ("c.html", "<script>1</script>"), ("d.txt", "x")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    documents, heard = read(tmp_path)
    assert [document.id for document in documents] == ["d.txt"]
    assert heard == [f"{tmp_path / name}: skipped an empty document" for name in ("a.txt", "b.md", "c.html")]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_bytes_that_are_not_utf8_are_read_with_a_note(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes("Der Fährmann fährt täglich.".encode("latin-1"))
    documents, heard = read(tmp_path)
    assert documents[0].text == "Der Fährmann fährt täglich."
    assert heard == [f"{path}: read as cp1252"]
    report = report_of(tmp_path)
    assert (report.encodings, report.notes) == ({name: "cp1252"}, [f"{path}: read as cp1252"])


def test_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(str(tmp_path)) + b"/caf\xe9.txt"
    try:
        with open(name, "wb") as file:
            file.write(b"x")
    except OSError:
        pytest.skip("this file system refuses such names")
    documents, heard = read(tmp_path)
    assert documents[0].id == "caf\ufffd.txt"
    assert documents[0].title == "caf\ufffd"
    assert any("replaced lone surrogates" in message for message in heard)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_only_regular_files_of_the_folder_are_read(suffix: str, tmp_path: Path) -> None:
    """Nothing is waited for, and what lies elsewhere is not indexed."""
    folder, elsewhere = tmp_path / "corpus", tmp_path / "elsewhere"
    (folder / "inner").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / f"secret{suffix}").write_text("root:x:0:0")
    (folder / "kept.txt").write_text("kept")
    os.mkfifo(folder / f"fifo{suffix}")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(os.path.relpath(folder / f"socket{suffix}"))
    for name, target in {
        "device": "/dev/zero",
        "gone": "nowhere",
        "itself": f"itself{suffix}",
        "outside": elsewhere / f"secret{suffix}",
        "passwd": "/etc/passwd",
        "folder": "inner",
    }.items():
        (folder / f"{name}{suffix}").symlink_to(target)
    (folder / "inner" / "circle").symlink_to(folder)
    (folder / "elsewhere").symlink_to(elsewhere)
    (folder / "alias.txt").symlink_to("kept.txt")
    documents, heard = read(folder)
    assert {document.id: document.text for document in documents} == {"alias.txt": "kept", "kept.txt": "kept"}
    warned = "\n".join(heard)
    assert warned.count("leads out of the folder") == 3
    assert warned.count("link to a folder") == 3
    reasons = [skipped.reason for skipped in report_of(folder).skipped]
    assert sorted(set(reasons)) == [
        "is a FIFO, not a regular file",
        "is a link that leads nowhere",
        "is a socket, not a regular file",
    ]
    left_out = report_of(folder).left_out
    assert left_out["links to files elsewhere"] == 3
    assert (left_out["links to folders of the corpus"], left_out["links to folders elsewhere"]) == (2, 1)


def test_a_link_that_the_user_names_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("kept")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "named.txt").symlink_to("real/a.txt")
    for path in (tmp_path / "link", tmp_path / "named.txt"):
        (document,) = CorpusReader([path], pytest.fail)
        assert document.text == "kept"


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.json", "notes.txt", "paper.pdf"])
def test_a_path_that_is_no_regular_file_is_an_error(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(CorpusError, match="is a FIFO, not a regular file"):
        list(CorpusReader([tmp_path / name], lambda message: None))


def test_a_corpus_file_that_is_a_link_out_of_its_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.jsonl").write_text('{"_id": "a", "text": "b"}')
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "corpus.jsonl").symlink_to("../elsewhere.jsonl")
    with pytest.raises(CorpusError, match=r"leads out of its folder: name .*elsewhere\.jsonl itself"):
        list(CorpusReader([tmp_path / "corpus"], pytest.fail))


def test_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=re.escape(f"{tmp_path / 'gone'}: there is no such file or folder")):
        read(tmp_path / "gone")


@pytest.mark.parametrize(
    ("text", "title"),
    [("#tag\n~~~\n# no\n~~~\n\n   ### C# ##\n# later", "C#"), ("no heading\n#\n", "page")],
)
def test_the_first_heading_outside_fenced_code_is_the_title(text: str, title: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(text)
    assert [document.title for document in read(tmp_path)[0]] == [title]

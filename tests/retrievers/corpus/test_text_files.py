import os
import re
import sys
from pathlib import Path

import pytest
from trailhound.errors import CorpusError, MissingExtraError
from trailhound.retrievers.corpus.complaints import Complaints
from trailhound.retrievers.corpus.text_files import first_heading, read_text_file, read_text_folder
from trailhound.retrievers.records import Document


def read(folder: Path) -> tuple[list[Document], list[str]]:
    heard: list[str] = []
    return [document for document, _ in read_text_folder(folder, Complaints(heard.append))], heard


def pdf(*pages: str) -> bytes:
    """A minimal PDF, one line of text to a page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, page in enumerate(pages):
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>"
        )
        stream = f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    body, offsets = "%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{item}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    return (
        f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    ).encode()


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


def test_other_files_are_ignored_with_one_counted_warning(tmp_path: Path) -> None:
    for name in ("a.txt", "b.png", "c.png", "Makefile", ".hidden.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "d.txt").write_text("x", encoding="utf-8")
    documents, heard = read(tmp_path)
    assert [document.id for document in documents] == ["a.txt"]
    assert heard == [
        f"{tmp_path}: ignored 4 files that are not .htm, .html, .md, .pdf, .txt: "
        "2 .png, 1 hidden, 1 without suffix"
    ]


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
def test_bytes_that_are_not_utf8_name_file_and_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"one\ntwo\nth\xffree")
    with pytest.raises(CorpusError, match=re.escape(f"{path}:3: byte 3 of the line (0xff) is not UTF-8")):
        read(tmp_path)


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


def test_link_that_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone.txt")
    with pytest.raises(CorpusError, match=r"a\.txt: is not a regular file"):
        read(tmp_path)


def test_first_heading_skips_fenced_code_and_hashtags() -> None:
    assert first_heading("#tag\n~~~\n# no\n~~~\n\n   ### C#  \n# later") == "C"
    assert first_heading("no heading\n#\n") == ""


def test_pdf_pages_are_joined_and_their_starts_kept(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    (tmp_path / "paper.pdf").write_bytes(pdf("First page.", "Second page."))
    (document,) = read(tmp_path)[0]
    assert (document.id, document.title, document.text) == (
        "paper.pdf",
        "paper",
        "First page.\n\nSecond page.",
    )
    assert document.metadata == {"page_starts": [0, 13]}


def test_damaged_pdf_names_the_file(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    path = tmp_path / "paper.pdf"
    path.write_bytes(b"%PDF-1.4\nnothing")
    with pytest.raises(CorpusError, match=re.escape(f"{path}: cannot be read as PDF")):
        read(tmp_path)


def test_pdf_without_pypdf_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    path = tmp_path / "paper.pdf"
    path.write_bytes(pdf("x"))
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'trailhound[pdf]'")):
        list(read_text_file(path, "paper.pdf", Complaints(pytest.fail)))

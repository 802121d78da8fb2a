import re
import sys
from pathlib import Path

import pytest
from trailhound.errors import CorpusError, MissingExtraError
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.corpus._loading import read_corpus
from trailhound.retrievers.corpus._text_files import pdf_pages


def pdf(*pages: str) -> bytes:
    """Write a minimal PDF by hand, one line of text to a page; an empty page has no text at all."""
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
        stream = f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET" if page else ""
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


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "paper.pdf"
    path.write_bytes(data)
    return path


def test_every_page_is_read_in_order_and_one_without_text_is_empty(tmp_path: Path) -> None:
    assert pdf_pages(written(tmp_path, pdf("First page.", "", "Third page."))) == [
        "First page.",
        "",
        "Third page.",
    ]


def test_passages_of_a_pdf_have_exact_offsets_and_know_their_page(tmp_path: Path) -> None:
    written(tmp_path, pdf("First page.", "Second page."))
    (document,) = read_corpus([tmp_path], pytest.fail)
    assert (document.id, document.title) == ("paper.pdf", "paper")
    assert document.text == "First page.\n\nSecond page."
    assert document.metadata["page_starts"] == [0, 13]
    passages = chunk(document, 2)
    assert [(passage.text, passage.start, passage.end) for passage in passages] == [
        ("First page.", 0, 11),
        ("Second page.", 13, 25),
    ]
    assert [passage.metadata for passage in passages] == [{"page": 1}, {"page": 2}]


def test_pdf_of_pictures_is_skipped_with_a_warning(tmp_path: Path) -> None:
    path = written(tmp_path, pdf(""))
    heard: list[str] = []
    with pytest.raises(CorpusError, match="holds no documents"):
        list(read_corpus([tmp_path], heard.append))
    assert heard == [f"{path}: skipped an empty document"]


def test_damaged_encrypted_and_missing_files_are_named(tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    path = written(tmp_path, b"%PDF-1.4\nnothing")
    with pytest.raises(CorpusError, match=re.escape(f"{path}: cannot be read as PDF")):
        pdf_pages(path)
    path = written(tmp_path, pdf("Secret."))
    writer = PdfWriter(clone_from=PdfReader(path))
    writer.encrypt("password", algorithm="RC4-128")
    with path.open("wb") as file:
        writer.write(file)
    with pytest.raises(CorpusError, match=re.escape(f"{path}: cannot be read as PDF") + ".*decrypt it"):
        pdf_pages(path)
    path.unlink()
    with pytest.raises(CorpusError, match=re.escape(f"{path}: cannot be read (No such file")):
        pdf_pages(path)


def test_pdf_without_pypdf_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdf", None)
    path = written(tmp_path, pdf("x"))
    expected = f"reading {path} needs pypdf: install it with  pip install 'trailhound[pdf]'"
    with pytest.raises(MissingExtraError, match=re.escape(expected)):
        pdf_pages(path)

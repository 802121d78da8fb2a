import re
from itertools import pairwise
from pathlib import Path

import pytest
from trailhound.errors import CorpusError
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.corpus._pdf import read_pdf


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


def test_passages_of_a_pdf_have_exact_offsets_and_know_their_page(tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_bytes(pdf("First page.", "Second page."))
    (document,) = CorpusReader([tmp_path], pytest.fail)
    assert (document.id, document.title, document.markup) == ("paper.pdf", "paper", "plain")
    assert document.text == "First page.\n\nSecond page."
    assert document.metadata["page_starts"] == [0, 13]


def test_every_page_is_read_in_order_and_one_without_text_is_empty() -> None:
    read = read_pdf(pdf("First page.", "", "Third page."), Path("x.pdf"))
    starts = [*read.page_starts, len(read.text)]
    pages = [read.text[start:end].strip() for start, end in pairwise(starts)]
    assert pages == ["First page.", "", "Third page."]


def test_pdf_of_pictures_is_left_out_as_empty(tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_bytes(pdf(""))
    heard: list[str] = []
    with pytest.raises(CorpusError, match=r"holds no documents.*1 empty"):
        list(CorpusReader([tmp_path], heard.append))
    assert f"{tmp_path / 'paper.pdf'}: skipped an empty document" in heard


def test_damaged_files_are_named() -> None:
    with pytest.raises(CorpusError, match=re.escape("x.pdf: cannot be read as PDF")):
        read_pdf(b"%PDF-1.4\nnothing", Path("x.pdf"))

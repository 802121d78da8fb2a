"""PDF: words, columns, tables, divided words, running lines, forms, passwords and titles, in files of reportlab."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas
from trailhound.errors import CorpusError
from trailhound.retrievers.corpus._loading import CorpusReader
from trailhound.retrievers.corpus._pdf import read_pdf
from trailhound.retrievers.corpus._read_text import ReadText

WORDS = [
    "the",
    "ferry",
    "leaves",
    "the",
    "old",
    "harbour",
    "at",
    "nine",
    "and",
    "carries",
    "many",
    "passengers",
    "to",
    "an",
    "island",
    "of",
    "grey",
    "stone",
]


def drawn(*pages: Callable[[Canvas], None], encrypt: StandardEncryption | None = None, title: str = "") -> ReadText:
    return read_pdf(written(*pages, encrypt=encrypt, title=title), Path("x.pdf"))


def written(*pages: Callable[[Canvas], None], encrypt: StandardEncryption | None = None, title: str = "") -> bytes:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=A4, encrypt=encrypt)
    if title:
        canvas.setTitle(title)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def lines(*texts: str, left: float = 72, top: float = 760, step: float = 14) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        for place, text in enumerate(texts):
            canvas.drawString(left, top - step * place, text)

    return draw


def pages_of(read: ReadText) -> list[str]:
    return [read.text[start:end].strip() for start, end in pairwise([*read.page_starts, len(read.text)])]


def prose(seed: int, count: int, words: int) -> list[str]:
    """Return lines whose every word is its own, so that the order of all of them can be compared."""
    chance = random.Random(seed)
    return [
        " ".join(f"{chance.choice(WORDS)}{'abc'[seed % 3]}{'abcdefghijkl'[line]}{word}" for word in range(words))
        for line in range(count)
    ]


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("drift", [0.0, 3.0])
@pytest.mark.parametrize("uneven", [False, True])
def test_columns_drawn_line_by_line_are_read_one_after_the_other(columns: int, drift: float, uneven: bool) -> None:
    size = 4.5
    texts = [prose(column, 12 - 3 * column * uneven, 4) for column in range(columns)]
    heading = "A heading over all of the columns of this page that is as wide as the page is itself"

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        canvas.drawString(40, 800, heading)
        canvas.setFont("Helvetica", size)
        for line in range(12):
            for column, text in enumerate(texts):
                if line < len(text):
                    canvas.drawString(40 + column * 175, 780 - 6 * line - drift * column / 3, text[line])

    assert drawn(page).text.split() == f"{heading} {' '.join(line for text in texts for line in text)}".split()


def test_columns_go_on_below_a_heading_and_end_where_one_column_begins() -> None:
    left, right, below = prose(0, 9, 4), prose(1, 9, 4), prose(2, 4, 14)

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 6)
        for line in range(9):
            gap = 8 if line > 4 else 0  # a paragraph begins
            canvas.drawString(40, 780 - 8 * line - gap, left[line])
            canvas.drawString(320, 780 - 8 * line - gap, right[line])
        for line, text in enumerate(below):
            canvas.drawString(40, 680 - 8 * line, text)

    assert drawn(page).text.split() == " ".join([*left, *right, *below]).split()


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_page_that_lies_on_its_side_is_read_line_by_line(turned: int) -> None:
    texts = prose(0, 9, 6)

    def page(canvas: Canvas) -> None:
        canvas.setPageRotation(turned)
        canvas.translate(300, 400)
        canvas.rotate(turned)
        lines(*texts, left=-200, top=100)(canvas)

    assert drawn(page).text.split() == " ".join(texts).split()


@pytest.mark.parametrize("turned", [90, 270])
def test_text_that_runs_up_or_down_a_page_keeps_its_lines_whole(turned: int) -> None:
    texts = prose(0, 9, 6)

    def page(canvas: Canvas) -> None:
        canvas.translate(300, 400)
        canvas.rotate(turned)
        lines(*texts, left=-200, top=100)(canvas)

    assert sorted(drawn(page).text.split("\n")) == sorted(texts)


def test_columns_drawn_one_after_the_other_stay_as_they_are() -> None:
    left, right = prose(1, 12, 4), prose(2, 12, 4)

    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 6)
        lines(*left, left=40)(canvas)
        lines(*right, left=320)(canvas)

    assert drawn(page).text.split() == " ".join(left + right).split()


@pytest.mark.parametrize(
    "rows",
    [
        [(f"Town{row}", f"{row * 17} m", f"{row} people") for row in range(12)],
        [(f"Term {row}", f"is what is explained in this longer line number {row} of a glossary") for row in range(12)],
        [(f"The lighthouse of town {row}", f"{row * 17}", "built of stone") for row in range(12)],
        [(f"The lighthouse of town {row}", f"Built of grey stone by {row} men") for row in range(12)],
    ],
)
def test_rows_of_a_table_stay_whole(rows: list[tuple[str, ...]]) -> None:
    def page(canvas: Canvas) -> None:
        for place, row in enumerate(rows):
            for cell, text in enumerate(row):
                canvas.drawString(60 + 180 * cell, 760 - 14 * place, text)

    assert drawn(page).text.split("\n") == [" ".join(row) for row in rows]


DIVIDED = {
    # What stands at the end of a line and what the next one begins with; other text of the document; the word.
    "a word": ("exam", "ple", "", "example"),
    "a word with a sign": ("exam", "ple, that", "", "example,\nthat"),
    "written with a hyphen elsewhere": ("short", "sighted", "a short-sighted man", "short-sighted"),
    "written in one piece elsewhere": ("under", "stand", "we understand; under a stand", "understand"),
    "two words of the document": ("cost", "benefit", "the cost and the benefit", "cost-benefit"),
    "a letter": ("e", "mail", "", "e-mail"),
    "a prefix": ("self", "made", "", "self-made"),
    "a name": ("Jean", "Paul", "", "Jean-Paul"),
    "a code": ("AB", "1234", "", "AB-1234"),
    "capitals": ("PARAME", "TERS", "the PARAMETERS of it", "PARAMETERS"),
}


@pytest.mark.parametrize("kind", DIVIDED)
def test_words_divided_at_the_end_of_a_line_are_joined(kind: str) -> None:
    first, second, elsewhere, whole = DIVIDED[kind]
    text = drawn(lines(f"This line ends with {first}-", f"{second} and goes on.", "", elsewhere)).text
    assert f"ends with {whole}" in text
    assert "and goes on." in text


def test_lines_that_pages_repeat_are_left_out_but_for_the_first_and_counted() -> None:
    pages = [
        lines(
            "Annual report of Brimsey",
            f"Text {word} of this page.",
            f"More {word}.",
            f"End {word}.",
            f"Page {place + 1} of 12",
        )
        for place, word in enumerate(WORDS[:12])
    ]
    read = drawn(*pages)
    assert read.text.count("Annual report") == 1
    assert read.text.count("Page ") == 1
    assert all(f"Text {word} of this page." in read.text for word in WORDS[:12])
    assert read.notes == ("left out 22 headers, footers and page numbers that pages repeat",)


def test_lines_that_differ_on_every_page_stay() -> None:
    pages = [lines(f"Invoice {4711 * place}", "Total", f"{place * place} crowns") for place in range(3, 12)]
    text = drawn(*pages).text
    assert all(f"Invoice {4711 * place}" in text and f"{place * place} crowns" in text for place in range(3, 12))


def test_pages_without_text_are_counted_and_keep_their_place() -> None:
    read = drawn(lines("First page."), lambda canvas: canvas.circle(100, 100, 50), lines("Third page."))
    assert pages_of(read) == ["First page.", "", "Third page."]
    assert read.notes == ("1 of 3 pages have no text: pictures?",)


def test_a_sentence_that_goes_on_on_the_next_page_is_not_set_apart() -> None:
    assert drawn(lines("The ferry was built by the"), lines("yard of Olaf Brandt.")).text == (
        "The ferry was built by the\nyard of Olaf Brandt."
    )


def test_values_of_a_form_are_read() -> None:
    def page(canvas: Canvas) -> None:
        canvas.drawString(72, 760, "Berth application")
        canvas.acroForm.textfield(name="boat", value="Seagull Anna", x=72, y=700, width=200, height=20)
        canvas.acroForm.checkbox(name="insured", checked=True, x=72, y=660)

    text = drawn(page).text
    assert text.startswith("Berth application\n")
    assert "boat: Seagull Anna" in text
    assert "insured: " in text


@pytest.mark.parametrize("strength", [40, 128])
def test_an_owners_password_is_no_obstacle_and_a_users_is_said(strength: int) -> None:
    owner = StandardEncryption("", ownerPassword="secret", canPrint=0, canCopy=0, strength=strength)
    assert drawn(lines("Harbour rules"), encrypt=owner).text == "Harbour rules"
    with pytest.raises(CorpusError, match=re.escape("x.pdf: needs a password: decrypt it, or leave it out")):
        drawn(lines("Harbour rules"), encrypt=StandardEncryption("user", ownerPassword="secret", strength=strength))


@pytest.mark.parametrize(
    ("named", "title"),
    [
        ("Tides of the north", "Tides of the north"),
        ("Microsoft Word - draft7.docx", "Harbour rules and fees"),
        ("untitled", "Harbour rules and fees"),
        ("rules.dvi", "Harbour rules and fees"),
        ("12345", "Harbour rules and fees"),
    ],
)
def test_the_title_is_that_of_the_file_where_it_is_one_else_its_largest_line(named: str, title: str) -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 20)
        canvas.drawString(72, 780, "Harbour rules")
        canvas.drawString(72, 756, "and fees")
        canvas.setFont("Helvetica", 10)
        lines("Mooring is allowed for two days.", "Boats longer than nine metres pay.", "So it is.", top=720)(canvas)

    assert drawn(page, title=named).title == title


def test_a_document_of_pages_has_exact_offsets(tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_bytes(written(lines("Cafe\u0301 one."), lines("Second page."), lines("Third.")))
    (document,) = CorpusReader([tmp_path], pytest.fail)
    assert (document.id, document.title, document.markup) == ("paper.pdf", "paper", "plain")
    starts = document.metadata["page_starts"]
    assert [document.text[start:].split("\n")[0] for start in starts][1:] == ["Second page.", "Third."]


def test_pdf_of_pictures_is_left_out_as_empty(tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_bytes(written(lambda canvas: canvas.circle(100, 100, 50)))
    heard: list[str] = []
    with pytest.raises(CorpusError, match=r"holds no documents.*1 empty"):
        list(CorpusReader([tmp_path], heard.append))
    assert f"{tmp_path / 'paper.pdf'}: 1 of 1 pages have no text: pictures?" in heard


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4\nnothing", b"rubbish" * 99])
def test_damaged_files_are_named(data: bytes) -> None:
    with pytest.raises(CorpusError, match=re.escape("x.pdf: cannot be read as PDF")):
        read_pdf(data, Path("x.pdf"))


def test_damage_anywhere_gives_text_or_an_error_that_names_the_file() -> None:
    whole = written(*(lines(*prose(page, 6, 4)) for page in range(3)))
    chance = random.Random(13)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            read = read_pdf(bytes(data[: chance.randint(len(data) // 2, len(data))]), Path("x.pdf"))
        except CorpusError as error:
            assert str(error).startswith("x.pdf: ")  # noqa: PT017
        else:
            assert list(read.page_starts) == sorted(read.page_starts)


def test_a_line_that_counts_with_the_pages_is_no_page_number() -> None:
    invoices = [
        lines("ACME Corp", f"Invoice {1000 + k}", f"Amount due: {37 * k} crowns", f"Due on {k} May 2024", f"Page {k}")
        for k in range(1, 7)
    ]
    text = drawn(*invoices).text
    for k in range(1, 7):
        assert f"Invoice {1000 + k}" in text
        assert f"Due on {k} May 2024" in text
    assert "Page 3" not in text
    assert text.count("ACME Corp") == 1


def test_hyphens_of_a_compound_and_before_and_stay() -> None:
    text = drawn(lines("It shows the state-of-the-", "art of short-", "and long-term care.")).text
    assert "state-of-the-art" in text
    assert "short-\nand long-term" in text

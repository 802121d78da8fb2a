"""Word, PowerPoint and Excel files, made here by the libraries that read them."""

import datetime
import re
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches
from trailhound.errors import CorpusError, MissingExtraError
from trailhound.retrievers.corpus._readers import READERS
from trailhound.retrievers.corpus._sheets import read_sheets
from trailhound.retrievers.corpus._slides import read_slides
from trailhound.retrievers.corpus._word import read_word

PATH = Path("file")


def saved(document: Any) -> bytes:
    target = BytesIO()
    document.save(target)
    return target.getvalue()


def changed(data: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Return an archive in which every member is what ``change`` makes of it, left out for None."""
    target = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return target.getvalue()


def word() -> Any:
    document = docx.Document()
    document.core_properties.title = ""
    return document


def test_a_word_document_becomes_markdown() -> None:
    document = word()
    document.sections[0].header.paragraphs[0].text = "page header"
    document.add_heading("Harbour rules", 0)
    document.add_heading("Fees", 1)
    document.add_paragraph("The fee is 9 crowns.\nPer day.")
    document.add_paragraph("# no heading")
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("deeper", style="List Bullet 2")
    document.add_paragraph("one", style="List Number")
    document.add_paragraph("two", style="List Number")
    table = document.add_table(rows=3, cols=2, style="Table Grid")
    for row, cells in zip(table.rows, [["Boat", "Fee"], ["Sloop|yawl", "9"], ["", ""]], strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    read = read_word(saved(document), PATH)
    assert read.title == "Harbour rules"
    assert read.text == (
        "# Harbour rules\n\n# Fees\n\nThe fee is 9 crowns.\nPer day.\n\n\\# no heading\n\n"
        "- first\n   - deeper\n1. one\n2. two\n\n| Boat | Fee |\n|---|---|\n| Sloop\\|yawl | 9 |"
    )


PARAGRAPHS = {
    "inserted": '<w:p {w}><w:r><w:t>a </w:t></w:r><w:ins w:id="1"><w:r><w:t>WORD</w:t></w:r></w:ins></w:p>',
    "link": "<w:p {w}><w:hyperlink><w:r><w:t>WORD</w:t></w:r></w:hyperlink></w:p>",
    "control": "<w:sdt {w}><w:sdtContent><w:p><w:r><w:t>WORD</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    "control in a line": "<w:p {w}><w:sdt><w:sdtContent><w:r><w:t>WORD</w:t></w:r></w:sdtContent></w:sdt></w:p>",
    "tag": "<w:p {w}><w:smartTag><w:r><w:t>WORD</w:t></w:r></w:smartTag></w:p>",
    "text box": "<w:p {w}><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>WORD</w:t></w:r></w:p></w:txbxContent></w:pict>"
    "</w:r></w:p>",
    "broken run": "<w:p {w}><w:r><w:t>WO</w:t></w:r><w:r><w:t>RD</w:t></w:r></w:p>",
    "nested table": "<w:tbl {w}><w:tr><w:tc><w:tbl><w:tr><w:tc><w:p><w:r><w:t>WORD</w:t></w:r></w:p></w:tc></w:tr>"
    "</w:tbl><w:p/></w:tc></w:tr></w:tbl>",
}


@pytest.mark.parametrize("xml", PARAGRAPHS.values(), ids=PARAGRAPHS)
def test_no_text_of_a_word_document_is_lost_or_said_twice(xml: str) -> None:
    document = word()
    document.add_paragraph("before")
    document.element.body.insert(1, parse_xml(xml.replace("{w}", nsdecls("w"))))
    assert re.findall(r"\w+", read_word(saved(document), PATH).text).count("WORD") == 1


def test_deleted_text_of_a_word_document_is_gone() -> None:
    document = word()
    deleted = '<w:p {w}><w:r><w:t>kept</w:t></w:r><w:del w:id="1"><w:r><w:delText>WORD</w:delText></w:r></w:del></w:p>'
    document.element.body.insert(0, parse_xml(deleted.replace("{w}", nsdecls("w"))))
    assert read_word(saved(document), PATH).text == "kept"


def test_the_title_of_a_word_document_is_its_own_first() -> None:
    document = word()
    document.add_heading("Heading", 1)
    document.core_properties.title = "Own title"
    assert read_word(saved(document), PATH).title == "Own title"


def test_every_slide_is_a_page() -> None:
    slides = pptx.Presentation()
    slides.core_properties.title = ""
    first = slides.slides.add_slide(slides.slide_layouts[1])
    first.shapes.title.text = "Tides"
    body = first.placeholders[1].text_frame
    body.text = "High at nine"
    deeper = body.add_paragraph()
    deeper.text, deeper.level = "in summer", 1
    first.notes_slide.notes_text_frame.text = "Say it slowly"
    second = slides.slides.add_slide(slides.slide_layouts[6])
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(3), Inches(1)).table
    for row, cells in enumerate([["Boat", "Fee"], ["Sloop", "9"]]):
        for column, text in enumerate(cells):
            table.cell(row, column).text = text
    group = second.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "grouped"
    data = CategoryChartData()
    data.categories = ["May", "June"]
    data.add_series("Boats", (3, 4.5))
    second.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, 0, 0, Inches(3), Inches(3), data)
    read = read_slides(saved(slides), PATH)
    assert read.title == "Tides"
    pages = [read.text[start:] for start in read.page_starts]
    assert pages[0].startswith("# Tides\n\nHigh at nine\n- in summer\n\nNotes:\nSay it slowly\n\n")
    assert pages[1] == (
        "| Boat | Fee |\n|---|---|\n| Sloop | 9 |\n\ngrouped\n\n|  | Boats |\n|---|---|\n| May | 3 |\n| June | 4.5 |"
    )


CELLS = [
    (7, "General", "7"),
    (7.0, "General", "7"),
    (0.1, "General", "0.1"),
    (0.125, "0.0%", "12.5%"),
    (0.5, "0%", "50%"),
    (1234567.891, "#,##0.00", "1,234,567.89"),
    (9.5, "$#,##0.00", "$9.50"),
    (9.5, '#,##0.00 "kr"', "9.50 kr"),
    (9.5, "#,##0.00 [$€-407]", "9.50 €"),
    (7, "00000", "00007"),
    (12345.678, "0.00E+00", "12345.678"),
    (datetime.datetime(2024, 3, 1), "DD/MM/YYYY", "2024-03-01"),
    (datetime.datetime(2024, 3, 1, 9, 30), "DD/MM/YYYY HH:MM", "2024-03-01 09:30:00"),
    (True, "General", "TRUE"),
    ("a|b\nc", "General", "a\\|b c"),
    ("=1+1", "General", "=1+1"),
    ("=1+", "@", "=1+"),
]


@pytest.mark.parametrize(("value", "form", "shown"), CELLS)
def test_a_cell_is_what_the_sheet_shows(value: object, form: str, shown: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Name", "Value"])
    book.active.append(["x", value])
    book.active["B2"].number_format = form
    assert read_sheets(saved(book), PATH).text.split("\n")[-1] == f"| x | {shown} |"


def test_sheets_are_headings_with_tables_without_empty_rows() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Fees"
    sheet["A1"] = "Fees of the harbour"
    for column, text in zip("BC", ("Boat", "Fee"), strict=True):
        sheet[f"{column}3"] = text
    sheet["B900"], sheet["C900"] = "Sloop", 9
    book.create_sheet("Nothing")
    book.create_sheet("Notes")["A1"] = "one note"
    read = read_sheets(saved(book), PATH)
    assert read.text == (
        "# Fees\n\nFees of the harbour\n\n|  | Boat | Fee |\n|---|---|---|\n|  | Sloop | 9 |\n\n# Notes\n\none note"
    )


def test_a_formula_is_its_last_value() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Sum"])
    book.active.append(["=1+1"])
    counted = changed(
        saved(book), lambda name, content: content.replace(b"<v />", b"<v>2</v>").replace(b"<v></v>", b"<v>2</v>")
    )
    assert read_sheets(counted, PATH).text.endswith("\n2")


def made(suffix: str) -> bytes:
    if suffix == ".docx":
        document = word()
        document.add_paragraph("text")
        return saved(document)
    if suffix == ".pptx":
        slides = pptx.Presentation()
        slides.slides.add_slide(slides.slide_layouts[0]).shapes.title.text = "text"
        return saved(slides)
    book = openpyxl.Workbook()
    book.active.append(["text"])
    return saved(book)


ENTITY = b'<!DOCTYPE a [<!ENTITY b "c">]><a/>'
MAIN = {".docx": "word/document.xml", ".pptx": "ppt/presentation.xml", ".xlsx": "xl/workbook.xml"}


@pytest.mark.parametrize("suffix", MAIN)
def test_a_damaged_file_is_a_corpus_error(suffix: str) -> None:
    whole = made(suffix)
    assert "text" in READERS[suffix](whole, PATH).text
    damaged = [
        b"",
        b"no archive",
        whole[: len(whole) // 2],
        changed(whole, lambda name, content: None if name == MAIN[suffix] else content),
        changed(whole, lambda name, content: None if name == "[Content_Types].xml" else content),
        changed(whole, lambda name, content: b"<a>" if name == MAIN[suffix] else content),
        changed(whole, lambda name, content: b"<a/>" if name == MAIN[suffix] else content),
        changed(whole, lambda name, content: content if name != MAIN[suffix] else ENTITY),
    ]
    for number, data in enumerate(damaged):
        with pytest.raises(CorpusError, match=r"^file: "):
            print(number, READERS[suffix](data, PATH))


def test_what_would_unpack_without_end_is_refused() -> None:
    target = BytesIO()
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("word/document.xml", "w") as member,
    ):
        for _ in range(600):
            member.write(bytes(1 << 20))
    with pytest.raises(CorpusError, match="would unpack to 629,145,600 bytes"):
        read_word(target.getvalue(), PATH)


@pytest.mark.parametrize(
    ("module", "suffix", "package"),
    [("docx", ".docx", "python-docx"), ("pptx", ".pptx", "python-pptx"), ("openpyxl", ".xlsx", "openpyxl")],
)
def test_a_package_that_is_not_installed_is_named(
    module: str, suffix: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=re.escape(f"needs {package}: install it with  pip install")):
        READERS[suffix](b"", PATH)

"""Every reader: what it makes of a small file of its kind; of a damaged one comes nothing but a CorpusError."""

import json
import random
import re
import zipfile
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import CorpusError
from trailhound.retrievers.compiling._markdown import headings
from trailhound.retrievers.corpus._csv_table import read_csv, separator_of
from trailhound.retrievers.corpus._epub import read_epub
from trailhound.retrievers.corpus._mail import read_mail
from trailhound.retrievers.corpus._notebook import read_notebook
from trailhound.retrievers.corpus._open_document import read_open_document
from trailhound.retrievers.corpus._readers import READERS
from trailhound.retrievers.corpus._rst import read_rst
from trailhound.retrievers.corpus._source_code import read_code

PATH = Path("file")


def zipped(**members: str) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


RST = """
=============
Harbour rules
=============

Text with :ref:`a link`.

Fees
====

Boats
~~~~~

Run::

  # install first
  make

.. code-block:: sh

   # a comment

.. note::

   Read *this*.

More fees
=========
"""


def test_rst_has_its_headings_and_lines_and_no_others() -> None:
    read = read_rst(RST.encode(), PATH)
    assert read.title == "Harbour rules"
    found = [(heading.level, heading.title) for heading in headings(read.text)]
    assert found == [(1, "Harbour rules"), (2, "Fees"), (3, "Boats"), (2, "More fees")]
    assert read.first_line == 1
    assert read.text.count("\n") == RST.count("\n")
    for line in ("# install first", "# a comment", "Read *this*."):
        number = next(number for number, other in enumerate(RST.split("\n")) if line in other)
        assert line in read.text.split("\n")[number]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Town,Height\nEly,20\n", "| Town | Height |\n|---|---|\n| Ely | 20 |"),
        ("Town;Height\nEly;1,5\n", "| Town | Height |\n|---|---|\n| Ely | 1,5 |"),
        ("Town\tHeight\nEly\t20\n", "| Town | Height |\n|---|---|\n| Ely | 20 |"),
        ("sep=|\nTown|Height\nEly|20\n", "| Town | Height |\n|---|---|\n| Ely | 20 |"),
        ('a,b\n"x, ""y""\nz",2\n', '| a | b |\n|---|---|\n| x, "y" z | 2 |'),
        ("a,b\r\n1,2\r\n\r\n,\r\n3\r\n", "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |"),
        ("Report of May\n\na,b\n1,2\n", "Report of May\n\n| a | b |\n|---|---|\n| 1 | 2 |"),
        ("only\nlines\n# here\n", "only\nlines\n\\# here"),
        ('a,b\n"never closed,2\n3,4\n', "| a | b |\n|---|---|\n| never closed,2 3,4 |"),
        ("a,b\n" + "x" * 200_000 + ",2", "| a | b |\n|---|---|\n| " + "x" * 200_000 + " | 2 |"),
        ("", ""),
    ],
)
def test_a_table_of_values_becomes_one_of_markdown(data: str, text: str) -> None:
    assert read_csv(data.encode(), Path("a.csv")).text == text


def test_the_separator_is_the_one_that_columns_are_made_of() -> None:
    assert separator_of("a;b,c\n1;2\n3;4,5") == ";"
    assert separator_of("one line of text") == ","


def test_a_notebook_has_its_prose_code_and_output() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Tides\n", "Prose."]},
        {
            "cell_type": "code",
            "source": "# a comment\nprint(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "execute_result", "data": {"text/plain": ["2"], "image/png": "AAAA"}},
                {"output_type": "display_data", "data": {"text/html": ["<table><tr><th>a<th>b<tr><td>1<td>2</table>"]}},
                {"output_type": "error", "traceback": ["\x1b[31mNameError\x1b[0m", "no x"]},
            ],
        },
        {"cell_type": "raw", "source": "raw"},
    ]
    notebook = {"cells": cells, "metadata": {"kernelspec": {"language": "python"}}, "nbformat": 4}
    read = read_notebook(json.dumps(notebook).encode(), PATH)
    assert read.title == "Tides"
    assert read.text.split("\n\n") == [
        "# Tides\nProse.",
        "```python\n# a comment\nprint(1)\n```",
        "```\n1\n```",
        "```\n2\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "```\nNameError\nno x\n```",
        "raw",
    ]


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"cells": 3}', "[" * 100_000])
def test_what_is_no_notebook_says_so(data: str) -> None:
    with pytest.raises(CorpusError, match=r"^file: .*(?:is no notebook|no text)"):
        read_notebook(data.encode(), PATH)


def test_a_mail_has_its_head_its_text_and_the_texts_attached() -> None:
    forwarded = EmailMessage()
    forwarded["Subject"], forwarded["From"] = "Before", "ann@example.org"
    forwarded.set_content("What was said before.")
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Fähre um neun", "Bo <bo@example.org>", "cy@example.org"
    mail["Date"] = "Mon, 04 Mar 2024 09:00:00 +0000"
    mail.set_content("The ferry leaves at nine – always.")
    mail.add_alternative("<p>The ferry leaves at nine.</p>", subtype="html")
    mail.add_attachment("fee;9", filename="fees.txt")
    mail.add_attachment(b"\x89PNG\0", maintype="image", subtype="png", filename="boat.png")
    mail.add_attachment(forwarded)
    read = read_mail(mail.as_bytes(), PATH)
    assert read.title == "Fähre um neun"
    assert read.text == (
        "From: Bo <bo@example.org>\nTo: cy@example.org\nDate: Mon, 04 Mar 2024 09:00:00 +0000\n\n"
        "The ferry leaves at nine – always.\n\nAttachment: fees.txt\n\nfee;9\n\nAttachment: boat.png\n\n"
        "Before\n\nFrom: ann@example.org\n\nWhat was said before."
    )
    assert read.markup == "plain"
    assert read.left_out == (("attachments of mails", 1),)


def test_a_mail_in_html_alone_is_read() -> None:
    mail = b"Subject: x\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<h1>Caf\xe9</h1><p>open"
    read = read_mail(mail, PATH)
    assert read.text == "# Café\n\nopen"
    assert read.markup == "markdown"


@pytest.mark.parametrize(
    ("mail", "text"),
    [
        (b"Subject: x\n\nplain", "plain"),
        (b"Subject: x\nContent-Type: text/plain; charset=nonsense\n\ncaf\xc3\xa9", "café"),
        (b"Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nYWI*=", "ab"),
        (b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\nno part", "no part"),
        (b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\npart one, never closed", "part one"),
        (b"Subject: x\nFrom: <<>@,;\n\nplain", "plain"),
    ],
)
def test_a_damaged_mail_loses_no_text(mail: bytes, text: str) -> None:
    assert text in read_mail(mail, PATH).text


CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
PACKAGE = """<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>The Harbour</dc:title></metadata>
<manifest><item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="b" href="two%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="one.xhtml" media-type="application/xhtml+xml"/></manifest>
<spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/></spine></package>"""


def test_the_chapters_of_a_book_come_in_reading_order() -> None:
    members = {
        "META-INF/container.xml": CONTAINER,
        "OPS/book.opf": PACKAGE,
        "OPS/nav.xhtml": "<p>contents",
        "OPS/two b.xhtml": "<h1>Two</h1><p>end",
        "OPS/one.xhtml": "<h1>One</h1><p>begin",
    }
    read = read_epub(zipped(**members), PATH)
    assert read.title == "The Harbour"
    assert read.text == "# One\n\nbegin\n\n# Two\n\nend"
    del members["OPS/one.xhtml"]
    assert read_epub(zipped(**members), PATH).notes == ("1 chapters are missing",)
    with pytest.raises(CorpusError, match=re.escape("file: has no META-INF/container.xml in it")):
        read_epub(zipped(mimetype="application/epub+zip"), PATH)


NAMESPACES = " ".join(f'xmlns:{name}="urn:{name}"' for name in ("office", "text", "table", "draw"))


def open_document(body: str) -> bytes:
    xml = f"<office:document-content {NAMESPACES}><office:body>{body}</office:body></office:document-content>"
    return zipped(**{"content.xml": xml})


def test_an_open_document_text_becomes_markdown() -> None:
    body = (
        "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        '<text:h text:outline-level="2">Fees</text:h><text:p>The<text:s/>fee <text:span>is 9</text:span><text:note>'
        "<text:note-citation>1</text:note-citation><text:note-body><text:p>a note</text:p></text:note-body></text:note>"
        ".<text:line-break/># next</text:p>"
        "<text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item>"
        "</text:list></text:list-item></text:list><table:table><table:table-row><table:table-cell><text:p>x</text:p>"
        "</table:table-cell><table:table-cell><text:p>y</text:p></table:table-cell></table:table-row></table:table>"
        "</office:text>"
    )
    read = read_open_document(open_document(body), PATH)
    assert read.title == "Fees"
    assert read.text == ("## Fees\n\nThe fee is 9 [1].\n\\# next\n\n- a\n  - b\n\n| x | y |\n|---|---|\n\n[1] a note")


def test_sheets_and_slides_of_open_document() -> None:
    cell = '<table:table-cell table:number-columns-repeated="16384"/>'
    row = f'<table:table-row table:number-rows-repeated="1000000">{cell}'
    body = (
        '<office:spreadsheet><table:table table:name="Fees"><table:table-row><table:table-cell><text:p>a</text:p>'
        '</table:table-cell><table:table-cell table:number-columns-repeated="2"><text:p>b</text:p></table:table-cell>'
        f"</table:table-row>{row}</table:table-row></table:table></office:spreadsheet>"
    )
    assert read_open_document(open_document(body), PATH).text == "# Fees\n\n| a | b | b |\n|---|---|---|"
    pages = "".join(f"<draw:page><draw:frame><text:p>page {n}</text:p></draw:frame></draw:page>" for n in (1, 2))
    read = read_open_document(open_document(f"<office:presentation>{pages}</office:presentation>"), PATH)
    assert [read.text[start : start + 6] for start in read.page_starts] == ["page 1", "page 2"]


def test_source_code_is_read_as_it_stands() -> None:
    read = read_code(b"# -*- coding: latin-1 -*-\n# caf\xe9\n", Path("a.py"))
    assert (read.title, read.text, read.markup, read.first_line) == (
        "a.py",
        "# -*- coding: latin-1 -*-\n# café\n",
        "code",
        1,
    )


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\n# generated\ntitle: 'Harbour rules' # short\n---\n# Mooring\n", "Harbour rules"),
        ('+++\ntitle = "Harbour rules"\n+++\n# Mooring\n', "Harbour rules"),
        ("Harbour rules\n=============\n\nFees\n----\n", "Harbour rules"),
        ("```\n# code\n```\n<!--\n# comment\n-->\n# Harbour rules", "Harbour rules"),
        ("text alone", ""),
    ],
)
@pytest.mark.parametrize("suffix", [".md", ".mdx", ".markdown"])
def test_the_title_of_markdown(suffix: str, text: str, title: str) -> None:
    read = READERS[suffix](text.encode(), PATH)
    assert (read.title, read.text, read.first_line, read.markup) == (title, text, 1, "markdown")


def read_or_refuse(suffix: str, data: bytes) -> str:
    try:
        return READERS[suffix](data, Path("file" + suffix)).text
    except CorpusError:
        return ""


TEXTUAL = [".html", ".md", ".rst", ".csv", ".ipynb", ".eml", ".py", ".xml", ".json", ".txt", ".tsv", ".adoc"]
SEEDS = {
    ".html": b"<h1>a</h1><table><tr><td>b<td>c</table><pre>d",
    ".rst": RST.encode(),
    ".csv": b'a,b\n"c",d\n',
    ".ipynb": b'{"cells": [{"cell_type": "code", "source": ["a"], "outputs": [{"text": "b"}]}], "metadata": {}}',
    ".eml": b"Subject: =?utf-8?q?a?=\nContent-Type: multipart/mixed; boundary=b\n\n"
    b"--b\nContent-Type: text/html\n\n<p>a\n--b--",
    ".odt": open_document("<office:text><text:p>a</text:p></office:text>"),
    ".epub": zipped(**{"META-INF/container.xml": CONTAINER, "OPS/book.opf": PACKAGE, "OPS/one.xhtml": "<p>a"}),
}


@pytest.mark.parametrize("suffix", TEXTUAL)
@given(data=st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(suffix: str, data: bytes) -> None:
    read_or_refuse(suffix, data)


@pytest.mark.parametrize("suffix", SEEDS)
def test_a_file_with_bytes_changed_is_read_or_refused(suffix: str) -> None:
    chance = random.Random(suffix)
    for _ in range(300):
        data = bytearray(SEEDS[suffix])
        for _ in range(chance.randrange(1, 6)):
            place = chance.randrange(len(data))
            data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        read_or_refuse(suffix, bytes(data))


LINES = ["word", "other::", "  deep", "====", "~~~~", "# x", ".. note::", "", "| a", "---"]


@pytest.mark.parametrize("suffix", [".rst", ".csv", ".tsv", ".ipynb", ".eml"])
@given(
    lines=st.lists(st.sampled_from(["word", "other::", "  deep", "====", "~~~~", "# x", ".. note::", "", "| a", "---"]))
)
def test_no_word_is_lost(suffix: str, lines: list[str]) -> None:
    text = "\n".join(lines)
    data = text.encode()
    if suffix == ".ipynb":
        data = json.dumps({"cells": [{"cell_type": "code", "source": text}]}).encode()
    if suffix == ".eml":
        data = b"Subject: x\n\n" + data
    assert re.findall(r"\w+", read_or_refuse(suffix, data)) == re.findall(r"\w+", text)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("suffix", [".rst", ".csv", ".ipynb", ".eml", ".xml", ".md", ".adoc"])
@pytest.mark.parametrize(
    "piece", ["<a ", "a,", '"', "a::\n\n ", "==\na\n==\n", "\n", " ", ".. ", "[", "12 May ", "a: b\n"]
)
def test_a_megabyte_of_one_thing_is_read_before_the_time_is_up(suffix: str, piece: str) -> None:
    read_or_refuse(suffix, (piece * (1_000_000 // len(piece))).encode())

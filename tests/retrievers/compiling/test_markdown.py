"""A passage stands under the headings above it, whatever their levels."""

import pytest
from trailhound.retrievers.compiling._chunking import chunk
from trailhound.retrievers.compiling._markdown import Section, document_title, headings, sections
from trailhound.retrievers.records import Document

TEXT = """Before all headings.

# Ada Brun

One two three four five six.

Seven eight nine ten eleven twelve.

## Life

### Early ##

Born here at the sea.

## Films

Made them all by herself.

```
# no heading
```
"""


def test_headings_are_markdowns_outside_fences() -> None:
    found = headings(TEXT)
    assert [(heading.level, heading.title) for heading in found] == [
        (1, "Ada Brun"),
        (2, "Life"),
        (3, "Early"),
        (2, "Films"),
    ]
    assert [TEXT[heading.start : heading.end] for heading in found][2] == "### Early ##"
    assert headings("#\n# \n#hash\n####### seven\n") == []


def test_each_passage_knows_where_it_stands() -> None:
    document = Document("d", "Ada Brun", TEXT)
    passages = chunk(document, 10)
    assert [passage.text.split("\n")[0] for passage in passages] == [
        "Before all headings.",
        "# Ada Brun",
        "Seven eight nine ten eleven twelve.",
        "## Life",
        "## Films",
        "```",
    ]
    assert sections(document, passages) == [
        Section((), 0),
        Section(("Ada Brun",), 1),
        Section(("Ada Brun",), 0),
        Section(("Ada Brun", "Life", "Early"), 2),
        Section(("Ada Brun", "Films"), 1),
        Section(("Ada Brun", "Films"), 0),
    ]
    assert [section.above for section in sections(document, passages)] == [
        (),
        (),
        ("Ada Brun",),
        ("Ada Brun",),
        ("Ada Brun",),
        ("Ada Brun", "Films"),
    ]


def test_a_heading_in_the_middle_of_a_passage_counts_from_the_next_one_on() -> None:
    """Only a passage of many headings and nothing else has one in it that it does not begin with."""
    document = Document("d", "T", "intro\n\n# A\n\n# B\n\ntext text text text")
    whole = chunk(Document("d", "T", document.text, atomic=True))
    assert sections(document, whole) == [Section((), 0)]
    assert [section.path for section in sections(document, chunk(document, 5))] == [(), ("B",)]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("---\n# generated, do not edit\ntitle: Harbour rules\ntags: [a, b]\n---\n\n# Mooring\n", "Harbour rules"),
        ("Harbour rules\n=============\n\nText.\n\nFees\n----\n", "Harbour rules"),
        ('+++\ntitle = "Tom\'s"\n+++\n# x', "Tom's"),
        ("---\ntitle: >-\n  Folded\n  text\nx: 1\n---\n# x", "Folded text"),
        ("---\nTitle: 'It''s' # why\n---\n", "It's"),
        ('---\nlayout: "post"\ntitle: "A \\"b\\": c" # d\n...\n# x', 'A "b": c'),
        ("---\ntitle: plain # comment\n---\n", "plain"),
        ("---\nmenu:\n  title: of the menu\n---\n# Real\n", "Real"),
        ("---\ntitle: never closed\n\n# Real\n", "Real"),
        ("---\n\nA paragraph between rules.\n\n---\n# Real\n", "Real"),
        (
            "<!-- # hidden\n# hidden too -->\n\n> # quoted\n\n- # listed\n\n```\n# code\n```\n\n    # co\n\n# Real #\n",
            "Real",
        ),
        ("# **Bold** `code` and [a link](x.md) <a id='b'></a> {#anchor}\n", "Bold code and a link"),
        ("# C#\n", "C#"),
        ("#\n\n#hash\n\n####### seven\n", ""),
        ("two\nlines\n---\n", "two lines"),
        ("windows\r\n=======\r\n\r\ntext\r\n", "windows"),
        ("", ""),
    ],
)
def test_the_title_of_a_document(text: str, title: str) -> None:
    assert document_title(text) == title

"""What is read out of a passage to be asked for."""

from __future__ import annotations

from trailhound.learning.made_questions._passage_reading import PassageReading, Program, is_prose
from trailhound.retrievers.records import Passage


def reading(text: str, title: str = "") -> PassageReading:
    return PassageReading(0, Passage("p", "d", title, text, 0, len(text), ((0, len(text)),)))


def test_cells_are_named_by_row_and_column() -> None:
    inline = reading(
        "Years ended ; Item | 2019 | 2018 ; Net sales | $ 1,452 | $ 1,146 ; Total | 5 | 6 ; (in millions) | a | b"
    )
    assert [(cell.row, cell.column, cell.others) for cell in inline.cells] == [
        ("Net sales", "2019", ("2018",)), ("Net sales", "2018", ("2019",)),
    ]  # fmt: skip
    marked = reading("| Part | Weight | Price |\n|---|---|---|\n| Red pump | 12 | 3.5 |\n| Valve | 2 | 8 |")
    assert {(cell.row, cell.column) for cell in marked.cells} == {
        (row, column) for row in ("Red pump", "Valve") for column in ("Weight", "Price")
    }
    assert reading("A line without a table.").cells == []


def test_programs_by_name_and_comment() -> None:
    python = reading('def readTwoLines(path):\n    """Read the first two lines. Slow."""\n    return path')
    assert python.programs == [Program("python", "read two lines", "Read the first two lines")]
    java = reading("public static int countWords(String text) {\n  // Counts the words of a text\n  return 0;\n}")
    assert java.programs == [Program("java", "count words", "Counts the words of a text")]


def test_identifiers_are_those_that_people_type() -> None:
    text = "Set max_tokens or call fetchRows(x) in v2_beta.\nNever NameLatest, share7, a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5."
    assert [written for written, _ in reading(text).identifiers] == ["max_tokens", "fetchRows", "v2_beta"]


def test_errors_are_messages() -> None:
    text = 'It prints ValueError: no pump was given to it.\nAn Error page.\nraise X("cannot open the red valve")'
    assert reading(text).errors == ["ValueError: no pump was given to it", "cannot open the red valve"]


def test_prose_is_told_from_code_and_references() -> None:
    assert is_prose("The pump is filled with water before the first run.")
    assert not is_prose("for (int i = 0; i < n; i++) { sum += a[i]; }")
    assert not is_prose("J Biol Chem 1999 274 10681 10684 10196136")
    assert not is_prose("The NameLatestModel of the SheetsGoogle addonThe is in the list.")


def test_a_title_alone_says_nothing() -> None:
    assert reading("Before you start\n\n", "Before you start").is_empty
    assert not reading("Create funny memes.", "MemeTool").is_empty


def test_headings_are_the_title_and_lines_that_stand_alone() -> None:
    text = "# Filling the pump\n\nPour water in.\n\nEmptying the old pump\n\nTurn it over."
    assert reading(text, "pump_manual").headings == ["pump manual", "Filling the pump", "Emptying the old pump"]

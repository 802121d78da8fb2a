"""What the lines above a Markdown text say becomes metadata, and nothing in them makes reading slow or fails it."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound import Index, Where
from trailhound.retrievers.compiling._front_matter import front_matter_settings
from trailhound.retrievers.protocols import Encoder

VALUES: list[tuple[str, Any]] = [
    ("2026", 2026),
    ("-3", -3),
    ("1.50", 1.5),
    ("true", True),
    ("no", "no"),
    ("0755", "0755"),
    ("12:30:00", "12:30:00"),
    ("2026-01-02", "2026-01-02"),
    ("1e5", "1e5"),
    ("9" * 30, "9" * 30),
    ("null", None),
    ("", None),
    ("[a, 'b c', 3]", ["a", "b c", 3]),
    ("{inner: {deep: x}}", {"inner": {"deep": "x"}}),
    ("\n  - staff\n  - ada", ["staff", "ada"]),
    ("|\n  two\n  lines", "two\nlines\n"),
]


@pytest.mark.parametrize(("written", "value"), VALUES)
def test_values_of_yaml(written: str, value: Any) -> None:
    assert front_matter_settings(f"---\nfield: {written}\n---\nText.\n") == {"field": value}


def test_toml() -> None:
    text = '+++\ntitle = "Fares"\nyear = 2026\nday = 2026-01-02\nbig = inf\n[about]\ntags = ["a"]\n+++\nText.\n'
    found = front_matter_settings(text)
    assert found == {"title": "Fares", "year": 2026, "day": "2026-01-02", "big": "inf", "about": {"tags": ["a"]}}
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("text", ["", "Text.", "---\n\nA rule.\n\n---\n", "---\nyear: 1\nno end\n"])
def test_texts_without_front_matter_say_nothing(text: str) -> None:
    assert front_matter_settings(text) == {}


BOMB = "a: &a [x, x]\n" + "\n".join(f"{new}: &{new} [*{old}, *{old}]" for old, new in pairwise("abcdefghi"))


@pytest.mark.parametrize(
    "lines",
    [BOMB, "a: " + "[" * 5000, "a: [1", "a: !!python/object:os.system x", "a: " + "x" * 70_000, "a: b: c", "a: \x00"],
)
def test_what_cannot_be_read_is_an_error_that_says_so(lines: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        front_matter_settings(f"---\n{lines}\n---\nText.\n")


@given(st.text(st.sampled_from("ab:-[]{}\"'#&*!|>\n 01.,%@`?~"), max_size=60))
def test_any_lines_are_read_or_refused(lines: str) -> None:
    for fence in ("---", "+++"):
        with suppress(ValueError):
            json.dumps(front_matter_settings(f"{fence}\na: {lines}\n{fence}\nText.\n"), allow_nan=False)


def test_conditions_find_documents_by_it(tmp_path: Path, hashing_encoder: Encoder) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "new.md").write_text(
        "---\nyear: 2026\naccess: [staff]\nfile_hash: mine\n---\n# Fares\n\nDogs pay half.\n"
    )
    (folder / "old.md").write_text("---\nyear: 1999\n---\n# Fares\n\nDogs travel free.\n")
    (folder / "broken.md").write_text("---\nyear: [\n---\n# Fares\n\nCats pay nothing.\n")
    notes: list[str] = []
    index = Index.build(folder, tmp_path / "x.index", encoder=hashing_encoder, warn=notes.append)
    with index.snapshot(Where(metadata={"year": {"$gte": 2000}})):
        assert index.store.document_ids() == ["new.md"]
    with index.snapshot(Where(principals=["guest"])):
        assert set(index.store.document_ids()) == {"old.md", "broken.md"}
    assert len(index.store.document("new.md").metadata["file_hash"]) > len("mine")
    assert "Cats pay nothing." in index.store.document("broken.md").text
    assert any("front matter" in note for note in notes)

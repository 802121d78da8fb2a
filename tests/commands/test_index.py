"""``trailhound index`` as a user meets it: what is masked, how passages are cut, what they are found by."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Index, IndexSettings
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "ada.md").write_text("# Ada Brun\n\nMail ada@brun.example or call 212-555-0142. She is EMP-123456.\n")
    (folder / "torl.md").write_text("# Torl\n\nA town by the sea, where Ada Brun was born.\n")
    return folder


def code_of(*arguments: str | Path) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)


def test_masks_chunks_and_contexts(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "x.index"
    masks = ["--mask", "email", "phone", "--mask", "card", "--mask-pattern", r"staff=EMP-\d{6}"]
    cut = ["--chunk-tokens", "12", "--context", "corpus"]
    assert code_of("index", notes, "--out", out, *masks, *cut, "--quiet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "masked: 1 email, 1 phone, 0 card, 1 staff in 1 documents"
    index = Index.open(out)
    assert index.settings == IndexSettings(chunk_tokens=12, context="corpus", mask=("email", "phone", "card"))
    count = index.encoder.count_tokens  # type: ignore[attr-defined]
    assert max(count(passage.text) for passage in index.store) <= 12
    assert "brun.example" not in index.store.document("ada.md").text


def test_all_masks_everything_and_nothing_is_said_without_masking(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    assert code_of("index", notes, "--out", tmp_path / "x.index", "--mask", "all", "--quiet") == 0
    assert "masked: 1 email, 1 phone, 0 card, 0 iban, 0 ip, 0 secret in 1 documents" in capsys.readouterr().out
    assert code_of("index", notes, "--out", tmp_path / "x.index", "--quiet") == 0
    assert "masked" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--mask", "emial"], 2, "invalid choice: 'emial'"),
        (["--mask-pattern", "nothing"], 2, "'nothing' is not NAME=REGEX"),
        (["--mask-pattern", "a=x", "--mask-pattern", "a=y"], 2, "two --mask-pattern have one name"),
        (["--mask-pattern", "a=("], 1, "a=( is not a regular expression"),
        (["--mask-pattern", "a=x*"], 1, "matches the empty string"),
        (["--chunk-tokens", "0"], 2, "--chunk-tokens"),
        (["--context", "titles"], 2, "invalid choice: 'titles'"),
    ],
)
def test_mistakes_are_said_in_one_line(
    notes: Path, tmp_path: Path, capsys: Capture, arguments: list[str], code: int, message: str
) -> None:
    assert code_of("index", notes, "--out", tmp_path / "x.index", *arguments, "--quiet") == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x.index").exists()

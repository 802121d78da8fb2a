"""``trailhound update`` and ``trailhound compact`` as a user meets them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from trailhound import Index
from trailhound.cli import main

Capture = pytest.CaptureFixture[str]


def code_of(*arguments: str | Path) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return int(left.code or 0)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "gate.md").write_text("# The Silver Gate\n\nThe Silver Gate is a film that was directed by Ada Brun.\n")
    (folder / "brun.md").write_text("# Ada Brun\n\nAda Brun is a director. Her mother is Lena Marsk, a painter.\n")
    assert code_of("index", folder, "--out", tmp_path / "n.index", "--quiet") == 0
    return tmp_path / "n.index"


def test_documents_come_change_and_go(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    new = tmp_path / "marsk.md"
    new.write_text("# Lena Marsk\n\nLena Marsk painted zebras.\n")
    (tmp_path / "asked.txt").write_text("Who painted zebras?\n\nWho directed The Silver Gate?\n")
    capsys.readouterr()
    assert code_of("update", notes, new, "--quiet", "--questions", tmp_path / "asked.txt") == 0
    printed = capsys.readouterr().out
    assert "documents: 1 added; 1 new passages" in printed
    assert re.search(r"^searchable after [\d,]+ ms$", printed, re.MULTILINE)
    assert re.search(
        r"drift .*unknown terms 0\.\d\d, centroid shift .*unseen passages in their results 0\.\d\d", printed
    )
    assert "`trailhound compact` would make searches faster" in printed
    assert code_of("search", notes, "Who painted zebras?", "--system", "hybrid") == 0
    assert "Lena Marsk painted zebras." in capsys.readouterr().out

    new.write_text("# Lena Marsk\n\nLena Marsk painted giraffes.\n")
    assert code_of("update", notes, new, "--quiet") == 1
    assert "is in the index already" in capsys.readouterr().err
    assert code_of("update", notes, new, "--replace", "--delete", "gate.md", "--quiet") == 0
    printed = capsys.readouterr().out
    assert "documents: 1 replaced, 1 deleted; 1 new passages" in printed
    assert re.search(r"^searchable after [\d,]+ ms$", printed, re.MULTILINE)

    assert code_of("compact", notes, "--quiet") == 0
    assert f"{notes}: 2 documents, 2 passages, " in capsys.readouterr().out
    assert code_of("compact", notes, "--quiet") == 0
    assert "no changes to fold in" in capsys.readouterr().out
    index = Index.open(notes)
    assert [passage.title for passage in index.store] == ["Ada Brun", "Lena Marsk"]
    assert "giraffes" in index.store.passage(1).text


def test_patterns_are_given_again(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a.txt").write_text("EMP-123456 keeps the gate.")
    (tmp_path / "b.txt").write_text("EMP-654321 keeps the mill.")
    place, pattern = tmp_path / "x.index", r"staff=EMP-\d{6}"
    arguments = ["--quiet", "--threads", "1"]
    assert code_of("index", tmp_path / "a.txt", "--out", place, "--mask-pattern", pattern, *arguments) == 0
    assert code_of("update", place, tmp_path / "b.txt", *arguments) == 1
    assert "named staff, which it does not keep" in capsys.readouterr().err
    assert code_of("update", place, tmp_path / "b.txt", "--mask-pattern", pattern, *arguments) == 0
    assert code_of("update", place, "--delete", "a.txt", *arguments) == 0
    assert code_of("compact", place, *arguments) == 0
    assert [passage.text for passage in Index.open(place, threads=1).store] == [f"{'█' * 10} keeps the mill."]
    assert code_of("update", place, tmp_path, "--mask-pattern", pattern, "--mask-pattern", pattern) == 2
    assert "two --mask-pattern have one name" in capsys.readouterr().err


def test_duplicates_are_counted_and_come_back(tmp_path: Path, capsys: Capture) -> None:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text("# The gate\n\nThe gate of the harbour was built by Brun Oller.")
    place, arguments = tmp_path / "x.index", ["--quiet", "--threads", "1"]
    assert code_of("index", tmp_path / "a.md", "--out", place, "--drop-duplicates", *arguments) == 0
    assert code_of("update", place, tmp_path / "b.md", tmp_path / "c.md", *arguments) == 0
    printed = capsys.readouterr().out
    assert "documents: 2 added; 0 new passages" in printed
    assert "2 passages repeat another and were left out" in printed
    assert code_of("update", place, "--delete", "a.md", *arguments) == 0
    assert "1 passages came back that had been left out because they repeat one that is gone now: b.md#0\n" in (
        capsys.readouterr().out
    )


def test_wrong_use(notes: Path, capsys: Capture) -> None:
    assert code_of("update", notes) == 2
    assert "nothing to do: name a CORPUS to add, or documents to --delete" in capsys.readouterr().err
    assert code_of("update", notes, "--delete", "nobody.md", "--quiet") == 1
    assert "no document 'nobody.md'" in capsys.readouterr().err
    assert code_of("update", notes.parent / "nowhere.index", "--delete", "x") == 1


def test_a_stage_is_told_while_many_documents_come(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.md").write_text(f"# Note {number}\n\nThis is note {number}.\n")
    assert code_of("update", notes, folder) == 0
    told = capsys.readouterr()
    assert "documents: 12 added; 12 new passages" in told.out
    assert "encoding passages ..." in told.err
    assert "linking shared phrases ..." in told.err


def test_what_no_search_found_goes(notes: Path, tmp_path: Path, capsys: Capture) -> None:
    passage = next(passage for passage in Index.open(notes).store if passage.document_id == "brun.md")
    run = tmp_path / "run.trec"
    run.write_text(f"q Q0 {passage.id} 1 0.5 tag\n")
    capsys.readouterr()
    assert code_of("update", notes, "--delete-never-retrieved", run, "--quiet") == 0
    assert "documents: 1 deleted" in capsys.readouterr().out
    assert Index.open(notes).store.document_ids() == ["brun.md"]
    run.write_text("q Q0 elsewhere 1 0.5 tag\n")
    assert code_of("update", notes, "--delete-never-retrieved", run, "--quiet") == 1
    assert "does not hold" in capsys.readouterr().err

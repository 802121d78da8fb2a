"""``trailhound update`` and ``trailhound compact`` as a user meets them."""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder ``docs`` with an index ``docs.index`` beside it."""
    for number in range(1, 5):
        (tmp_path / "docs" / "guide").mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / f"n{number}.txt").write_text(f"Note {number} tells of bridges in town number {number}.")
    (tmp_path / "docs" / "guide" / "ferry.txt").write_text("The Tern ferry sails at nine from pier four.")
    assert code_of("index", tmp_path / "docs", "--out", tmp_path / "docs.index", "--quiet", "--threads", "1") == 0
    return tmp_path


def lists_of(capsys: Capture) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return {name: found[name] for name in ("added", "replaced", "deleted", "unchanged")}


def test_a_folder_is_kept_in_step(house: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    docs, quiet = house / "docs", ("--quiet", "--threads", "1")
    capsys.readouterr()
    assert code_of("update", house / "docs.index", docs, "--sync", *quiet) == 0
    assert capsys.readouterr().out == f"{house / 'docs.index'}: nothing to do; 5 unchanged\n"
    (docs / "guide" / "ferry.txt").rename(docs / "guide" / "boats.txt")
    (docs / "n1.txt").unlink()
    (docs / "n2.txt").write_text("Note 2 tells of zebras.")
    (docs / "n3.txt").write_text("")
    monkeypatch.chdir(house)
    for given, code in ((("--dry-run",), 0), ((), 0)):
        assert code_of("update", "docs.index", "docs", "--sync", *given, *quiet) == code
        printed = capsys.readouterr().out.splitlines()
        if given:
            assert printed == [
                "+ guide/boats.txt",
                "~ n2.txt",
                "- guide/ferry.txt",
                "- n1.txt",
                "- n3.txt",
                "n3.txt has no text any more: it would be deleted from the index",
                "docs.index: would be 1 added, 1 replaced, 3 deleted; 1 unchanged",
            ]
        else:
            assert "n3.txt has no text any more: it was deleted from the index" in printed
            assert "docs.index: documents: 1 added, 1 replaced, 3 deleted; 2 new passages" in printed
    assert Index.open(house / "docs.index").store.document_ids() == ["n4.txt", "guide/boats.txt", "n2.txt"]


def test_a_part_of_it_is_kept_in_step_and_told_as_json(house: Path, capsys: Capture) -> None:
    docs, more = house / "docs", ("--sync", "--json", "--quiet", "--threads", "1")
    (docs / "n1.txt").unlink()
    (docs / "guide" / "new.txt").write_text("A new quay.")
    capsys.readouterr()
    assert code_of("update", house / "docs.index", docs / "guide", "--dry-run", *more) == 0
    expected = {"added": ["guide/new.txt"], "replaced": [], "deleted": [], "unchanged": 1}
    assert lists_of(capsys) == expected
    assert code_of("update", house / "docs.index", docs / "guide", *more) == 0
    assert lists_of(capsys) == expected
    assert code_of("update", house / "docs.index", docs, *more) == 0
    assert lists_of(capsys) == {"added": [], "replaced": [], "deleted": ["n1.txt"], "unchanged": 5}


def forbid_everything() -> None:
    """Let root be refused what its files' modes refuse, once it runs another program."""
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)


@pytest.mark.parametrize("name", ["guide", "n1.txt"])
def test_what_may_not_be_read_stays(house: Path, name: str) -> None:
    command = [sys.executable, "-m", "trailhound", "update", "docs.index", "docs", "--sync", "--json", "--quiet"]
    mode = (house / "docs" / name).stat().st_mode
    (house / "docs" / name).chmod(0)
    try:
        done = subprocess.run(
            command, cwd=house, check=True, capture_output=True, text=True, preexec_fn=forbid_everything
        )
    finally:
        (house / "docs" / name).chmod(mode)
    report = json.loads(done.stdout)
    assert list(report["unread"]) == [name]
    assert "ermission denied" in report["unread"][name]
    assert report["deleted"] == []


def test_the_path_of_a_file_is_its_id_and_the_same_is_left(
    house: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house)
    ferry, quiet = house / "docs" / "guide" / "ferry.txt", ("--quiet", "--threads", "1")
    ferry.write_text("The Tern ferry sails at eleven from pier two.")
    capsys.readouterr()
    assert code_of("update", "docs.index", "docs/guide/ferry.txt", "--replace", *quiet) == 0
    assert "documents: 1 replaced; 1 new passages" in capsys.readouterr().out
    generation = Index.open("docs.index").manifest["generation"]
    for path in ("docs/guide", "docs"):
        assert code_of("update", "docs.index", path, "--replace", *quiet) == 0
        assert re.search(r"documents: [15] unchanged; 0 new passages", capsys.readouterr().out)
    assert Index.open("docs.index").manifest["generation"] == generation
    assert code_of("update", "docs.index", "--delete", "./docs/guide/ferry.txt", *quiet) == 0
    assert "guide/ferry.txt" not in Index.open("docs.index").store.document_ids()
    (house / "docs" / "n1.txt").unlink()
    assert code_of("update", "docs.index", "docs", "--replace", *quiet) == 0
    assert "1 documents stay whose files are gone, such as n1.txt: --sync deletes them" in capsys.readouterr().out


def test_a_deletion_waits_for_the_additions(house: Path, capsys: Capture) -> None:
    os.mkfifo(house / "pipe.txt")
    (house / "n4.txt").write_text("Another text of this name.")
    for bad in ("pipe.txt", "nowhere.txt"):
        assert code_of("update", house / "docs.index", house / bad, "--delete", "n1.txt", "--quiet") == 1
    assert "n1.txt" in Index.open(house / "docs.index").store.document_ids()


def test_a_folder_that_would_empty_the_index_is_refused(house: Path, capsys: Capture) -> None:
    (house / "empty").mkdir()
    before = Index.open(house / "docs.index").store.document_ids()
    for folder in ("empty", "docs"):
        for path in (house / "docs").rglob("*.txt") if folder == "docs" else ():
            path.unlink()
        assert code_of("update", house / "docs.index", house / folder, "--sync", "--quiet") == 1
        assert "of the 5 documents that the index holds of it 5 would be deleted" in capsys.readouterr().err
    assert Index.open(house / "docs.index").store.document_ids() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sync",), "give CORPUS"),
        (("--sync", "--replace", "docs"), "no --replace"),
        (("docs", "--sync", "--delete", "n1.txt"), "no --delete"),
        (("docs", "--dry-run"), "--dry-run lists what --sync would do"),
    ],
)
def test_what_contradicts_itself_is_refused(
    house: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert code_of("update", house / "docs.index", *arguments) == 2
    assert re.search(rf"{message}|nothing to do", capsys.readouterr().err)


def test_an_interruption_says_what_is_kept(house: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from trailhound.retrievers.vectors import _vector_cache as vector_cache
    from trailhound.retrievers.vectors._encoder import MiniLMEncoder

    monkeypatch.setattr(vector_cache, "PART", 3)
    (house / "more").mkdir()
    for number in range(10):
        (house / "more" / f"m{number}.txt").write_text(f"More of {number}.")
    encode, calls = MiniLMEncoder.encode_with_pieces, list[int]()

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(*arguments)

    monkeypatch.setattr(MiniLMEncoder, "encode_with_pieces", interrupted)
    index = house / "docs.index"
    assert code_of("update", index, house / "more", "--quiet", "--threads", "1") == 130
    assert capsys.readouterr().err.endswith(
        f"trailhound: interrupted; {index} is as it was; 6 encoded passages are kept, and the same command goes on"
        " from there\n"
    )
    assert Index.open(index).store.documents == 5
    assert code_of("update", index, house / "more", "--quiet", "--threads", "1") == 0
    assert len(calls) == 5
    assert Index.open(index).store.documents == 15

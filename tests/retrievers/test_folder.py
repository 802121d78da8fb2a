"""An index folder appears whole or not at all, whoever is killed or builds beside it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from trailhound.errors import DamagedIndexError, IndexFolderError
from trailhound.retrievers import folder as folder_module
from trailhound.retrievers.folder import FORMAT, MANIFEST, check_files, new_folder, publish, read_manifest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.index"


def put(place: Path, content: str) -> None:
    with new_folder(place) as staging:
        (staging / "evidence.sqlite").write_text(content)
        (staging / "deep").mkdir()
        (staging / "deep" / "er.bin").write_text(content * 2)
        publish(staging, place, {"content": content})


def content(place: Path) -> str:
    manifest = read_manifest(place)
    check_files(place, manifest)
    return str(manifest["content"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def no_renameat2(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let the kernel refuse as a file system does that cannot exchange."""

    def refuse(*_: object) -> int:
        ctypes.set_errno(code)
        return -1

    class Library:
        def __init__(self, *_: Any, **__: Any) -> None:
            self.renameat2 = refuse

    monkeypatch.setattr(folder_module.ctypes, "CDLL", Library)


def test_a_published_folder_lists_its_files(place: Path) -> None:
    put(place, "one")
    manifest = read_manifest(place)
    assert manifest["format"] == FORMAT
    assert {name: entry["size"] for name, entry in manifest["files"].items()} == {
        "deep/er.bin": 6,
        "evidence.sqlite": 3,
    }
    assert content(place) == "one"
    assert names(place.parent) == ["x.index"]


def test_everybody_may_read_what_the_umask_allows(place: Path) -> None:
    before = os.umask(0o027)
    try:
        put(place, "one")
    finally:
        os.umask(before)
    modes = {path.relative_to(place).as_posix(): path.stat().st_mode & 0o777 for path in place.rglob("*")}
    assert modes == {"evidence.sqlite": 0o640, "deep": 0o750, "deep/er.bin": 0o640, MANIFEST: 0o640}
    assert place.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("exchange", [True, False])
def test_publishing_replaces_the_old_index(place: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        no_renameat2(monkeypatch, errno.EINVAL)
    for version in ("one", "two", "three"):
        put(place, version)
        assert content(place) == version
        assert names(place.parent) == ["x.index"]


def test_an_empty_folder_is_taken(place: Path) -> None:
    place.mkdir()
    put(place, "one")
    assert content(place) == "one"


def test_a_real_failure_of_the_exchange_is_not_hidden(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(place, "one")
    no_renameat2(monkeypatch, errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        put(place, "two")
    assert content(place) == "one"
    assert names(place.parent) == ["x.index"]


def test_a_failed_fallback_puts_the_old_index_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(place, "one")
    no_renameat2(monkeypatch, errno.ENOSYS)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if target == place and not self.name.endswith("-previous"):
            raise OSError(errno.ENOTEMPTY if place.exists() else errno.EIO, "cannot")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="cannot"):
        put(place, "two")
    monkeypatch.undo()
    assert content(place) == "one"


def test_an_index_moved_aside_by_a_killed_build_goes_back(place: Path) -> None:
    put(place, "one")
    place.rename(place.parent / ".x.index.building-abc-previous")
    (place.parent / ".x.index.building-abc").mkdir()
    with new_folder(place):
        assert content(place) == "one"
    assert names(place.parent) == ["x.index"]


@pytest.mark.parametrize("name", ["x.index", "with [brackets]*?", "ünï cödé"])
def test_left_overs_of_this_place_are_removed_and_of_no_other(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    (tmp_path / f".{name}.building-old" / "deep").mkdir(parents=True)
    (tmp_path / ".other.building-old").mkdir()
    put(place, "one")
    assert names(tmp_path) == sorted([".other.building-old", name])


def test_a_left_over_that_is_a_file_or_a_link_harms_nobody(place: Path) -> None:
    precious = place.parent / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    (place.parent / ".x.index.building-link").symlink_to(precious)
    (place.parent / ".x.index.building-file").write_text("")
    put(place, "one")
    assert content(place) == "one"
    assert (precious / "file").read_text() == "keep"


def test_a_build_that_lives_is_left_alone(place: Path) -> None:
    with new_folder(place) as first:
        (first / "evidence.sqlite").write_text("first")
        put(place, "second")
        assert content(place) == "second"
        publish(first, place, {"content": "first"})
        assert content(place) == "first"
    assert names(place.parent) == ["x.index"]


def test_a_failed_build_leaves_nothing(place: Path) -> None:
    def fail() -> None:
        with new_folder(place) as staging:
            (staging / "evidence.sqlite").write_text("two")
            raise RuntimeError("broken")

    put(place, "one")
    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert content(place) == "one"
    assert names(place.parent) == ["x.index"]


@pytest.mark.parametrize("files", [["notes.txt"], [MANIFEST], [MANIFEST, "background.js"], ["evidence.sqlite"]])
def test_a_foreign_folder_is_refused_and_untouched(place: Path, files: list[str]) -> None:
    place.mkdir()
    for name in files:
        (place / name).write_text("mine")
    with pytest.raises(IndexFolderError, match="is not an index"):
        put(place, "one")
    assert {path.name: path.read_text() for path in place.iterdir()} == dict.fromkeys(files, "mine")
    assert names(place.parent) == ["x.index"]


def test_a_file_in_the_way_is_refused(place: Path) -> None:
    place.write_text("mine")
    with pytest.raises(IndexFolderError, match="is not an index"):
        put(place, "one")
    assert place.read_text() == "mine"


def test_a_foreign_folder_that_appears_during_the_build_is_untouched(place: Path) -> None:
    with new_folder(place) as staging:
        (staging / "evidence.sqlite").write_text("one")
        place.mkdir()
        (place / "notes.txt").write_text("mine")
        with pytest.raises(IndexFolderError, match="is not an index"):
            publish(staging, place, {"content": "one"})
    assert names(place) == ["notes.txt"]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, IndexFolderError, "holds no index"),
        ("", DamagedIndexError, "cannot be read"),
        ("{", DamagedIndexError, "cannot be read"),
        ("[]", IndexFolderError, "format None"),
        ('{"format": 99}', IndexFolderError, "format 99"),
        ('{"format": 1}', DamagedIndexError, "does not match its hash"),
        (b"\xff\xfe", DamagedIndexError, "cannot be read"),
    ],
)
def test_a_manifest_that_cannot_be_used(
    place: Path, text: str | bytes | None, error: type[Exception], message: str
) -> None:
    place.mkdir()
    if text is not None:
        (place / MANIFEST).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(error, match=message):
        read_manifest(place)


def test_a_missing_index_says_how_to_make_one(place: Path) -> None:
    with pytest.raises(IndexFolderError, match=r"is not there: make it with  trailhound index CORPUS --out"):
        read_manifest(place)


def test_every_changed_character_of_a_manifest_is_noticed(place: Path) -> None:
    put(place, "one")
    path = place / MANIFEST
    whole, manifest = path.read_text(), read_manifest(place)
    for at, character in enumerate(whole):
        path.write_text(whole[:at] + chr(ord(character) ^ 1) + whole[at + 1 :])
        try:
            assert read_manifest(place) == manifest  # white space between the values
        except IndexFolderError:
            continue
        assert character in " \n"


@pytest.mark.parametrize("files", [None, {}, []])
def test_a_manifest_without_files_is_damaged(place: Path, files: object) -> None:
    with pytest.raises(DamagedIndexError, match="lists no files"):
        check_files(place, {"files": files})


@pytest.mark.parametrize("damage", ["missing", "folder", "longer", "shorter", "flipped"])
def test_a_changed_file_is_noticed(place: Path, damage: str) -> None:
    put(place, "one")
    path = place / "deep" / "er.bin"
    before = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        changed = {"longer": before + b"\0", "shorter": before[:-1], "flipped": b"O" + before[1:]}
        path.write_bytes(changed[damage])
    with pytest.raises(DamagedIndexError, match=r"er\.bin .*build the index again"):
        check_files(place, read_manifest(place))


def test_a_build_killed_while_it_holds_its_folder(place: Path) -> None:
    put(place, "one")
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from trailhound.retrievers.folder import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as staging:\n"
        "    (staging / 'half').write_text('half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(place)], timeout=60)
    assert killed.returncode == -9
    assert len(names(place.parent)) == 2
    assert content(place) == "one"
    put(place, "two")
    assert names(place.parent) == ["x.index"]


def test_many_builders_side_by_side(place: Path) -> None:
    versions = [str(number) for number in range(8)]
    failures: list[BaseException] = []

    def build(version: str) -> None:
        try:
            for _ in range(6):
                put(place, version)
                assert content_or_replaced(place) in versions
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=build, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert content(place) in versions
    assert names(place.parent) == ["x.index"]


def content_or_replaced(place: Path) -> str:
    """Read the manifest alone: the files may be another builder's by the time they are read."""
    return str(json.loads((place / MANIFEST).read_text())["content"])

"""An index folder: what the manifest names is compared with its hashes, all else is garbage; one writer at a time."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound.errors import DamagedIndexError, IndexBusyError, IndexFolderError
from trailhound.retrievers._folder import (
    FORMAT,
    LOCK,
    MANIFEST,
    SEGMENT,
    SEGMENTS,
    SegmentEntry,
    building,
    check_segment,
    commit,
    entries,
    locked,
    manifest_hash,
    read_deletions,
    read_manifest,
    remove_garbage,
    seal,
    write_deletions,
)

ABOUT: dict[str, Any] = {"settings": {}, "compiler": [], "encoder": "letters"}
ABOUT |= dict.fromkeys(("generation", "dimension", "documents", "passages", "serials"), 1)


def publish(place: Path, *names: str) -> list[SegmentEntry]:
    """Make an index of segments that hold two small files."""
    found = []
    for name in names or ("s000001",):
        folder = place / SEGMENTS / name
        (folder / "deep").mkdir(parents=True)
        (folder / "one.bin").write_bytes(b"one")
        (folder / "deep" / "two.bin").write_bytes(b"two")
        found.append(SegmentEntry(name, seal(folder, {"dense": "exact"}), 3))
    commit(place, ABOUT, found)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.index"


def test_a_manifest_reads_as_it_was_committed(place: Path) -> None:
    segments = publish(place, "s000001", "s000002")
    manifest = read_manifest(place)
    assert entries(manifest) == segments
    assert {name: manifest[name] for name in ABOUT} == ABOUT
    assert check_segment(place, segments[1], verify=True)["files"].keys() == {"one.bin", "deep/two.bin"}
    again = commit(place, {**manifest, "generation": 2}, segments[:1])
    assert read_manifest(place) == again
    assert sorted(os.listdir(place)) == [MANIFEST, SEGMENTS]


def test_everybody_may_read_what_the_umask_allows(place: Path) -> None:
    folder = place / SEGMENTS / "s000001"
    folder.mkdir(parents=True)
    (folder / "private").touch(0o600)
    before = os.umask(0o027)
    try:
        seal(folder, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "private").stat().st_mode) == 0o640
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_what_the_manifest_does_not_name_is_removed(place: Path) -> None:
    (kept,) = publish(place)
    kept = SegmentEntry(kept.name, kept.sha256, 3, 4, write_deletions(place, kept.name, 4, np.ones(9, np.bool_)), 3)
    write_deletions(place, kept.name, 3, np.ones(9, np.bool_))
    (place / SEGMENTS / "s000002").mkdir()
    (place / SEGMENTS / "s000002" / "half").touch()
    (place / SEGMENTS / "link").symlink_to(place.parent)
    (place / f".{MANIFEST}.123").touch()
    remove_garbage(place, [kept])
    assert sorted(os.listdir(place / SEGMENTS)) == ["s000001", "s000001.deleted-4"]
    assert sorted(os.listdir(place)) == [MANIFEST, SEGMENTS]
    assert read_deletions(place, kept, 9).all()


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c + b"\0", lambda c: bytes([c[0] ^ 1]) + c[1:], None])
def test_damaged_deletions_are_noticed(place: Path, damage: Callable[[bytes], bytes] | None) -> None:
    publish(place)
    deleted = np.arange(20) % 3 == 0
    digest = write_deletions(place, "s000001", 7, deleted)
    entry = SegmentEntry("s000001", "", 20, 7, digest, 7)
    np.testing.assert_array_equal(read_deletions(place, entry, 20), deleted)
    path = place / SEGMENTS / "s000001.deleted-7"
    content = path.read_bytes()
    path.unlink()
    if damage is not None:
        path.write_bytes(damage(content))
    with pytest.raises(DamagedIndexError, match="deleted-7"):
        read_deletions(place, entry, 20)


def test_every_changed_character_of_a_manifest_is_noticed(place: Path) -> None:
    publish(place)
    path = place / MANIFEST
    content = path.read_bytes()
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x01]) + content[at + 1 :])
        with pytest.raises(IndexFolderError):
            read_manifest(place)
        path.write_bytes(content[:at])
        with pytest.raises(IndexFolderError):
            read_manifest(place)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segments": [{"name": "../other", "sha256": "", "passages": 1}]}, "names a segment .*other"),
        ({"segments": [{"name": "/etc", "sha256": "", "passages": 1}]}, "names a segment"),
        ({"segments": [{"name": "s000001", "sha256": "", "passages": -1}]}, "names a segment"),
        ({"segments": [{"name": "s000001", "sha256": "", "passages": True}]}, "names a segment"),
        ({"segments": [{"name": 3, "sha256": "", "passages": 1}]}, "names a segment"),
        ({"segments": ["s000001"]}, "names a segment"),
        ({"segments": [{"name": "s000001", "sha256": "", "passages": 1}] * 2}, "names a segment"),
        ({"segments": []}, "names no segment"),
        ({"segments": {}}, "says segments"),
        ({"settings": []}, "says settings"),
        ({"generation": "1"}, "says generation"),
        ({"encoder": None}, "says encoder"),
        ({"format": FORMAT + 1}, "this version reads"),
        ({"format": None}, "this version reads"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(place: Path, change: dict[str, Any], message: str) -> None:
    """Also one whose hash is right: somebody may have written it so."""
    publish(place)
    manifest = {**read_manifest(place), **change}
    (place / MANIFEST).write_text(json.dumps({**manifest, "sha256": manifest_hash(manifest)}))
    with pytest.raises(IndexFolderError, match=message):
        read_manifest(place)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b"{}"])
def test_a_manifest_that_is_none_is_refused(place: Path, content: bytes) -> None:
    publish(place)
    (place / MANIFEST).write_bytes(content)
    with pytest.raises(IndexFolderError):
        read_manifest(place)


def test_a_missing_index_says_how_to_make_one(place: Path) -> None:
    with pytest.raises(IndexFolderError, match="is not there: make it with  trailhound index CORPUS"):
        read_manifest(place)
    place.mkdir()
    with pytest.raises(IndexFolderError, match="holds no index"):
        read_manifest(place)


@pytest.mark.parametrize("name", [MANIFEST, f"{SEGMENTS}/s000001/{SEGMENT}", f"{SEGMENTS}/s000001/deep/two.bin"])
@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_what_is_no_file_is_never_opened(place: Path, name: str, kind: str) -> None:
    (entry,) = publish(place)
    path = place / name
    path.rename(place.parent / "moved")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(place.parent / "moved")
    else:
        path.mkdir()
    check = (lambda: read_manifest(place)) if name == MANIFEST else (lambda: check_segment(place, entry, verify=False))
    with pytest.raises(DamagedIndexError, match=path.name):
        check()


def test_a_folder_that_is_a_link_is_refused(place: Path) -> None:
    (entry,) = publish(place)
    for folder in (place / SEGMENTS / entry.name / "deep", place / SEGMENTS / entry.name, place / SEGMENTS):
        folder.rename(place.parent / "moved")
        folder.symlink_to(place.parent / "moved")
        with pytest.raises(DamagedIndexError):
            check_segment(place, entry, verify=False)
        folder.unlink()
        (place.parent / "moved").rename(folder)
    check_segment(place, entry, verify=True)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "", "deep/../../one.bin", "a\0b"])
def test_a_list_of_files_cannot_name_what_lies_outside(place: Path, name: str) -> None:
    publish(place)
    path = place / SEGMENTS / "s000001" / SEGMENT
    content = json.dumps({"files": {name: {"size": 3, "sha256": ""}}}).encode()
    path.write_bytes(content)
    entry = SegmentEntry("s000001", hashlib.sha256(content).hexdigest(), 3)
    with pytest.raises(DamagedIndexError, match=r"outside of it|not a file"):
        check_segment(place, entry, verify=False)


def test_a_changed_file_is_noticed(place: Path) -> None:
    (entry,) = publish(place)
    path = place / SEGMENTS / entry.name / "one.bin"
    for content, at_once in ((b"two", False), (b"ones", True), (b"", True)):
        path.write_bytes(content)
        with pytest.raises(DamagedIndexError, match=r"one\.bin"):
            check_segment(place, entry, verify=True)
        if at_once:
            with pytest.raises(DamagedIndexError, match=r"one\.bin"):
                check_segment(place, entry, verify=False)


class TestLock:
    def test_it_is_held_across_processes_and_says_by_whom(self, place: Path) -> None:
        publish(place)
        program = (
            "import sys; from pathlib import Path; from trailhound.retrievers._folder import locked\n"
            "with locked(Path(sys.argv[1])):\n"
            "    print('held', flush=True); sys.stdin.read()\n"
        )
        waiting: list[str] = []
        with subprocess.Popen(
            [sys.executable, "-c", program, str(place)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with (
                pytest.raises(IndexBusyError, match=f"process {process.pid} has been changing {place}"),
                locked(place, 0.1, waiting.append),
            ):
                raise AssertionError("two writers")
            process.kill()
        assert waiting == [f"waiting for process {process.pid}, which is changing {place}"]
        with locked(place, 5):
            assert (place / LOCK).read_text() == f"{os.getpid()}\n"

    def test_there_must_be_an_index(self, place: Path) -> None:
        with pytest.raises(IndexFolderError, match="cannot be locked"), locked(place):
            pass

    @pytest.mark.parametrize("kind", ["fifo", "link"])
    def test_what_is_no_file_is_no_lock(self, place: Path, kind: str) -> None:
        publish(place)
        if kind == "fifo":
            os.mkfifo(place / LOCK)
        else:
            (place / LOCK).symlink_to(place.parent / "victim")
        with pytest.raises(IndexFolderError), locked(place):
            pass
        assert not (place.parent / "victim").exists()


class TestBuilding:
    def test_a_failed_first_build_leaves_nothing(self, place: Path) -> None:
        with pytest.raises(FileExistsError), building(place, 1, None):
            (place / SEGMENTS / "s000001" / "..").mkdir(parents=True)
        assert not place.exists()

    def test_a_failed_later_build_leaves_the_index(self, place: Path) -> None:
        publish(place)
        with pytest.raises(KeyError), building(place, 1, None):
            raise KeyError
        assert read_manifest(place)["generation"] == 1

    @pytest.mark.parametrize("files", [["manifest.json"], ["notes.txt"], ["segments", "x"], ["evidence.sqlite"]])
    def test_a_foreign_folder_is_refused_and_untouched(self, place: Path, files: list[str]) -> None:
        place.mkdir()
        for name in files:
            (place / name).write_text("mine")
        with pytest.raises(IndexFolderError, match="is there and is not an index"), building(place, 1, None):
            pass
        assert sorted(os.listdir(place)) == sorted(files)

    def test_a_file_in_the_way_is_refused(self, place: Path) -> None:
        place.write_text("mine")
        with pytest.raises(IndexFolderError, match="not a folder"), building(place, 1, None):
            pass
        assert place.read_text() == "mine"

    def test_what_a_killed_first_build_left_is_built_over(self, place: Path) -> None:
        (place / SEGMENTS / "s000001").mkdir(parents=True)
        (place / LOCK).touch()
        with building(place, 1, None):
            publish(place, "s000002")
        assert read_manifest(place)

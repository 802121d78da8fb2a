"""A journal keeps whole changes in order, takes an unfinished one for none, and notices damage."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from trailhound.errors import DamagedIndexError, IndexFolderError
from trailhound.retrievers.changing.journal import FILE_NAME, Journal, Position, locked


def written(folder: Path, *changes: bytes) -> Journal:
    journal = Journal(folder, "base")
    position = Position()
    for change in changes:
        position = journal.append(change, position)
    return journal


def test_changes_come_back_in_order(tmp_path: Path) -> None:
    journal = written(tmp_path, b"one", b"", b"three" * 1000)
    records, end = Journal(tmp_path, "base").read()
    assert records == [b"one", b"", b"three" * 1000]
    assert end.offset == journal.path.stat().st_size


def test_reading_goes_on_where_it_was(tmp_path: Path) -> None:
    journal = written(tmp_path, b"one")
    _, position = journal.read()
    assert journal.read(position) == ([], position)
    end = journal.append(b"two", position)
    assert journal.read(position) == ([b"two"], end)


def test_without_a_change_there_is_no_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "base")
    assert journal.signature() is None
    assert journal.read() == ([], Position())
    journal.append(b"one", Position())
    assert journal.signature() is not None


def test_the_signature_differs_after_every_change(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "base")
    seen, position = {journal.signature()}, Position()
    for _ in range(20):
        position = journal.append(b"x", position)
        seen.add(journal.signature())
    assert len(seen) == 21


def test_cut_anywhere_it_holds_the_changes_that_are_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "base")
    first = journal.append(b"first", Position())
    second = journal.append(b"second", first)
    whole = journal.path.read_bytes()
    for size in range(0, len(whole), 7):
        journal.path.write_bytes(whole[:size])
        records, end = journal.read()
        assert records == [b"first"][: size >= first.offset], size
        journal.append(b"new", end)  # what was unfinished is cut off first
        assert journal.read()[0] == [*records, b"new"]
    assert second.offset == len(whole)


def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    journal = written(tmp_path, b"first", b"second")
    whole = journal.path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        journal.path.write_bytes(damaged)
        with pytest.raises(DamagedIndexError, match=r"changes\.journal.*put back a copy of it, or delete it"):
            journal.read()


def test_changes_cannot_change_places(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "base")
    first = journal.append(b"aaa", Position())
    second = journal.append(b"bbb", first)
    content = journal.path.read_bytes()
    head = content[: first.offset - (second.offset - first.offset)]
    journal.path.write_bytes(head + content[first.offset :] + content[len(head) : first.offset])
    with pytest.raises(DamagedIndexError):
        journal.read()


def test_changes_of_another_base_are_refused(tmp_path: Path) -> None:
    written(tmp_path, b"one")
    with pytest.raises(DamagedIndexError, match="changes of another index"):
        Journal(tmp_path, "another").read()


def test_a_journal_that_was_cut_or_removed_behind_the_back_is_noticed(tmp_path: Path) -> None:
    journal = written(tmp_path, b"one", b"two")
    _, end = journal.read()
    journal.path.write_bytes(journal.path.read_bytes()[:-1])
    with pytest.raises(DamagedIndexError, match="shorter"):
        journal.read(end)
    journal.path.unlink()
    with pytest.raises(DamagedIndexError, match="gone"):
        journal.read(end)


def test_where_nothing_can_be_written_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(IndexFolderError, match="cannot be written"):
        Journal(tmp_path, "base").append(b"one", Position())


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []

    def write(name: str) -> None:
        with locked(tmp_path):
            order.append(f"{name} in")
            time.sleep(0.02)
            order.append(f"{name} out")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [step.split()[1] for step in order] == ["in", "out"] * 3


def test_who_waited_for_a_folder_that_was_replaced_locks_the_new_one(tmp_path: Path) -> None:
    place, old = tmp_path / "x.index", tmp_path / "old"
    place.mkdir()
    found: list[bool] = []

    def write() -> None:
        with locked(place):
            found.append((place / "new").exists())

    with locked(place):
        waiting = threading.Thread(target=write)
        waiting.start()
        time.sleep(0.05)
        place.rename(old)
        place.mkdir()
        (place / "new").touch()
    waiting.join()
    assert found == [True]


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(IndexFolderError, match="nowhere"), locked(tmp_path / "nowhere"):
        pass

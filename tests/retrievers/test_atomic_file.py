"""A file is the old one or the new one: whatever happens while it is written, nobody reads a part of it."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from safetensors.numpy import save_file
from trailhound.errors import StorageError
from trailhound.retrievers._atomic_file import storing, synchronise, write_atomically, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_holds_what_was_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_atomically(tmp_path / "data.bin", b"\x00\xffwhole")
    assert (tmp_path / "data.bin").read_bytes() == b"\x00\xffwhole"
    assert names(tmp_path) == ["data.bin"]


def test_an_old_file_is_replaced_whole_even_by_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"a long old content")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_what_cannot_be_written_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text, not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["data.bin"]


def test_a_folder_in_the_place_of_the_file_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").touch()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"new")
    assert names(tmp_path) == ["taken"]
    assert names(tmp_path / "taken") == ["inside"]


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_atomically(tmp_path / "nowhere" / "data.bin", b"new")
    with pytest.raises(FileNotFoundError):
        synchronise(tmp_path / "nowhere")


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    contents = [bytes([number]) * 200_000 for number in range(4)]
    write_atomically(path, contents[0])
    finished = Event()
    seen: list[bytes] = []

    def read() -> None:
        while not finished.is_set():
            seen.append(path.read_bytes())

    reader = Thread(target=read)
    reader.start()
    for round_ in range(40):
        write_atomically(path, contents[round_ % 4])
    finished.set()
    reader.join()
    assert seen
    assert set(seen) <= set(contents)


def test_a_process_that_is_killed_while_writing_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    write_atomically(path, b"a" * 3_000_000)
    program = (
        "import sys; from pathlib import Path; from trailhound.retrievers._atomic_file import write_atomically\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for letter in b'bc':\n"
        "        write_atomically(Path(sys.argv[1]), bytes([letter]) * 3_000_000)\n"
    )
    for pause in (0.0, 0.01, 0.03):
        with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            Event().wait(pause)
            os.kill(writer.pid, signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1


def test_json_is_for_people_and_programs(tmp_path: Path) -> None:
    write_json(tmp_path / "value.json", {"name": "Zoë", "figures": [1, 2.5, None]})
    text = (tmp_path / "value.json").read_text("utf-8")
    assert json.loads(text) == {"name": "Zoë", "figures": [1, 2.5, None]}
    assert '  "name": "Zoë"' in text
    assert text.endswith("}\n")


def test_what_json_cannot_hold_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    write_json(path, [1])
    with pytest.raises(TypeError):
        write_json(path, {1, 2})
    assert json.loads(path.read_text()) == [1]
    assert names(tmp_path) == ["value.json"]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse files of more bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_no_more_is_named_with_the_path(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"old")
    big = np.zeros(100_000)
    with files_of_at_most(10_000):
        with pytest.raises(StorageError, match=r"data\.bin cannot be written: .* \(disk /.*free\)"):
            write_atomically(path, bytes(100_000))
        with pytest.raises(StorageError, match="array"), storing(tmp_path / "array.npy"):
            np.save(tmp_path / "array.npy", big)
        with pytest.raises(StorageError, match="tensors"), storing(tmp_path / "tensors"):
            save_file({"big": big}, tmp_path / "tensors")
    assert path.read_bytes() == b"old"


def test_other_errors_pass_through_as_they_are() -> None:
    with pytest.raises(ValueError, match="a bug"), storing("x"):
        raise ValueError("a bug")

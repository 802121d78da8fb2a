"""Files that are the old one or the new one, never a part; and what a disk that cannot be written says."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError, StorageError, TrailhoundError
from ._forks import PerProcess

_REASONS = {
    errno.ENOSPC: "there is no space left",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EIO: "the disk failed",
}
_WORDS = {
    "no space left": errno.ENOSPC,
    "disk is full": errno.ENOSPC,
    "storagefull": errno.ENOSPC,
    "quota exceeded": errno.EDQUOT,
    "file too large": errno.EFBIG,
    "filetoolarge": errno.EFBIG,
    "read-only file system": errno.EROFS,
    "readonly database": errno.EROFS,
    "permission denied": errno.EACCES,
    "unable to open database file": errno.EACCES,
    "disk i/o error": errno.EIO,
    "input/output error": errno.EIO,
    " written": errno.ENOSPC,  # numpy: "3000 requested and 100 written"
}
"""What libraries that hide the error number say instead."""


@contextmanager
def storing(path: Path | str) -> Iterator[None]:
    """Turn what a disk refuses inside the block into one kind of error.

    Args:
        path: what is written there; the error names it, or the file that the system names, and its disk.

    Raises:
        StorageError: when the disk is full, read-only or failing, or permission is denied.
    """
    try:
        yield
    except TrailhoundError:
        raise
    except Exception as error:  # safetensors and FAISS have exceptions of their own
        reason = _reason(error)
        if reason is None:
            raise
        file = getattr(error, "filename", None)
        place = Path(file) if isinstance(file, str) else Path(path)
        raise StorageError(
            f"{place} cannot be written: {reason} (disk {_disk(place)}); make room or choose another place"
        ) from error


def _reason(error: BaseException) -> str | None:
    """Return what a disk's refusal means, or None for any other error."""
    code = getattr(error, "errno", None)
    if code is None:
        text = str(error).lower()
        code = next((number for words, number in _WORDS.items() if words in text), None)
    return _REASONS.get(code) if isinstance(code, int) else None


def _disk(path: Path) -> str:
    """Return where the disk of a path is mounted, and how much room it has."""
    place = Path(os.path.abspath(path))
    while not place.exists() and place != place.parent:
        place = place.parent
    free = shutil.disk_usage(place).free
    while not place.is_mount() and place != place.parent:
        place = place.parent
    return f"{place}, {free / 1e6:,.0f} MB free"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file by way of a temporary one in its folder: write, synchronise, rename, synchronise the folder.

    Raises:
        StorageError: when the disk is full or cannot be written; the old file is as it was.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with storing(path):
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink()
            raise
        synchronise(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; raises as :func:`write_atomically`."""
    write_atomically(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Write one JSON value to a line, atomically; raises as :func:`write_atomically`."""
    write_atomically(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode())


def synchronise(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


HEADERS = PerProcess(Lock)
"""Held while numpy reads the header of a file: it parses Python, and CPython's parser is not safe in threads (3.11:
"AST constructor recursion depth mismatch").
"""


def map_array(path: Path) -> NDArray[Any]:
    """Map the array of an ``.npy`` file into memory, read-only.

    Raises:
        DamagedIndexError: when the file is not there, or is not one.
    """
    try:
        with HEADERS():
            return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``path`` by name.

    Raises:
        DamagedIndexError: when the file is not there, or is not a safetensors file of numpy's types.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(str(path))
    # A type that numpy lacks (bfloat16, float8) surfaces as a TypeError or an AttributeError.
    except (OSError, SafetensorError, TypeError, AttributeError) as error:
        raise DamagedIndexError(f"{path}: cannot be read as safetensors ({error}); build the index again") from error

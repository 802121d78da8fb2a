"""Vectors that were encoded, in a file that is only ever appended to: a kill loses the part that was being encoded.

    record = MAGIC, n, d (4 bytes each, little-endian), CRC-32 of those 12 bytes, BLAKE2b-128 of what follows,
             n keys of 16 bytes, n x d float32

A record whose content does not match its hash is passed over. Nothing behind a damaged head is read, such as behind
the beginning of a record that a kill cut short; the next record is written over it.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._atomic_file import storing
from ..records import Vectors

KEY_BYTES = 16

_MAGIC = b"thv1"
_NUMBERS = struct.Struct("<4sII")
_HEAD = _NUMBERS.size + 4 + 16
_NAME = "vectors.log"


class VectorLog:
    """What an interrupted build or update of an index had encoded.

    Args:
        place: where the index is, or will be; the log is in a hidden folder next to it until :meth:`clear`.
    """

    def __init__(self, place: Path) -> None:
        self._folder = place.parent / f".{place.name}.vectors"
        self._path = self._folder / _NAME
        self._end: int | None = None

    def read(self) -> Iterator[tuple[NDArray[np.uint8], Vectors]]:
        """Iterate over the records that are whole: keys, uint8 [n, 16], and vectors, float32 [n, d]."""
        self._end = 0
        with suppress(OSError), self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while (numbers := _numbers(head := file.read(_HEAD))) is not None:
                count, dimension = numbers
                length = count * (KEY_BYTES + 4 * dimension)
                if self._end + _HEAD + length > size:
                    return
                content = file.read(length)
                self._end += _HEAD + length
                if head[-16:] == _hash(content):
                    keys = np.frombuffer(content, np.uint8, count * KEY_BYTES).reshape(count, KEY_BYTES)
                    vectors = np.frombuffer(content, "<f4", offset=count * KEY_BYTES).reshape(count, dimension)
                    yield keys, np.asarray(vectors, np.float32)

    def append(self, keys: NDArray[np.uint8], vectors: Vectors) -> None:
        """Write a record behind those that are whole.

        Raises:
            StorageError: when the disk is full or cannot be written.
        """
        if self._end is None:
            for _ in self.read():
                pass
        content = keys.tobytes() + np.ascontiguousarray(vectors, "<f4").tobytes()
        numbers = _NUMBERS.pack(_MAGIC, *vectors.shape)
        record = numbers + zlib.crc32(numbers).to_bytes(4, "little") + _hash(content) + content
        # When another build of the same place has just cleared the log, this part is not kept: nothing is lost.
        with storing(self._folder), suppress(FileNotFoundError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with os.fdopen(handle, "wb") as file:
                at = min(self._end or 0, os.fstat(handle).st_size)
                file.truncate(at)
                file.seek(at)
                file.write(record)
            self._end = at + len(record)

    def count(self) -> int:
        """Return how many vectors are kept."""
        return sum(len(keys) for keys, _ in self.read())

    def clear(self) -> None:
        """Remove the log."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # there is none
            self._folder.rmdir()
        self._end = 0


def _numbers(head: bytes) -> tuple[int, int] | None:
    """Return how many vectors a record has and of how many numbers; None where there is no whole head."""
    if len(head) < _HEAD or zlib.crc32(head[: _NUMBERS.size]).to_bytes(4, "little") != head[12:16]:
        return None
    magic, count, dimension = _NUMBERS.unpack_from(head)
    return (count, dimension) if magic == _MAGIC else None


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()

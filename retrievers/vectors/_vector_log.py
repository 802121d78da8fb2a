"""Vectors that were encoded, in a file that is only ever appended to: a kill loses the part that was being encoded.

    record = MAGIC, n, d, w, t (4 bytes each, little-endian), CRC-32 of those 20 bytes, BLAKE2b-128 of what follows,
             n keys of 16 bytes, n x d float32, and where w > 0: n counts of word pieces, t x w bytes of their codes

A record whose content does not match its hash is passed over. Nothing behind a damaged head is read, such as behind
the beginning of a record that a kill cut short; the next record is written over it.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .._atomic_file import storing
from ..records import Vectors
from ._piece_codes import CodedPieces

KEY_BYTES = 16

_MAGIC = b"thv2"
_NUMBERS = struct.Struct("<4sIIII")
_HEAD = _NUMBERS.size + 4 + 16
_NAME = "vectors.log"


@dataclass(frozen=True)
class Record:
    """What was encoded together.

    Attributes:
        keys: of the texts, uint8 [n, 16].
        vectors: float32 [n, d].
        pieces: codes of their word pieces, where those are kept.
    """

    keys: NDArray[np.uint8]
    vectors: Vectors
    pieces: CodedPieces | None = None


@dataclass(frozen=True)
class _Sizes:
    """What the head of a record says."""

    count: int
    dimension: int
    width: int
    pieces: int

    @property
    def length(self) -> int:
        """Bytes behind the head."""
        each = KEY_BYTES + 4 * self.dimension + (4 if self.width else 0)
        return self.count * each + self.pieces * self.width

    def record(self, content: bytes) -> Record | None:
        """Return what a record's content is; None where its counts do not fit its codes."""
        ends = np.cumsum([0, self.count * KEY_BYTES, 4 * self.count * self.dimension, 4 * self.count]).tolist()
        keys = np.frombuffer(content, np.uint8, ends[1]).reshape(self.count, KEY_BYTES)
        vectors = np.frombuffer(content, "<f4", self.count * self.dimension, ends[1])
        vectors = np.asarray(vectors.reshape(self.count, self.dimension), np.float32)
        if not self.width:
            return Record(keys, vectors)
        counts = np.frombuffer(content, "<u4", self.count, ends[2]).astype(np.int64)
        codes = np.frombuffer(content, np.uint8, offset=ends[3]).reshape(self.pieces, self.width)
        whole = int(counts.sum()) == self.pieces
        return Record(keys, vectors, CodedPieces(counts, codes)) if whole else None


class VectorLog:
    """What an interrupted build or update of an index had encoded.

    Args:
        place: where the index is, or will be; the log is in a hidden folder next to it until :meth:`clear`.
    """

    def __init__(self, place: Path) -> None:
        self._folder = place.parent / f".{place.name}.vectors"
        self._path = self._folder / _NAME
        self._end: int | None = None

    def read(self) -> Iterator[Record]:
        """Iterate over the records that are whole."""
        self._end = 0
        with suppress(OSError), self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while (sizes := _sizes(head := file.read(_HEAD))) is not None:
                if self._end + _HEAD + sizes.length > size:
                    return
                content = file.read(sizes.length)
                self._end += _HEAD + sizes.length
                if head[-16:] == _hash(content) and (record := sizes.record(content)) is not None:
                    yield record

    def append(self, record: Record) -> None:
        """Write a record behind those that are whole.

        Raises:
            StorageError: when the disk is full or cannot be written.
        """
        if self._end is None:
            for _ in self.read():
                pass
        content = record.keys.tobytes() + np.ascontiguousarray(record.vectors, "<f4").tobytes()
        shape = (0, 0)
        if record.pieces is not None:
            shape = (record.pieces.codes.shape[1], len(record.pieces.codes))
            content += record.pieces.counts.astype("<u4").tobytes() + record.pieces.codes.tobytes()
        numbers = _NUMBERS.pack(_MAGIC, *record.vectors.shape, *shape)
        written = numbers + zlib.crc32(numbers).to_bytes(4, "little") + _hash(content) + content
        # When another build of the same place has just cleared the log, this part is not kept: nothing is lost.
        with storing(self._folder), suppress(FileNotFoundError):
            self._folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with os.fdopen(handle, "wb") as file:
                at = min(self._end or 0, os.fstat(handle).st_size)
                file.truncate(at)
                file.seek(at)
                file.write(written)
            self._end = at + len(written)

    def count(self) -> int:
        """Return how many vectors are kept."""
        return sum(len(record.keys) for record in self.read())

    def clear(self) -> None:
        """Remove the log."""
        for path in self._folder.glob("*"):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # there is none
            self._folder.rmdir()
        self._end = 0


def _sizes(head: bytes) -> _Sizes | None:
    """Return what a head says; None where there is no whole one."""
    numbers, check = head[: _NUMBERS.size], head[_NUMBERS.size : _NUMBERS.size + 4]
    if len(head) < _HEAD or zlib.crc32(numbers).to_bytes(4, "little") != check:
        return None
    magic, *sizes = _NUMBERS.unpack(numbers)
    return _Sizes(*sizes) if magic == _MAGIC else None


def _hash(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()

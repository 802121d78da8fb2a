"""The journal of an index: changes since its base was built, one after the other in one file that only grows.

A record is its length (8 bytes) with a check of the length (4 bytes), its content, and 32 bytes of SHA-256 over the
record before it and its own content. The first record names the base. A change is made when its record is whole and
synchronised: one write and one fsync. A record that ends before its length says was being written when its writer
died (or is being written now): it is not there, and the next writer cuts it off. Anything else that does not match
its hash is damage.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ...errors import DamagedIndexError, IndexFolderError
from ..atomic_file import synchronise

FILE_NAME = "changes.journal"
FORMAT = 1

_LENGTH = 8
_HEADER = _LENGTH + 4
_HASH = 32


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two records: bytes before it, and the hash of the record that ends there."""

    offset: int = 0
    chain: bytes = b""


Signature = tuple[int, int, int] | None
"""Inode, size and time of the last write; None where there is no journal."""


class Journal:
    """The journal in an index folder; there is no file before the first change.

    Args:
        folder: of the index.
        base: hash of the base's manifest, so that changes are never applied to another base.
    """

    def __init__(self, folder: Path, base: str) -> None:
        self.path = folder / FILE_NAME
        self._base = base

    def signature(self) -> Signature:
        """Return what differs once anything was written: costs one question to the file system."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def read(self, after: Position | None = None) -> tuple[list[bytes], Position]:
        """Return the changes that were made after a position (from the beginning when None), and where they end.

        Raises:
            DamagedIndexError: when a record does not match its hash, or the journal belongs to another base.
        """
        position = after or Position()
        content = self._content(position.offset)
        records = []
        start = 0
        while (record := self._record(content, start, position.chain)) is not None:
            if position.offset:
                records.append(record)
            else:
                self._hold_base(record)
            size = _HEADER + len(record) + _HASH
            start += size
            position = Position(position.offset + size, _chained(position.chain, record))
        return records, position

    def append(self, content: bytes, after: Position) -> Position:
        """Write one change to the disk; whoever calls holds :func:`locked` and has read up to ``after``.

        Raises:
            IndexFolderError: when it cannot be written; the journal is as it was.
        """
        new, chain, frames = after.offset == 0, after.chain, b""
        if new:
            head = json.dumps({"format": FORMAT, "base": self._base}).encode()
            frames, chain = _framed(head, chain), _chained(chain, head)
        frames += _framed(content, chain)
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.ftruncate(handle, after.offset)  # what a killed writer left unfinished
                os.lseek(handle, after.offset, os.SEEK_SET)
                _write_all(handle, frames)
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, after.offset)
                raise
            finally:
                os.close(handle)
            if new:
                synchronise(self.path.parent)
        except OSError as error:
            raise IndexFolderError(f"{self.path} cannot be written ({error}): make the folder writable") from error
        return Position(after.offset + len(frames), _chained(chain, content))

    def _content(self, offset: int) -> bytes:
        """Return what is in the file from ``offset`` on."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < offset:
                    raise DamagedIndexError(f"{self.path} has become shorter than it was read: {self._way_out}")
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            if offset:
                raise DamagedIndexError(f"{self.path} is gone: open the index again") from None
            return b""
        except OSError as error:
            raise DamagedIndexError(f"{self.path} cannot be read ({error}): {self._way_out}") from error

    def _record(self, content: bytes, start: int, chain: bytes) -> bytes | None:
        """Return the record at ``start``; None where none is, or one that is not whole."""
        header = content[start : start + _HEADER]
        if len(header) < _HEADER:
            return None
        if zlib.crc32(header[:_LENGTH]) != int.from_bytes(header[_LENGTH:], "little"):
            raise self._damage()
        end = start + _HEADER + int.from_bytes(header[:_LENGTH], "little")
        if end + _HASH > len(content):
            return None
        record = content[start + _HEADER : end]
        if content[end : end + _HASH] != _chained(chain, record):
            raise self._damage()
        return record

    def _hold_base(self, head: bytes) -> None:
        try:
            found = json.loads(head)
            same = found["format"] == FORMAT and found["base"] == self._base
        except (ValueError, KeyError, TypeError):
            same = False
        if not same:
            raise DamagedIndexError(f"{self.path} holds changes of another index than this: {self._way_out}")

    def _damage(self) -> DamagedIndexError:
        return DamagedIndexError(f"{self.path} does not match its hash: {self._way_out}")

    @property
    def _way_out(self) -> str:
        return (
            "put back a copy of it, or delete it to go back to the index without its changes and make them again"
            f" (the base in {self.path.parent} is not touched)"
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only writer of the index in ``folder``, among all processes; waits for its turn.

    The lock is on the folder itself: a compaction or a build that replaces it takes the lock away with it, and
    whoever was waiting waits for the new one.

    Raises:
        IndexFolderError: when there is no such folder.
    """
    import fcntl

    while True:
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise IndexFolderError(f"{folder} cannot be opened ({error})") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_at(handle, folder):
                continue
            yield
            return
        finally:
            os.close(handle)


def _is_at(handle: int, folder: Path) -> bool:
    """Return whether the open folder is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder))
    except FileNotFoundError:
        return False


def _framed(content: bytes, chain: bytes) -> bytes:
    length = len(content).to_bytes(_LENGTH, "little")
    return length + zlib.crc32(length).to_bytes(4, "little") + content + _chained(chain, content)


def _chained(chain: bytes, content: bytes) -> bytes:
    """Return the hash of a record that follows the record of the hash ``chain``."""
    return sha256(chain + content).digest()


def _write_all(handle: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]

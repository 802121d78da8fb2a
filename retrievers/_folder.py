"""An index folder on disk: one manifest names immutable segments, and a renamed manifest is the only commit.

    X/manifest.json                    settings, and the segments with their hashes; replaced by renaming
    X/lock                             held by whoever builds, updates or compacts the index; holds its process number
    X/segments/NAME/segment.json       size and SHA-256 of every file of the segment
    X/segments/NAME.deleted-NUMBER     which documents of the segment are deleted, a bit each
    X/segments/rows-KEY                rows of a database that were of a segment which is gone, until they are gone too

Files are written once and synchronised before the manifest names them. What the manifest does not name is garbage of
a writer that was killed, and the next writer removes it. So a kill leaves the state before a change or after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError, IndexBusyError, IndexFolderError
from ._atomic_file import storing, synchronise, write_json
from ._foreign import names_in, not_an_index
from ._garbage import ROWS, forget, remove
from ._hashed_files import fingerprint

FORMAT = 4
MANIFEST = "manifest.json"
SEGMENTS = "segments"
SEGMENT = "segment.json"
LOCK = "lock"
_OWN = {MANIFEST, SEGMENTS, LOCK}

LOCK_TIMEOUT = 600.0
"""Seconds that a writer waits for another."""

_POLL = 0.02
_SOON = 1.0
"""Seconds of waiting that are not worth a word."""
_NAME = re.compile(r"s\d{6,12}")
_MOST_BYTES = 1 << 28
"""Of a manifest or a segment's list of files: more is no such file."""

_TYPES = {"generation": int, "settings": dict, "compiler": list, "encoder": str, "dimension": int}
_TYPES |= {"documents": int, "passages": int, "serials": int, "segments": list}


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """What a manifest says of a segment.

    Attributes:
        name: of its folder.
        sha256: of its ``segment.json``.
        passages: deleted ones among them.
        deletions: the number in the name of the file of its deleted documents, 0 for no deletions.
        deletions_sha256: of that file, "" for none.
        deleted: passages that are deleted.
    """

    name: str
    sha256: str
    passages: int
    deletions: int = 0
    deletions_sha256: str = ""
    deleted: int = 0


def is_index(folder: Path) -> bool:
    """Return whether a folder is an index, finished or in the making: nobody's documents are in there."""
    return os.path.isfile(folder / LOCK) and os.path.isdir(folder / SEGMENTS)  # no error where one may not look


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an index.

    Raises:
        IndexFolderError: when there is no index, or one of another format.
        DamagedIndexError: when the manifest cannot be read, or does not say what it must.
    """
    path = folder / MANIFEST
    if not (folder / SEGMENTS).is_dir() and (not path.is_file() or not names_in(folder) <= _OWN):
        raise IndexFolderError(not_an_index(folder, _OWN))  # others have a manifest.json too
    try:
        manifest = _json(path, _content(path))
    except FileNotFoundError:
        raise IndexFolderError(not_an_index(folder, _OWN)) from None
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
    if manifest.get("format") != FORMAT:
        found = manifest.get("format")
        raise IndexFolderError(f"{folder} has the format {found!r}, this version reads {FORMAT}: build the index again")
    if manifest.pop("sha256", None) != manifest_hash(manifest):
        raise DamagedIndexError(f"{path} does not match its hash: build the index again")
    for name, kind in _TYPES.items():
        if not isinstance(manifest.get(name), kind) or isinstance(manifest[name], bool):
            raise DamagedIndexError(f"{path} says {name}: {manifest.get(name)!r}, not {kind.__name__}: build it again")
    if not entries(manifest):
        raise DamagedIndexError(f"{path} names no segment: build the index again")
    return manifest


def entries(manifest: Mapping[str, Any]) -> list[SegmentEntry]:
    """Return the segments that a manifest names, in the order of their rows.

    Raises:
        DamagedIndexError: when one is not what a writer writes, such as a name with ``..``.
    """
    found: list[SegmentEntry] = []
    for value in manifest["segments"]:
        try:
            entry = SegmentEntry(**value)
            numbers = (entry.passages, entry.deletions, entry.deleted)
            right = _NAME.fullmatch(entry.name) and all(type(number) is int and number >= 0 for number in numbers)
        except TypeError:
            right = None
        if not right or entry.name in {other.name for other in found}:
            raise DamagedIndexError(f"the manifest names a segment {value!r}, which none can be: build the index again")
        found.append(entry)
    return found


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """Hash all that a manifest says, so that a damaged setting is noticed as a damaged file is."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def base_hash(manifest: Mapping[str, Any]) -> str:
    """Return the hash of the first segment: it stays the same until the index is built anew or compacted."""
    return entries(manifest)[0].sha256


def commit(place: Path, description: Mapping[str, Any], segments: list[SegmentEntry]) -> dict[str, Any]:
    """Let the manifest name these segments, which are on the disk already; returns it as :func:`read_manifest` would.

    Raises:
        StorageError: when the disk is full or cannot be written; the old manifest is as it was.
    """
    manifest: dict[str, Any] = {"format": FORMAT, **description, "segments": [asdict(entry) for entry in segments]}
    manifest = json.loads(json.dumps(manifest))
    write_json(place / MANIFEST, {**manifest, "sha256": manifest_hash(manifest)})
    return manifest


def seal(folder: Path, about: Mapping[str, Any]) -> str:
    """Write down what a segment's files are, bring everything to the disk, and return the hash of that list."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    listed = {path.relative_to(folder).as_posix(): fingerprint(path) for path in files}
    content = json.dumps({**about, "files": listed}, indent=1, sort_keys=True).encode()
    (folder / SEGMENT).write_bytes(content)
    mask = _umask()
    for path in (*folder.rglob("*"), folder):
        # tantivy makes what only its owner can read
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
        synchronise(path)
    synchronise(folder.parent)
    return hashlib.sha256(content).hexdigest()


def check_segment(place: Path, entry: SegmentEntry, verify: bool) -> dict[str, Any]:
    """Return what a segment's list of files says, after holding the files to it.

    Args:
        place: the index.
        entry: the segment.
        verify: read every file and compare its hash; without, files must be regular and of their size.

    Raises:
        DamagedIndexError: when a file is missing, differs, or is a link, a device or anything but a file.
    """
    folder = place / SEGMENTS / entry.name
    path = folder / SEGMENT
    for parent in (place / SEGMENTS, folder):
        if not _is(parent, stat.S_ISDIR):
            raise DamagedIndexError(f"{parent} is not a folder: build the index again")
    try:
        content = _content(path)
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise DamagedIndexError(f"{path} does not match its hash: build the index again")
    about = _json(path, content)
    files = about.get("files")
    if not isinstance(files, dict) or not files:
        raise DamagedIndexError(f"{path} lists no files: build the index again")
    for name, listed in files.items():
        _check_file(folder, name, listed, verify)
    return about


def write_deletions(place: Path, name: str, number: int, deleted: NDArray[np.bool_]) -> str:
    """Write which documents of a segment are deleted, bool [documents]; returns the hash of the file."""
    content = np.packbits(deleted).tobytes()
    path = place / SEGMENTS / f"{name}.deleted-{number}"
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    synchronise(path.parent)
    return hashlib.sha256(content).hexdigest()


def read_deletions(place: Path, entry: SegmentEntry, documents: int) -> NDArray[np.bool_]:
    """Return which documents of a segment are deleted, bool [documents].

    Raises:
        DamagedIndexError: when the file cannot be read, or does not match its hash.
    """
    if not entry.deletions:
        return np.zeros(documents, np.bool_)
    path = place / SEGMENTS / f"{entry.name}.deleted-{entry.deletions}"
    try:
        content = _content(path)
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
    if hashlib.sha256(content).hexdigest() != entry.deletions_sha256 or len(content) != -(-documents // 8):
        raise DamagedIndexError(f"{path} does not match its hash: build the index again")
    return np.unpackbits(np.frombuffer(content, np.uint8), count=documents).astype(np.bool_)


def remove_garbage(place: Path, segments: list[SegmentEntry]) -> None:
    """Remove everything but these segments: what killed writers left, and what was merged."""
    kept = {entry.name for entry in segments}
    kept |= {f"{entry.name}.deleted-{entry.deletions}" for entry in segments if entry.deletions}
    for path in (*(place / SEGMENTS).glob("*"), *place.glob(f".{MANIFEST}.*")):
        if path.name not in kept and not path.name.startswith(ROWS):
            remove(path)
    for mark in (place / SEGMENTS).glob(f"{ROWS}*"):
        forget(mark)


@contextmanager
def locked(place: Path, timeout: float = LOCK_TIMEOUT, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Be the only writer of the index at ``place``, among all processes; waits for its turn.

    Args:
        place: the folder, which is there.
        timeout: seconds to wait.
        waiting: called once with whom it waits for, when that takes more than a moment.

    Raises:
        IndexFolderError: when there is no such folder.
        IndexBusyError: when another is still writing after ``timeout``.
        StorageError: when the folder cannot be written.
    """
    import fcntl

    began, noted = time.monotonic(), False
    path, until = place / LOCK, began + timeout
    while True:
        handle = _lock_file(path)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
                if waiting is not None and not noted and time.monotonic() - began > min(_SOON, timeout / 2):
                    waiting(f"waiting for process {holder}, which is changing {place}")
                    noted = True
                if time.monotonic() >= until:
                    raise IndexBusyError(
                        f"process {holder} has been changing {place} for more than {timeout:g} s: wait for it, or give"
                        " it more time (--lock-timeout, lock_timeout=)"
                    ) from None
                time.sleep(_POLL)
                continue
            if not _is_at(handle, path):
                continue  # whoever held it removed the file with its unfinished index
            with storing(path):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
            yield
            return
        finally:
            os.close(handle)


@contextmanager
def building(place: Path, timeout: float, waiting: Callable[[str], None] | None) -> Iterator[None]:
    """Be the only writer of an index that may not be there yet; a build that fails leaves no empty folder.

    Raises:
        IndexFolderError: when ``place`` holds something that is not an index.
        IndexBusyError, StorageError: as :func:`locked`.
    """
    _refuse_foreign(place)
    with storing(place):
        if not place.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            synchronise(place.parent)
    with locked(place, timeout, waiting):
        try:
            with storing(place):
                (place / SEGMENTS).mkdir(exist_ok=True)
                synchronise(place)
            yield
        finally:
            if not (place / MANIFEST).exists():
                remove_garbage(place, [])
                with suppress(OSError):
                    (place / SEGMENTS).rmdir()
                    (place / LOCK).unlink()
                    place.rmdir()


def _lock_file(path: Path) -> int:
    """Open the lock of an index, which is made where it is not there."""
    try:
        with storing(path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise IndexFolderError(f"{path.parent} cannot be locked ({error}): is it an index?") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IndexFolderError(f"{path} is not a file: move it away")
    return handle


def _refuse_foreign(place: Path) -> None:
    """Refuse to build over what is no index: what is replaced must be ours, and many programs have a manifest.json."""
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise IndexFolderError(f"{place} is there and is not a folder: nothing was changed, choose another --out")
    names = names_in(place)
    names -= {name for name in names if name.startswith(f".{MANIFEST}.")}
    if not names <= _OWN or (MANIFEST in names and SEGMENTS not in names):
        raise IndexFolderError(f"{place} is there and is not an index: nothing was changed, choose another --out")


def _is_at(handle: int, path: Path) -> bool:
    """Return whether the open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.lstat().st_mode)
    except OSError:
        return False


def _check_file(folder: Path, name: str, listed: object, verify: bool) -> None:
    """Hold a file of a segment against what its list says."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise DamagedIndexError(f"{folder / SEGMENT} names the file {name!r}, outside of it: build the index again")
    path = folder.joinpath(*parts)
    above = [folder.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
    if not _is(path, stat.S_ISREG) or not all(_is(parent, stat.S_ISDIR) for parent in above):
        raise DamagedIndexError(f"{path} is missing or is not a file: build the index again")
    try:
        size = path.stat().st_size
        same = isinstance(listed, dict) and listed.get("size") == size and (not verify or listed == fingerprint(path))
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
    if not same:
        raise DamagedIndexError(f"{path} does not match its hash: build the index again")


def _content(path: Path) -> bytes:
    """Return the bytes of a file; what is not a file is never opened for longer than to see that."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise DamagedIndexError(f"{path} is not a file of an index: build the index again")
        return file.read()


def _json(path: Path, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedIndexError(f"{path} cannot be read as JSON ({error}): build the index again") from error
    if not isinstance(value, dict):
        raise DamagedIndexError(f"{path} holds {type(value).__name__}, not an object: build the index again")
    return value


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask

"""An index folder on disk: it appears whole or not at all, and knows the hash of each of its files.

A new index is written into a hidden folder beside its place, synchronised, and then changes places with the one
that was there in a single step of the file system. Whoever is killed leaves the old index or the new one.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import DamagedIndexError, IndexFolderError
from .atomic_file import synchronise, write_json
from .store import FILE_NAME

FORMAT = 2
MANIFEST = "manifest.json"

_BUILDING = ".building-"
_PREVIOUS = "-previous"

_AT_CURRENT_FOLDER = -100
_EXCHANGE = 2
_CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an index.

    Raises:
        IndexFolderError: when there is no index, or one of another format.
        DamagedIndexError: when the manifest cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        what = "is not there" if not folder.exists() else f"holds no index (no {MANIFEST})"
        raise IndexFolderError(f"{folder} {what}: make it with  trailhound index CORPUS --out {folder}")
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise IndexFolderError(f"{folder} has the format {found!r}, this version reads {FORMAT}: build the index again")
    if manifest.pop("sha256", None) != manifest_hash(manifest):
        raise DamagedIndexError(f"{path} does not match its hash: build the index again")
    return manifest


def signature(folder: Path) -> tuple[int, int, int] | None:
    """Return what differs once another index is at ``folder``, for one question to the file system; None for none."""
    try:
        found = (folder / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Hold every file of an index against the size and the SHA-256 in its manifest.

    Raises:
        DamagedIndexError: when one is missing or differs.
    """
    files = manifest.get("files")
    if not isinstance(files, dict) or not files:
        raise DamagedIndexError(f"{folder / MANIFEST} lists no files: build the index again")
    for name, entry in files.items():
        path = folder / name
        try:
            same = entry == _fingerprint(path)
        except OSError as error:
            raise DamagedIndexError(f"{path} cannot be read ({error}): build the index again") from error
        if not same:
            raise DamagedIndexError(f"{path} does not match its hash: build the index again")


@contextmanager
def new_folder(place: Path) -> Iterator[Path]:
    """Give an empty folder beside ``place``; it is removed again unless :func:`publish` gave it away.

    What killed builds of the same place left behind is removed first.

    Raises:
        IndexFolderError: when ``place`` holds something that is not an index.
    """
    _refuse_foreign(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{place.name}{_BUILDING}"
    for stale in place.parent.iterdir():
        if stale.name.startswith(prefix):
            _remove_stale(stale, place)
    staging, handle = _held_folder(place.parent, prefix)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        os.close(handle)


def publish(staging: Path, place: Path, description: Mapping[str, Any]) -> None:
    """Write the manifest of ``staging``, synchronise it, and put it at ``place`` in one step.

    An index that was at ``place`` is at ``staging`` afterwards.
    """
    files = {
        path.relative_to(staging).as_posix(): _fingerprint(path)
        for path in sorted(staging.rglob("*"))
        if path.is_file()
    }
    manifest = {"format": FORMAT, **description, "files": files}
    manifest["sha256"] = manifest_hash(manifest)
    write_json(staging / MANIFEST, manifest)
    mask = _umask()
    for path in (*staging.rglob("*"), staging):
        # mkdtemp and tantivy make what only its owner can read.
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
        synchronise(path)
    _refuse_foreign(place)
    try:
        staging.rename(place)  # works where there is nothing, or an empty folder
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        _exchange(staging, place)
    synchronise(place.parent)


def _refuse_foreign(place: Path) -> None:
    empty = place.is_dir() and not any(place.iterdir())
    # Many programs have a manifest.json: what is deleted must be ours.
    index = (place / MANIFEST).is_file() and (place / FILE_NAME).is_file()
    if place.exists() and not empty and not index:
        raise IndexFolderError(f"{place} is there and is not an index: choose another --out, or delete it")


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """Hash all that a manifest says, so that a damaged setting is noticed as a damaged file is."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _held_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a folder and lock it, so that other builds know that its builder lives."""
    import fcntl

    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with suppress(FileNotFoundError):  # another build took it for a left-over before it was locked
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():
                return folder, handle
            os.close(handle)


def _remove_stale(folder: Path, place: Path) -> None:
    """Remove what a killed build of ``place`` left, unless its builder lives; an index moved aside goes back."""
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return  # another build was faster, or it is not a folder of ours
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.name.endswith(_PREVIOUS) and not place.exists():
            folder.rename(place)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(handle)


def _exchange(first: Path, second: Path) -> None:
    """Let two folders change names in one step.

    Where the system cannot, the second is moved aside first: for an instant there is none, and whoever is killed
    in it leaves the old index to :func:`new_folder`, which puts it back.
    """
    if sys.platform.startswith("linux"):
        rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if rename is not None:
            arguments = (_AT_CURRENT_FOLDER, os.fsencode(first), _AT_CURRENT_FOLDER, os.fsencode(second))
            if rename(*arguments, _EXCHANGE) == 0:
                return
            code = ctypes.get_errno()
            if code not in _CANNOT_EXCHANGE:
                raise OSError(code, os.strerror(code), str(second))
    aside = first.with_name(f"{first.name}{_PREVIOUS}")
    second.rename(aside)
    try:
        first.rename(second)
    except OSError:
        with suppress(OSError):
            aside.rename(second)
        raise
    aside.rename(first)

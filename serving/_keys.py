"""API keys: a file says what each may do; it holds hashes alone, so whoever reads it can use none."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import QuestionsError
from ..retrievers._atomic_file import storing

RIGHTS = ("search", "write", "admin")
"""What a key may do in a workspace; ``admin`` is all, and reads the misses, the health and the metrics."""

EVERYWHERE = "*"
"""Stands for every workspace."""

_PREFIX = "th_"


@dataclass(frozen=True, slots=True)
class Key:
    """Who asks.

    Attributes:
        name: for the file and the jobs.
        rights: by workspace.
        principals: whom access lists must name for this key to see a document; None sees all.
    """

    name: str
    rights: Mapping[str, Collection[str]] = field(default_factory=dict)
    principals: frozenset[str] | None = None

    def may(self, workspace: str, right: str) -> bool:
        """Return whether it has a right in a workspace."""
        held = {*self.rights.get(workspace, ()), *self.rights.get(EVERYWHERE, ())}
        return right in held or "admin" in held

    def knows(self, workspace: str) -> bool:
        """Return whether it has any right in a workspace."""
        return bool(self.rights.get(workspace) or self.rights.get(EVERYWHERE))


NOBODY_ASKED = Key("", {EVERYWHERE: ("admin",)})
"""Whoever asks a server without keys."""


def hash_of(key: str) -> str:
    """Return what the file keeps of a key. A key is 256 random bits, so no slow hash is needed."""
    return blake2b(key.encode(), digest_size=32, person=b"trailhound-key").hexdigest()


class KeyRing:
    """The keys of a file; what is written to it later counts from the next request on.

    Args:
        path: one JSON object a line: ``name``, ``hash``, ``rights``, and ``principals`` where there are some.

    Raises:
        QuestionsError: when the file is no file of keys.
        OSError: when it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._read_at: tuple[int, int] | None = None
        self._keys: dict[str, Key] = {}
        self._refresh()

    def key(self, shown: str) -> Key | None:
        """Return the key that was shown, where the file has it; the time that takes says nothing of it."""
        self._refresh()
        digest, found = hash_of(shown), None
        for known, key in self._keys.items():
            if hmac.compare_digest(known, digest):
                found = key
        return found

    def _refresh(self) -> None:
        about = self._path.stat()
        now = about.st_mtime_ns, about.st_size
        with self._lock:
            if now != self._read_at:
                self._keys, self._read_at = read_keys(self._path), now


def read_keys(path: Path) -> dict[str, Key]:
    """Return the keys of a file by their hashes."""
    found = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            about = json.loads(line)
            principals = about.get("principals")
            key = Key(about["name"], about["rights"], None if principals is None else frozenset(principals))
            wrong = {right for rights in key.rights.values() for right in rights} - set(RIGHTS)
            digest = about["hash"]
            if wrong or len(bytes.fromhex(digest)) != 32:
                raise ValueError(f"rights {sorted(wrong)}" if wrong else "the hash")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"is no key ({error}): make keys with  trailhound serve --new-key NAME --rights WORKSPACE:RIGHT"
            raise QuestionsError(message, path, number) from error
        found[digest] = key
    return found


def rights_of(said: str) -> dict[str, list[str]]:
    """Read rights as they are typed: ``docs:search,docs:write,*:admin``.

    Raises:
        QuestionsError: when it cannot be understood.
    """
    rights: dict[str, list[str]] = {}
    for one in said.split(","):
        workspace, _, right = one.strip().rpartition(":")
        if not workspace or right not in RIGHTS:
            raise QuestionsError(
                f"{one.strip()!r} is no right: write WORKSPACE:RIGHT, such as docs:search or *:admin;"
                f" rights are {', '.join(RIGHTS)}"
            )
        if right not in rights.setdefault(workspace, []):
            rights[workspace].append(right)
    return rights


def add_key(path: Path, name: str, rights: Mapping[str, Collection[str]], principals: Collection[str] | None) -> str:
    """Append a new key to a file, which is made where there is none, and return it; nobody can find it out later.

    Raises:
        QuestionsError: when the file has a key of that name.
        StorageError: when it cannot be written.
    """
    known = read_keys(path) if path.exists() else {}
    if any(key.name == name for key in known.values()):
        raise QuestionsError(f"{path} has a key {name!r}: choose another name, or remove its line first")
    key = _PREFIX + secrets.token_urlsafe(32)
    about: dict[str, Any] = {"name": name, "hash": hash_of(key), "rights": dict(rights)}
    if principals is not None:
        about["principals"] = sorted(principals)
    with storing(path):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(json.dumps(about, ensure_ascii=False) + "\n")
    return key

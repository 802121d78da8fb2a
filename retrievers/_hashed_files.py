"""Files with hashes: whatever is cut, flipped or missing is noticed when it is read, and named.

A *sealed* file states its own SHA-256, in a field that counts as zeros when the hash is taken. Of other files a sealed
JSON file in the same folder states size and SHA-256, their *fingerprint*.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import TrailhoundError
from ._atomic_file import write_atomically

FIELD = "file_sha256"
_UNSEALED = "0" * 64
_SEAL = re.compile(rb"file_sha256\W{3,9}([0-9a-f]{64})")


def fingerprint(path: Path) -> dict[str, Any]:
    """Return the size of a file in bytes, and its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size": path.stat().st_size, "sha256": digest}


def read_listed(path: Path, listed: object, error: type[TrailhoundError], remedy: str) -> bytes:
    """Return the content of a file that has the fingerprint ``listed``.

    Args:
        path: the file.
        listed: what another file states of it.
        error: what to raise.
        remedy: what the user can do, such as "train it again".

    Raises:
        TrailhoundError: of the kind ``error``, when the file is missing or another one.
    """
    content = _read(path, error, remedy)
    if listed != {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}:
        raise error(f"{path} is damaged: its size or SHA-256 is not the one stated for it; {remedy}")
    return content


def write_sealed_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as JSON with its own hash, atomically."""
    content = json.dumps({FIELD: _UNSEALED, **value}, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, _sealed(content.encode()))


def read_sealed_json(path: Path, error: type[TrailhoundError], remedy: str) -> dict[str, Any]:
    """Return what :func:`write_sealed_json` wrote.

    Args:
        path: the file.
        error: what to raise.
        remedy: what the user can do, such as "train it again".

    Raises:
        TrailhoundError: of the kind ``error``, when the file is missing or damaged.
    """
    try:
        value = json.loads(_unsealed(path, error, remedy).decode())
        del value[FIELD]
    except (ValueError, TypeError, KeyError, RecursionError) as cause:
        raise error(f"{path} is damaged ({cause}); {remedy}") from cause
    return dict(value)


def about_tensors(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata of a safetensors file that :func:`write_sealed_tensors` seals."""
    return {"about": json.dumps({FIELD: _UNSEALED, **about})}


def write_sealed_tensors(path: Path, content: bytes) -> None:
    """Write a safetensors file with its own hash, atomically.

    Args:
        path: the file.
        content: of ``safetensors``' ``save``, with the metadata of :func:`about_tensors`.
    """
    write_atomically(path, _sealed(content))


def read_sealed_tensors(path: Path, error: type[TrailhoundError], remedy: str) -> tuple[bytes, dict[str, Any]]:
    """Return the content of a safetensors file, for ``safetensors``' ``load``, and what it says about itself.

    Args:
        path: the file.
        error: what to raise.
        remedy: what the user can do, such as "train it again".

    Raises:
        TrailhoundError: of the kind ``error``, when the file is missing or damaged.
    """
    content = _unsealed(path, error, remedy)
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header["__metadata__"]["about"])
        del about[FIELD]
    except (ValueError, TypeError, KeyError, RecursionError) as cause:
        raise error(f"{path} is damaged ({cause}); {remedy}") from cause
    return content, dict(about)


def _sealed(content: bytes) -> bytes:
    """Put the hash of a file into its field."""
    field = _SEAL.search(content)
    assert field is not None, "what is sealed has a field for its hash"
    return content[: field.start(1)] + hashlib.sha256(content).hexdigest().encode() + content[field.end(1) :]


def _unsealed(path: Path, error: type[TrailhoundError], remedy: str) -> bytes:
    """Return a sealed file's content, its hash as zeros, once that has been checked."""
    content = _read(path, error, remedy)
    field = _SEAL.search(content)
    if field is not None:
        blank = content[: field.start(1)] + _UNSEALED.encode() + content[field.end(1) :]
        if hashlib.sha256(blank).hexdigest().encode() == field[1]:
            return blank
    raise error(f"{path} is damaged: its content does not match its own SHA-256; {remedy}")


def _read(path: Path, error: type[TrailhoundError], remedy: str) -> bytes:
    if not path.is_file():
        raise error(f"{path} is missing or no file; {remedy}")
    try:
        return path.read_bytes()
    except OSError as cause:
        raise error(f"{path} cannot be read ({cause.strerror}); {remedy}") from cause

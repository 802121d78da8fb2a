"""What an index that follows its corpus tells the reader: which files it knows, and what their ids are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from ..records import Document


def hash_of(content: bytes) -> str:
    """Return what :data:`FILE_HASH` says of a file of these bytes."""
    return blake2b(content, digest_size=16).hexdigest()


def _name_in_folder(path: Path, name: str) -> str:
    return name


def _as_it_is(document: Document, path: Path) -> Document:
    return document


@dataclass(slots=True)
class KnownFiles:
    """What a reader is told of the files that an index holds, and what it tells of those that gave no document.

    Attributes:
        name_of: returns the id of a file from its path and its path in the folder that is read.
        mark: returns a document with what is to be said of where it is, from the path of its file.
        hashes: by id, of the files that are in the index: a file of that hash is not parsed again.
        furniture: hashes of the blocks that were left out of its pages; None where that is to be found out.
        follows: the index is kept in step. No documents are no error, and a file that cannot be read stops nothing.
        unchanged: ids of files that have the hash that is known; filled by the reader.
        empty: ids of files without text; filled by the reader.
        unread: why a file, or everything in a folder, could not be read, by id; filled by the reader.
    """

    name_of: Callable[[Path, str], str] = _name_in_folder
    mark: Callable[[Document, Path], Document] = _as_it_is
    hashes: Mapping[str, str] = field(default_factory=dict)
    furniture: Collection[str] | None = None
    follows: bool = False
    unchanged: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)

    def is_unchanged(self, identifier: str, file_hash: str) -> bool:
        """Return whether the index holds this very file, and note it then."""
        if self.hashes.get(identifier) != file_hash:
            return False
        self.unchanged.append(identifier)
        return True

"""Where the evidence and the vectors of a segment are kept: in its folder, or as rows of a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import DamagedIndexError
from ..retrievers._folder import SEGMENTS, SegmentEntry, check_segment, entries, read_manifest
from ..retrievers._postgres_store import PostgresSegment, PostgresStore, PostgresStoreWriter, check_rows
from ..retrievers._store import FILE_NAME, EvidenceStore, StoreWriter
from ..retrievers.records import Vectors
from ..retrievers.vectors._dense import DenseIndex, DenseKind
from ..retrievers.vectors._postgres_dense import PostgresDense
from ..retrievers.vectors._vector_cache import DENSE

STORE = "store"
"""What a segment's list of files says of its rows in a database."""


class SegmentRows(Protocol):
    """Evidence and vectors of a segment in the making."""

    def writer(self) -> StoreWriter | PostgresStoreWriter:
        """Return what writes the evidence."""

    def write_vectors(self, vectors: Vectors, kind: DenseKind) -> None:
        """Write the vectors of all passages, float32 [N, d], to be searched by ``kind``."""

    def about(self) -> Mapping[str, Any]:
        """Return what is said of them beside the segment's files, once all is written."""


class FolderRows:
    """Evidence and vectors in the files of a segment's folder.

    Args:
        folder: of the segment.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def writer(self) -> StoreWriter:
        """Return what writes the evidence."""
        return StoreWriter(self._folder / FILE_NAME)

    def write_vectors(self, vectors: Vectors, kind: DenseKind) -> None:
        """Write the vectors of all passages, float32 [N, d], to be searched by ``kind``."""
        DenseIndex.build(self._folder / DENSE, vectors, kind)

    def about(self) -> Mapping[str, Any]:
        """Return nothing: the files are listed."""
        return {}


def new_rows(folder: Path, store: str) -> SegmentRows:
    """Return where a new segment keeps its evidence: in the database ``store``, or in its folder where that is empty.

    Raises:
        DatabaseError: when the database cannot be used.
    """
    if not store:
        return FolderRows(folder)
    (folder / DENSE).mkdir()  # for what lies beside the vectors
    return PostgresSegment(store, folder)


def open_store(folder: Path, about: Mapping[str, Any]) -> EvidenceStore | None:
    """Return the evidence of a segment; None where it has none."""
    if STORE in about:
        return PostgresStore(folder, about[STORE])
    return EvidenceStore(folder / FILE_NAME) if FILE_NAME in about["files"] else None


@dataclass(frozen=True)
class Base:
    """The first segment of an index, opened for its evidence alone.

    Attributes:
        entry: what the manifest says of it.
        folder: of the segment.
        store: its documents and passages.
    """

    entry: SegmentEntry
    folder: Path
    store: EvidenceStore


def open_base(place: Path) -> Base:
    """Open the evidence of the base of an index, and nothing that only searches need.

    Raises:
        DamagedIndexError: when it has none, or its files are not those that the manifest names.
    """
    entry = entries(read_manifest(place))[0]
    folder = place / SEGMENTS / entry.name
    store = open_store(folder, check_segment(place, entry, verify=False))
    if store is None:
        raise DamagedIndexError(f"{folder} has no passages: build the index again")
    return Base(entry, folder, store)


def open_dense(folder: Path, about: Mapping[str, Any], kind: DenseKind) -> DenseIndex | PostgresDense:
    """Return the dense index of a segment."""
    if STORE in about:
        return PostgresDense(folder, about[STORE], kind)
    return DenseIndex(folder / DENSE, kind)


def verify_rows(folder: Path, about: Mapping[str, Any]) -> None:
    """Hold what a database has of a segment to its hash; files are held to theirs where they are listed.

    Raises:
        DamagedIndexError: when it has other rows.
    """
    if STORE in about:
        check_rows(folder, about[STORE])

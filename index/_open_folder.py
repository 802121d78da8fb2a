"""An index folder that is open: the state that is searched, who may change it, and how others' changes come in."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from logging import getLogger
from pathlib import Path
from threading import Lock, RLock, local
from typing import Any, Generic, TypeVar

import numpy as np

from ..errors import ClosedError, DamagedIndexError, EncoderError, IndexFolderError, QuestionsError, UpdateError
from ..graph._knowledge_graph import KnowledgeGraph
from ..retrievers._folder import MANIFEST, SegmentEntry, entries, locked, read_deletions, read_manifest, remove_garbage
from ..retrievers._forks import PerProcess
from ..retrievers._store import EvidenceStore
from ..retrievers.knowledge._facts import Facts
from ..retrievers.protocols import SubIndex
from ..retrievers.vectors._dense import DenseIndex
from ..retrievers.vectors._late_interaction import PieceIndex
from ..retrievers.vectors._postgres_dense import PostgresDense
from ..retrievers.words._lexical import LexicalIndex
from ..retrievers.words._links_folder import LinksFolder
from ..retrievers.words._terms import TermIndex
from ..retrievers.words._titles import EntityIndex, TitleMatcher
from ._sample import Sample
from ._segment_views import SegmentedDense, SegmentedStore, SegmentedTerms
from ._segmented_graph import SegmentedGraph
from ._segmented_pieces import SegmentedPieces
from ._segments import Parts, Segment, open_segment, parts_of, visible_parts
from ._writing import State
from .where import Where

T = TypeVar("T")

_LOG = getLogger("trailhound.index")

_KEPT_VIEWS = 32
"""Parts of the latest state that are kept for those who may see some documents alone, the last ones asked for."""


class Part(Generic[T]):
    """An attribute of an index that is read from its parts, so that all of them are always of one state."""

    def __set_name__(self, owner: type[OpenFolder], name: str) -> None:
        """Learn its name."""
        self._name = name

    def __get__(self, index: OpenFolder, owner: type[OpenFolder]) -> T:
        """Return the part."""
        part: T = getattr(index.parts, self._name)
        return part


class Watched:
    """The manifest file of a state, kept open: no later file can have its number, so a new one is always noticed.

    Args:
        path: of the manifest.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._seen = _identity(os.fstat(self._handle))

    def moved(self) -> bool:
        """Return whether another manifest is there now, or none."""
        try:
            return _identity(os.stat(self._path)) != self._seen
        except OSError:
            return True

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with suppress(OSError):
                os.close(handle)

    def __del__(self) -> None:
        """Close the file."""
        with suppress(AttributeError):
            self.close()


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class OpenFolder:
    """What is at a path, opened; a base class of ``Index``. Threads may share one.

    Args:
        path: the folder.
        verify: compare every file with its hash first.
        lock_timeout: seconds that a change waits for another process.
    """

    encoder_name: str

    def __init__(self, path: Path | str, verify: bool, lock_timeout: float) -> None:
        self.path = Path(os.path.abspath(path))  # whoever changes the current folder changes no index
        self._verify = verify
        self._lock_timeout = lock_timeout
        self._writing = PerProcess(RLock)
        self._opening = PerProcess(Lock)
        self._pinned = local()
        self._links = LinksFolder()
        self._behind = ""
        self._views: tuple[Parts | None, OrderedDict[Where, Parts]] = (None, OrderedDict())
        self._state: State | None
        self._watched, self._state = self._open(None)

    def _open(self, before: State | None) -> tuple[Watched, State]:
        """Open what is at the path; segments of the state before that are still there are taken over."""
        while True:
            watched = _watch(self.path)
            manifest = read_manifest(self.path)
            self._accept(manifest)
            try:
                parts = self._parts(manifest, before)
            except IndexFolderError:
                if read_manifest(self.path) == manifest:
                    raise
                continue  # a writer has just removed segments that were merged
            self._adopt(manifest)
            return watched, State(manifest, parts)

    def _parts(self, manifest: Mapping[str, Any], before: State | None) -> Parts:
        known = {} if before is None else {one.entry.sha256: one for one in before.parts.segments}
        segments: list[Segment] = []
        deleted = []
        for entry in entries(manifest):
            segment = known.get(entry.sha256) or open_segment(self.path, entry, self._verify, not segments)
            segments.append(_with_entry(segment, entry))
            gone = None if before is None else _deleted_before(before.parts, entry)
            gone = read_deletions(self.path, entry, len(segment.document_ids)) if gone is None else gone
            deleted.append(gone)
        return parts_of(segments, deleted, self._links, None if before is None else before.parts)

    def _accept(self, manifest: Mapping[str, Any]) -> None:
        """Refuse a manifest that cannot be."""
        raise NotImplementedError

    def _adopt(self, manifest: Mapping[str, Any]) -> None:
        """Take over what the manifest of the state that is searched from now on says."""
        raise NotImplementedError

    store = Part[EvidenceStore | SegmentedStore]()
    lexical = Part[LexicalIndex]()
    dense = Part[DenseIndex | PostgresDense | SegmentedDense]()
    entity = Part[EntityIndex]()
    terms = Part[TermIndex | SegmentedTerms]()
    titles = Part[TitleMatcher]()
    graph = Part[KnowledgeGraph | SegmentedGraph]()
    facts = Part[Facts | None]()
    pieces = Part[PieceIndex | SegmentedPieces | None]()
    sub_indexes = Part[dict[str, SubIndex]]()
    sample = Part[Sample]()

    @property
    def parts(self) -> Parts:
        """What a search reads: the latest state, or the one that :meth:`snapshot` keeps in this thread."""
        pinned: State | None = getattr(self._pinned, "state", None)
        return (self._latest if pinned is None else pinned).parts

    @property
    def _latest(self) -> State:
        """The latest state that was read."""
        if self._state is None:
            raise self._closed()
        return self._state

    def _closed(self) -> ClosedError:
        return ClosedError(f"{self.path} was closed: open it again")

    def close(self) -> None:
        """Let go of files, connections and memory; see ``Index``."""
        with self._opening():
            self._state = None
            self._views = (None, OrderedDict())
            self._watched.close()
            self._links.close()

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the latest state."""
        return self._latest.manifest

    @contextmanager
    def snapshot(self, where: Where | None = None) -> Iterator[None]:
        """Let this thread see one state of the index, whatever others add or delete meanwhile.

        Args:
            where: only documents that fit are seen: whatever is read, searched or followed knows no others.

        Raises:
            QuestionsError: when the index is a knowledge graph, which has no documents to choose from.
        """
        outer: State | None = getattr(self._pinned, "state", None)
        state = self._latest if outer is None else outer
        self._pinned.state = state if where is None else State(state.manifest, self.visible(state.parts, where))
        try:
            yield
        finally:
            self._pinned.state = outer

    def visible(self, parts: Parts, where: Where) -> Parts:
        """Return the parts of a state in which only documents that fit are seen."""
        if parts.facts is not None:
            raise QuestionsError(f"{self.path} is a knowledge graph, which has no documents: ask without conditions")
        with self._opening():
            of, views = self._views
            if of is parts and where in views:
                views.move_to_end(where)
                return views[where]
        seen = visible_parts(parts, where, self._links)
        with self._opening():
            of, views = self._views
            if of is not parts:
                if parts is not self._latest.parts:
                    return seen
                views = OrderedDict()
                self._views = (parts, views)
            views[where] = seen
            while len(views) > _KEPT_VIEWS:
                views.popitem(last=False)
        return seen

    @property
    def changed(self) -> bool:
        """Whether documents came or went since the base was built."""
        return self.parts.changed

    def refresh(self) -> bool:
        """See what other processes have changed since; returns whether there was anything.

        As long as nothing was, it costs one question to the file system. Segments that are open stay open. Where the
        folder is gone, damaged, or holds an index of another encoder, searches go on in the state that is open, and
        a warning is logged once.

        Raises:
            ClosedError: when the index was closed.
        """
        if self._state is None:
            raise self._closed()
        if not self._watched.moved():
            return False
        with self._opening():
            if not self._watched.moved():
                return False
            try:
                watched, state = self._open(self._latest)
            except (IndexFolderError, EncoderError) as error:
                if str(error) != self._behind:
                    self._behind = str(error)
                    _LOG.warning("searches go on in the index as it was: %s", error)
                return False
            changed = state.manifest != self._latest.manifest
            self._behind, self._watched, self._state = "", watched, state
            return changed

    def _follow(self) -> State:
        """Read what others wrote, and let searches see it; the caller is the only writer."""
        with self._opening():
            if self._watched.moved():
                self._watched, self._state = self._open(self._latest)
            return self._latest

    def _show(self, state: State) -> None:
        """Let searches see a state that was just written."""
        with self._opening():
            self._watched, self._state = _watch(self.path), state

    def _check_changeable(self) -> None:
        if self.facts is not None:
            raise UpdateError(
                f"{self.path} is a knowledge graph, whose vectors are learnt from all facts together: change its"
                " graph.txt and build it again"
            )

    @contextmanager
    def _changing(self, waiting: Callable[[str], None] | None = None) -> Iterator[State]:
        """Be the only writer, up to date."""
        self._check_changeable()
        with self._writing(), locked(self.path, self._lock_timeout, waiting or _LOG.warning):
            state = self._follow()
            remove_garbage(self.path, entries(state.manifest))  # of writers that were killed
            yield state


def _watch(path: Path) -> Watched:
    """Keep the manifest of a folder open; a missing one is the error of reading it."""
    try:
        if stat.S_ISREG((path / MANIFEST).lstat().st_mode):
            return Watched(path / MANIFEST)
    except OSError:
        read_manifest(path)
    raise DamagedIndexError(f"{path / MANIFEST} is not a file: build the index again")


def _with_entry(segment: Segment, entry: SegmentEntry) -> Segment:
    return segment if segment.entry == entry else replace(segment, entry=entry)


def _deleted_before(parts: Parts, entry: SegmentEntry) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Return which documents of a segment are deleted, where an earlier state has read the same file."""
    for segment, deleted in zip(parts.segments, parts.deleted, strict=True):
        known = segment.entry
        if known.sha256 == entry.sha256 and known.deletions_sha256 == entry.deletions_sha256:
            return deleted
    return None

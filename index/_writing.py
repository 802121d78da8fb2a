"""Changing an index folder: a segment is written, one manifest commits it, and small segments are merged afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..retrievers._atomic_file import map_array, storing
from ..retrievers._folder import SEGMENTS, SegmentEntry, commit, remove_garbage, seal, write_deletions
from ..retrievers._garbage import remove
from ..retrievers.compiling._context import Chunked, in_context
from ..retrievers.compiling._pruning import Entry, save_dropped
from ..retrievers.compiling._window import text_with_lead
from ..retrievers.protocols import Progress
from ..retrievers.records import Rows, Vectors
from ..retrievers.vectors._dense import COMPRESSED, DenseKind
from ..retrievers.vectors._late_interaction import PIECES, PieceIndex
from ..retrievers.vectors._piece_codes import CodedPieces
from ..retrievers.vectors._vector_cache import DENSE, KEYS
from ..retrievers.words._lexical import LexicalIndex
from ..retrievers.words._links_folder import LinksFolder
from ..retrievers.words._terms import TermIndex
from ._relinking import new_edges
from ._segment_rows import new_rows
from ._segmented_graph import SegmentedGraph, SegmentGraph
from ._segments import GRAPH, LEXICAL, LINES, TERMS, Parts, Segment, open_parts, parts_of

MERGED_AT_ONCE = 8
"""Neighbouring segments of one size that are merged into one; each passage is so merged log8(N) times."""

_LARGE = 20_000
"""Passages from which on an addition is searched by the index's own dense kind, where that keeps vectors."""


@dataclass(frozen=True)
class State:
    """A state of an index: its manifest, and what is searched."""

    manifest: dict[str, Any]
    parts: Parts


@dataclass(frozen=True)
class SegmentContent:
    """What a segment of additions is written from.

    Attributes:
        chunked: the documents, each with its passages.
        lines: what stands before each passage to find it by; empty for an index without context.
        vectors: float32 [n, d].
        keys: of the texts that the vectors are of, uint8 [n, 16].
        pieces: of the passages' word pieces, where the index keeps them.
        terms: of every passage; analysed when None.
        dropped, marks: what was left out, and by what duplicates are found, where the index leaves them out.
    """

    chunked: Sequence[Chunked]
    lines: Sequence[str]
    vectors: Vectors
    keys: NDArray[np.uint8]
    pieces: CodedPieces | None = None
    terms: TermIndex | None = None
    dropped: Sequence[Entry] = ()
    marks: NDArray[np.uint64] | None = None


@dataclass(frozen=True)
class Writer:
    """Writes changes of an index; its lock is held by the caller.

    Attributes:
        place: the index.
        dense: the dense kind of its settings.
        store: the database that keeps its rows, empty for none.
        in_context: whether it puts lines before passages.
        links: folder for links to lexical files.
        progress: called with (stage, done, total).
    """

    place: Path
    dense: DenseKind
    store: str
    in_context: bool
    links: LinksFolder
    progress: Progress | None = None

    def apply(self, state: State, removed: Sequence[str], content: SegmentContent | None) -> State:
        """Delete documents and add others in one step; returns the state, which nobody else sees before the commit.

        Raises:
            StorageError: when the disk is full or cannot be written; the index is as it was.
        """
        parts = state.parts
        deleted = _without(parts, removed)
        number, serials = int(state.manifest["generation"]) + 1, int(state.manifest["serials"])
        with self._folder(number) as folder:
            about = {} if content is None else self._write(folder, content)
            count = 0 if content is None else len(content.vectors)
            own = np.arange(serials, serials + count, dtype=np.int64)
            new = self._opened(folder, about, count, SegmentGraph.without_edges(own))
            gone = np.flatnonzero(parts.alive & ~self._alive(parts, deleted))
            unlinked = self._parts([*parts.segments, new], [*deleted, _none_of(new)], parts)
            new = replace(new, graph=new_edges(parts, unlinked, gone, self.in_context, self.progress))
            kept = content is not None or len(new.graph.graph.edges) or len(new.graph.replaced)
            segments, gone_documents = list(parts.segments), list(deleted)
            if kept:
                segments.append(self._sealed(folder, about, new))
                gone_documents.append(_none_of(new))
            else:
                shutil.rmtree(folder)
            segments = self._with_deletions(segments, gone_documents, parts, number)
        return self._next(state, segments, gone_documents, (number, serials + count), unlinked)

    def merge(self, state: State) -> State:
        """Merge segments as long as many small ones stand in a row, or one has lost half of its passages."""
        while (chosen := _to_merge(state.parts)) is not None:
            state = self._merged(state, *chosen)
        return state

    def commit(self, state: State) -> State:
        """Let the manifest name the segments of a state, and remove all others; returns the state that is seen then.

        Raises:
            StorageError: when the disk is full or cannot be written; the index is as it was.
        """
        listed = [segment.entry for segment in state.parts.segments]
        state = State(commit(self.place, state.manifest, listed), state.parts)
        remove_garbage(self.place, listed)
        return state

    def _merged(self, state: State, first: int, last: int) -> State:
        """Write the living passages of neighbouring segments, ``first`` to ``last`` - 1, as one segment."""
        parts, number = state.parts, int(state.manifest["generation"]) + 1
        graph = parts.graph
        if not isinstance(graph, SegmentedGraph):
            raise TypeError("an index of one segment has nothing to merge")
        with self._folder(number) as folder:
            content, rows = _living_content(self.place, parts, first, last)
            about = {} if content is None else self._write(folder, content)
            edges = graph.merged(first, last, rows)
            new = self._opened(folder, about, len(rows), edges)
            segments, deleted = list(parts.segments), list(parts.deleted)
            kept = content is not None or len(edges.graph.edges) or len(edges.replaced)
            segments[first:last] = [self._sealed(folder, about, new)] if kept else []
            deleted[first:last] = [_none_of(new)] if kept else []
            if not kept:
                shutil.rmtree(folder)
        return self._next(state, segments, deleted, (number, int(state.manifest["serials"])), parts)

    def _write(self, folder: Path, content: SegmentContent) -> dict[str, Any]:
        """Write everything but the edges; returns what is said of the segment."""
        rows = new_rows(folder, self.store)
        store = rows.writer()
        try:
            for document, some in content.chunked:
                store.add(document, some)
        except BaseException:
            store.abandon()
            raise
        store.close()
        if content.marks is not None:
            save_dropped(folder, content.dropped, content.marks)
        passages = [passage for _, some in content.chunked for passage in some]
        if not passages:
            return {"dense": "exact", **rows.about()}
        lines = content.lines or [""] * len(passages)
        found_by = [(p.title, in_context(line, text_with_lead(p))) for p, line in zip(passages, lines, strict=True)]
        LexicalIndex.build(folder / LEXICAL, found_by, len(found_by), None)
        terms = content.terms or TermIndex.build([f"{passage.title}\n{passage.text}" for passage in passages])
        terms.save(folder / TERMS)
        large = len(passages) >= _LARGE and self.dense not in COMPRESSED
        kind: DenseKind = self.dense if large else "exact"
        rows.write_vectors(content.vectors, kind)
        np.save(folder / DENSE / KEYS, content.keys, allow_pickle=False)
        if content.pieces is not None:
            PieceIndex.write(folder / PIECES, content.pieces)
        if content.lines:
            (folder / LINES).write_text(json.dumps(list(content.lines), ensure_ascii=False), "utf-8")
        return {"dense": kind, **rows.about()}

    @contextmanager
    def _folder(self, number: int) -> Iterator[Path]:
        """Make the folder of a new segment; it goes again when something fails before it can have been committed."""
        folder = self.place / SEGMENTS / f"s{number:06d}"
        with storing(self.place):
            try:
                folder.mkdir(parents=True)
                yield folder
            except BaseException:
                remove(folder)
                raise

    def _opened(self, folder: Path, about: Mapping[str, Any], count: int, graph: SegmentGraph) -> Segment:
        files = {path.relative_to(folder).as_posix(): None for path in folder.rglob("*") if path.is_file()}
        entry = SegmentEntry(folder.name, "", count)
        return open_parts(folder, entry, {**about, "files": files}, graph)

    def _sealed(self, folder: Path, about: Mapping[str, Any], segment: Segment) -> Segment:
        """Write the edges, bring the segment to the disk, and return it with its hash."""
        segment.graph.save(folder / GRAPH)
        return replace(segment, entry=replace(segment.entry, sha256=seal(folder, about)))

    def _with_deletions(
        self, segments: list[Segment], deleted: Sequence[NDArray[np.bool_]], before: Parts, number: int
    ) -> list[Segment]:
        """Write which documents of each segment are deleted where that changed."""
        found = []
        for place, (segment, gone) in enumerate(zip(segments, deleted, strict=True)):
            if place < len(before.deleted) and gone is not before.deleted[place]:
                digest = write_deletions(self.place, segment.entry.name, number, gone)
                dead = 0 if segment.passages is None else int(gone[segment.passages.document_numbers].sum())
                entry = replace(segment.entry, deletions=number, deletions_sha256=digest, deleted=dead)
                segment = replace(segment, entry=entry)
            found.append(segment)
        return found

    def _next(
        self,
        state: State,
        segments: Sequence[Segment],
        deleted: Sequence[NDArray[np.bool_]],
        numbers: tuple[int, int],
        before: Parts,
    ) -> State:
        """Return the state of these segments, with its generation and next serial number."""
        parts = self._parts(segments, deleted, before)
        counts = {"documents": parts.store.documents, "passages": len(parts.store)}
        manifest = {**state.manifest, **counts, "generation": numbers[0], "serials": numbers[1]}
        return State(manifest, parts)

    def _parts(self, segments: Sequence[Segment], deleted: Sequence[NDArray[np.bool_]], before: Parts) -> Parts:
        return parts_of(segments, deleted, self.links, before)

    @staticmethod
    def _alive(parts: Parts, deleted: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
        return np.concatenate(
            [
                ~gone[segment.passages.document_numbers]
                for segment, gone in zip(parts.segments, deleted, strict=True)
                if segment.passages is not None
            ]
        )


def _without(parts: Parts, removed: Sequence[str]) -> list[NDArray[np.bool_]]:
    """Return which documents of each segment are deleted once ``removed`` are; arrays that stay are the same object."""
    found = []
    for segment, gone in zip(parts.segments, parts.deleted, strict=True):
        numbers = segment.store.numbers(removed).values() if segment.store is not None and removed else ()
        new = [number for number in numbers if not gone[number]]
        if new:
            gone = gone.copy()
            gone[new] = True
        found.append(gone)
    return found


def _none_of(segment: Segment) -> NDArray[np.bool_]:
    return np.zeros(len(segment.document_ids), np.bool_)


def _to_merge(parts: Parts) -> tuple[int, int] | None:
    """Return which segments to merge now, (first, last + 1), or None; the base is left to ``compact``.

    Routers, policies and drift are about the base, so its rows stay until somebody asks for something else.
    """
    for place, segment in enumerate(parts.segments[1:], 1):
        if segment.entry.deleted > len(segment) / 2:
            return place, place + 1
    levels = [_level(len(one) - one.entry.deleted + len(one.graph.replaced)) for one in parts.segments]
    first = len(levels)
    while first > 1:
        level = levels[first - 1]
        while first > 1 and levels[first - 1] <= level:
            first -= 1
        if levels[first:].count(level) >= MERGED_AT_ONCE:
            return first, len(levels)
    return None


def _level(size: int) -> int:
    level = 0
    while size >= MERGED_AT_ONCE:
        size //= MERGED_AT_ONCE
        level += 1
    return level


def _living_content(place: Path, parts: Parts, first: int, last: int) -> tuple[SegmentContent | None, Rows]:
    """Return what is alive of neighbouring segments, and its rows."""
    offset = sum(len(segment) for segment in parts.segments[:first])
    chunked: list[Chunked] = []
    lines: list[str] = []
    rows: list[Rows] = [np.zeros(0, np.int64)]
    keys: list[NDArray[np.uint8]] = []
    pieces: list[CodedPieces] = []
    marks: list[NDArray[np.uint64]] = []
    dropped: list[Entry] = []
    for segment, deleted in zip(parts.segments[first:last], parts.deleted[first:last], strict=True):
        store, passages = segment.store, segment.passages
        if store is not None:
            living = [name for name, gone in zip(segment.document_ids, deleted.tolist(), strict=True) if not gone]
            chunked += [(store.document(name), store.passages(store.rows_of(name))) for name in living]
            names = frozenset(living)
            dropped += [entry for entry in segment.dropped if entry["document"] in names]
        if passages is not None:
            mine = np.flatnonzero(~deleted[passages.document_numbers])
            rows.append(mine + offset)
            keys.append(map_array(place / SEGMENTS / segment.entry.name / DENSE / KEYS)[mine])
            lines += [segment.lines[row] for row in mine.tolist()] if segment.lines is not None else []
            pieces += [passages.pieces.coded.take(mine)] if passages.pieces is not None else []
            marks += [passages.marks.marks[mine]] if passages.marks is not None else []
            offset += len(passages)
    every = np.concatenate(rows)
    if not chunked:
        return None, every
    terms = TermIndex.of(*parts.terms.terms_of(every), len(every))
    coded = CodedPieces.joined(pieces) if pieces else None
    joined = None if parts.base.marks is None else np.concatenate([parts.base.marks.marks[:0], *marks])
    vectors = parts.dense.reconstruct(every)
    return SegmentContent(chunked, lines, vectors, np.concatenate(keys), coded, terms, dropped, joined), every

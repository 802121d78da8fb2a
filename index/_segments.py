"""The segments of an index, opened, and the parts that are searched: those of one segment, or of several as one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..graph._knowledge_graph import KnowledgeGraph
from ..retrievers._atomic_file import map_array
from ..retrievers._folder import SEGMENT, SEGMENTS, SegmentEntry, check_segment
from ..retrievers._shared import Shared, identity
from ..retrievers._store import EvidenceStore
from ..retrievers.compiling._pruning import DUPLICATES, MARKS, Entry, MarkTable, load_dropped
from ..retrievers.knowledge._fact_encoder import FactEncoder
from ..retrievers.knowledge._facts import Facts
from ..retrievers.protocols import SubIndex
from ..retrievers.records import Rows
from ..retrievers.vectors._dense import KINDS, DenseIndex
from ..retrievers.vectors._encoder import PROJECTION
from ..retrievers.vectors._late_interaction import CODES, PIECES, PieceIndex
from ..retrievers.vectors._postgres_dense import PostgresDense
from ..retrievers.vectors._vector_cache import DENSE
from ..retrievers.words._lexical import DELETED_SPARE, LexicalIndex
from ..retrievers.words._links_folder import LinksFolder
from ..retrievers.words._terms import TermIndex
from ..retrievers.words._titles import EntityIndex, TitleMatcher
from ._sample import Sample, draw_numbers, drawn
from ._segment_rows import open_dense, open_store, verify_rows
from ._segment_views import Column, SegmentedDense, SegmentedStore, SegmentedTerms
from ._segmented_graph import SegmentedGraph, SegmentGraph
from ._segmented_pieces import SegmentedPieces
from .where import DocumentColumns, Where

LEXICAL = "lexical"
TERMS = "terms.safetensors"
GRAPH = "graph"
FACTS = "facts"
LINES = "lines.json"

_HIDDEN_SPARE = 1000
"""Passages beyond those wanted that are asked for at first where some are hidden from whoever asks. Asking again takes
longer, and would tell that so many hidden ones fit."""


@dataclass(frozen=True)
class PassageParts:
    """What a segment holds of its passages, in the order of their rows.

    Attributes:
        store, dense, terms, titles: over these passages.
        pieces: their word pieces, where the index keeps them.
        lexical: folder of the lexical index.
        title_of, document_of: title and document id of each.
        document_numbers: place of each passage's document in the store, int32 [n].
        marks: by which duplicates are found, where the index leaves them out.
    """

    store: EvidenceStore
    lexical: Path
    dense: DenseIndex | PostgresDense
    terms: TermIndex
    titles: TitleMatcher
    pieces: PieceIndex | None
    title_of: Sequence[str]
    document_of: Sequence[str]
    document_numbers: NDArray[np.int32]
    marks: MarkTable | None

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.store)

    @cached_property
    def entity(self) -> EntityIndex:
        """Finds the passages whose title a query names."""
        return EntityIndex((), None, self.titles)

    @cached_property
    def draw_numbers(self) -> NDArray[np.uint64]:
        """By which passages are drawn for a sample, uint64 [n]."""
        return draw_numbers(self.document_of)


@dataclass(frozen=True)
class Segment:
    """A segment of an index, opened.

    Attributes:
        entry: what the manifest says of it.
        graph: the edges that came with it.
        store: its documents; None where it holds only edges.
        passages: the parts of its passages; None where it has none.
        document_ids: of all its documents, in order.
        dropped: passages that were left out because they repeat another.
        lines: what stands before each passage to find it by; only of additions to an index with context.
        facts: of a knowledge graph.
        fact_encoder: of a knowledge graph.
        projection: the map to shorter vectors, float32 [d, dimension], where the base has one.
    """

    entry: SegmentEntry
    graph: SegmentGraph
    store: EvidenceStore | None = None
    passages: PassageParts | None = None
    document_ids: Sequence[str] = ()
    dropped: Sequence[Entry] = ()
    lines: Sequence[str] | None = None
    facts: Facts | None = None
    fact_encoder: FactEncoder | None = None
    projection: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return the number of passages, deleted ones among them."""
        return 0 if self.passages is None else len(self.passages)

    @cached_property
    def about_documents(self) -> DocumentColumns | None:
        """What its documents say of themselves; None where it has none."""
        return None if self.store is None else DocumentColumns(self.store)


@dataclass(frozen=True)
class Parts:
    """A state of an index: what is searched. Nothing in it ever changes, so threads and searches may keep it.

    Attributes:
        segments: in the order of their rows; the first is the base.
        deleted: for each segment which of its documents are deleted, bool [documents].
        alive: bool [N], which rows are not deleted.
        store, lexical, dense, entity, terms, titles, graph: over all segments.
        pieces: the word pieces of all passages; None where the index keeps none.
        title_of, document_of: title and document id of every row.
        dropped: passages that were left out because they repeat another.
    """

    segments: tuple[Segment, ...]
    deleted: tuple[NDArray[np.bool_], ...]
    alive: NDArray[np.bool_]
    store: EvidenceStore | SegmentedStore
    lexical: LexicalIndex
    dense: DenseIndex | PostgresDense | SegmentedDense
    entity: EntityIndex
    terms: TermIndex | SegmentedTerms
    titles: TitleMatcher
    graph: KnowledgeGraph | SegmentedGraph
    pieces: PieceIndex | SegmentedPieces | None
    title_of: Sequence[str]
    document_of: Sequence[str]
    dropped: Sequence[Entry]

    @property
    def base(self) -> PassageParts:
        """The parts of the base."""
        return base_of(self.segments)

    @property
    def facts(self) -> Facts | None:
        """The facts of a knowledge graph."""
        return self.segments[0].facts

    @property
    def changed(self) -> bool:
        """Whether documents came or went since the base was built."""
        return len(self.segments) > 1 or bool(self.deleted[0].any())

    @cached_property
    def sub_indexes(self) -> dict[str, SubIndex]:
        """The sub-indexes by name."""
        return {index.name: index for index in (self.lexical, self.dense, self.entity)}

    @cached_property
    def draw_numbers(self) -> NDArray[np.uint64]:
        """By which passages are drawn for the sample, uint64 [N]."""
        numbers = [segment.passages.draw_numbers for segment in self.segments if segment.passages is not None]
        return numbers[0] if len(numbers) == 1 else np.concatenate(numbers)

    @cached_property
    def sample_rows(self) -> Rows:
        """The rows of the sample, int64 [at most 256]."""
        return drawn(self.draw_numbers, self.alive)

    @cached_property
    def sample(self) -> Sample:
        """A sample of the passages, the same for any order of the documents."""
        return Sample(self.dense.reconstruct(self.sample_rows))


def base_of(segments: Sequence[Segment]) -> PassageParts:
    """Return the parts of the base, which always has passages."""
    if segments[0].passages is None:
        raise DamagedIndexError(f"the base {segments[0].entry.name} has no passages: build the index again")
    return segments[0].passages


def open_segment(place: Path, entry: SegmentEntry, verify: bool, first: bool) -> Segment:
    """Open a segment that the manifest names.

    Args:
        place: the index.
        entry: the segment.
        verify: read every file and compare its hash first.
        first: whether it is the base, whose edges are of its own passages alone.

    Raises:
        DamagedIndexError: when a part cannot be read, or they differ in length.
    """
    about = check_segment(place, entry, verify)
    folder = place / SEGMENTS / entry.name
    if verify:
        verify_rows(folder, about)
    files = tuple(identity(folder / name) for name in sorted(about["files"]))
    return _SEGMENTS.get((entry, files, first), lambda: _opened(folder, entry, about, first))


_SEGMENTS = Shared[Segment]()
"""Those that are open in this process: indexes of one folder share them."""


def _opened(folder: Path, entry: SegmentEntry, about: Mapping[str, Any], first: bool) -> Segment:
    segment = open_parts(folder, entry, about)
    graph = SegmentGraph.load(folder / GRAPH, len(segment))
    if len(segment) != entry.passages or graph.passages != len(segment) or (first and graph.own is not None):
        raise DamagedIndexError(f"the parts of {folder} differ in length: build the index again")
    return replace(segment, graph=graph)


def open_parts(
    folder: Path,
    entry: SegmentEntry,
    about: Mapping[str, Any],
    graph: SegmentGraph | None = None,
) -> Segment:
    """Open all of a segment but its graph; ``about`` is what its list of files says."""
    files, kind = about["files"], about.get("dense", "exact")
    graph = graph or SegmentGraph.without_edges(np.zeros(0, np.int64))
    if kind not in KINDS:
        raise DamagedIndexError(f"{folder / SEGMENT} names the dense kind {kind!r}: build the index again")
    store = open_store(folder, about)
    if store is None:
        return Segment(entry, graph)
    dropped = load_dropped(folder) if DUPLICATES in files else ()
    segment = Segment(entry, graph, store, None, store.document_ids(), dropped)
    if not len(store):
        return segment
    try:
        lines = json.loads((folder / LINES).read_text("utf-8")) if LINES in files else None
        projection = np.array(map_array(folder / DENSE / PROJECTION)) if f"{DENSE}/{PROJECTION}" in files else None
        marks = MarkTable(np.array(map_array(folder / MARKS))) if MARKS in files else None
    except (OSError, ValueError, EOFError) as error:
        raise DamagedIndexError(f"{folder} cannot be read ({error}): build the index again") from error
    titles, documents = store.columns()
    pieces = PieceIndex(folder / PIECES) if f"{PIECES}/{CODES}" in files else None
    passages = PassageParts(
        store,
        folder / LEXICAL,
        open_dense(folder, about, kind),
        TermIndex.load(folder / TERMS),
        TitleMatcher(titles, documents),
        pieces,
        titles,
        documents,
        store.document_numbers(),
        marks,
    )
    facts = Facts.load(folder / FACTS) if f"{FACTS}/names.json" in files else None
    encoder = None if facts is None else FactEncoder.load(folder / FACTS, facts)
    _check_lengths(folder, passages, lines, facts)
    return replace(segment, passages=passages, lines=lines, facts=facts, fact_encoder=encoder, projection=projection)


def parts_of(
    segments: Sequence[Segment],
    deleted: Sequence[NDArray[np.bool_]],
    links: LinksFolder,
    before: Parts | None = None,
    hidden: bool = False,
) -> Parts:
    """Return the parts of a state of an index.

    Args:
        segments: in the order of their rows.
        deleted: for each which of its documents are deleted.
        links: folder in which the files of several lexical indexes are linked.
        before: the state before, of which the lexical index is reused where it is the same.
        hidden: what is deleted is there for others: it does not count in the frequencies of terms (see
            :class:`SegmentedTerms`), and a search takes as long whether or not some of it fits.
    """
    base = base_of(segments)
    with_passages = [(place, one.passages) for place, one in enumerate(segments) if one.passages is not None]
    full = [passages for _, passages in with_passages]
    alive = np.concatenate([~deleted[place][passages.document_numbers] for place, passages in with_passages])
    whole = len(segments) == 1 and not bool(deleted[0].any())
    spare = _HIDDEN_SPARE if hidden else DELETED_SPARE
    lexical = _lexical_of([passages.lexical for passages in full], alive, links, before, spare)
    common = (tuple(segments), tuple(deleted), alive)
    if whole:
        only = segments[0]
        entity = EntityIndex((), None, base.titles, lexical)
        return Parts(
            *common, base.store, lexical, base.dense, entity, base.terms, base.titles, only.graph.graph, base.pieces,
            base.title_of, base.document_of, only.dropped,
        )  # fmt: skip
    offsets = np.cumsum([0, *map(len, full)])
    titles = TitleMatcher.over([passages.titles for passages in full], offsets[:-1].tolist(), alive)
    pieces = [passages.pieces for passages in full if passages.pieces is not None]
    title_of, document_of = (
        Column([getattr(passages, name) for passages in full], offsets.tolist()) for name in ("title_of", "document_of")
    )
    dropped = [
        entry
        for segment, gone in zip(segments, deleted, strict=True)
        if segment.dropped
        for entry in _of_living(segment, gone)
    ]
    stores = [(one.store, len(one), gone) for one, gone in zip(segments, deleted, strict=True) if one.store is not None]
    return Parts(
        *common,
        SegmentedStore(stores, alive, (title_of, document_of)),
        lexical,
        SegmentedDense([passages.dense for passages in full], alive, spare),
        EntityIndex((), None, titles, lexical),
        SegmentedTerms([passages.terms for passages in full], alive, hidden),
        titles,
        SegmentedGraph([segment.graph for segment in segments], alive),
        SegmentedPieces(pieces) if pieces else None,
        title_of,
        document_of,
        dropped,
    )


def visible_parts(parts: Parts, where: Where, links: LinksFolder) -> Parts:
    """Return the parts of a state in which the documents that may not be seen are as deleted.

    One trace is left of them: BM25 weighs a word by its frequency in all passages.
    """
    hidden = []
    for segment, gone in zip(parts.segments, parts.deleted, strict=True):
        about = segment.about_documents
        hidden.append(gone if about is None else gone | ~where.seen(about))
    return parts_of(parts.segments, hidden, links, parts, hidden=True)


def _lexical_of(
    folders: list[Path], alive: NDArray[np.bool_], links: LinksFolder, before: Parts | None, spare: int
) -> LexicalIndex:
    """Return the lexical index over these folders, that of the state before where it has the same."""
    if before is not None and [p.passages.lexical for p in before.segments if p.passages is not None] == folders:
        lexical = before.lexical.without(alive, spare)
    else:
        lexical = LexicalIndex(folders, alive, None if len(folders) == 1 else links)
    if len(lexical) != len(alive):
        raise DamagedIndexError(f"the lexical index of {folders[-1].parent} differs in length: build the index again")
    return lexical


def _of_living(segment: Segment, deleted: NDArray[np.bool_]) -> list[Entry]:
    """Return what was left out of documents of a segment that are not deleted."""
    gone = {segment.document_ids[number] for number in np.flatnonzero(deleted).tolist()}
    return [entry for entry in segment.dropped if entry["document"] not in gone]


def _check_lengths(folder: Path, passages: PassageParts, lines: object, facts: Facts | None) -> None:
    """Refuse parts that differ in length."""
    sizes = {len(part) for part in (passages.store, passages.dense, passages.terms)}
    sizes |= {len(part) for part in (passages.pieces, passages.marks) if part is not None}
    sizes |= {len(facts.entities)} if facts is not None else set()
    if lines is not None:
        right = isinstance(lines, list) and all(isinstance(line, str) for line in lines)
        sizes.add(len(lines) if right and isinstance(lines, list) else -1)
    if len(sizes) != 1:
        raise DamagedIndexError(f"the parts of {folder} differ in length: build the index again")

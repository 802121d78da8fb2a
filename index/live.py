"""An index that changes while it is open: a base that stays as it is, and what came and went since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..retrievers.changing.changes import Change
from ..retrievers.changing.journal import Journal, Position, Signature
from ..retrievers.changing.live_context import line_words
from ..retrievers.changing.live_dense import LiveDense
from ..retrievers.changing.live_late import LateAdditions, LiveLate
from ..retrievers.changing.live_lexical import BaseStatistics, LexicalAdditions, LiveLexical
from ..retrievers.changing.live_pruning import BaseMarks, Entry, KnownPassages
from ..retrievers.changing.live_store import LiveStore, StoreAdditions
from ..retrievers.changing.live_terms import LiveTerms, Shift, TermAdditions
from ..retrievers.changing.live_titles import TitleAdditions, live_titles
from ..retrievers.changing.snapshot import GrowingArray, Snapshot
from ..retrievers.compiling.context import ContextName, in_context
from ..retrievers.protocols import Progress
from ..retrievers.records import Passage
from ..retrievers.words.entity import EntityIndex
from ..retrievers.words.terms import TermHashes, term_hashes
from .live_graph import GraphAdditions, LiveGraph, touch
from .parts import BaseParts, Column, LiveParts
from .relinking import relinked
from .share_additions import ShareAdditions, shares_of


@dataclass(frozen=True)
class _Additions:
    """Everything that was added to a base or removed from it; only ever grows."""

    vectors: GrowingArray
    late: LateAdditions
    store: StoreAdditions = field(default_factory=StoreAdditions)
    lexical: LexicalAdditions = field(default_factory=LexicalAdditions)
    terms: TermAdditions = field(default_factory=TermAdditions)
    titles: TitleAdditions = field(default_factory=TitleAdditions)
    shares: ShareAdditions = field(default_factory=ShareAdditions)
    graph: GraphAdditions = field(default_factory=GraphAdditions)
    died: dict[int, int] = field(default_factory=dict)
    title_of: list[str] = field(default_factory=list)
    document_of: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    marks: list[NDArray[np.uint64]] = field(default_factory=list)


@dataclass(frozen=True)
class _State:
    """A state of the index, and what its change leaves to be linked.

    Attributes:
        parts, snapshot, shift: the state.
        first: the first row of the change.
        lost: rows that mentioned a removed passage.
    """

    parts: LiveParts
    snapshot: Snapshot
    shift: Shift
    first: int
    lost: set[int]


class LiveIndex:
    """The states of an index over one base, each made from the one before by a change.

    What is searched is ``parts``: nothing in it ever changes. A writer makes the next and puts it in its place, so
    a search that began before goes on in the state that it began in. Only one thread may write.

    Args:
        folder: of the index.
        base: its parts as they were built.
        base_hash: of the base's manifest.
        context: of the base's passages.

    Attributes:
        base: as it was built.
        parts: the latest state; the base's own parts as long as nothing was changed.
        snapshot: how much of base and additions it has.
    """

    def __init__(self, folder: Path, base: BaseParts, base_hash: str, context: ContextName = "none") -> None:
        self._folder = folder
        self._journal = Journal(folder, base_hash)
        self._context = context
        self.base = base
        self._statistics = BaseStatistics(base.lexical)
        self._begin()

    def _begin(self) -> None:
        """Go back to the base."""
        base = self.base
        width = 0 if base.late is None else base.late.width
        self._added = _Additions(GrowingArray(np.float32, base.dense.dimension), LateAdditions(width))
        self._end = Position()
        self._signature: Signature = None
        self._shift = Shift()
        self._unchanged: LiveParts | None = None
        self.snapshot = Snapshot(
            len(base.store), len(base.store), 0, len(base.store), base.store.documents, self._added.died
        )
        self.parts: BaseParts | LiveParts = base

    @property
    def living(self) -> LiveParts:
        """The latest state, also where nothing was changed yet."""
        parts = self.parts
        if isinstance(parts, LiveParts):
            return parts
        if self._unchanged is None:
            self._unchanged = self._parts(self.snapshot, self._shift, parts.dropped)
        return self._unchanged

    def line(self, row: int) -> str:
        """Return what stands before the text of an added passage for finding it, "" for nothing."""
        return self._added.lines[row - self.snapshot.base]

    def known_passages(self, removed: Iterable[str]) -> KnownPassages:
        """Return the passages that additions are compared with to leave duplicates out: all but those of ``removed``.

        Raises:
            UpdateError: when the base was built by an earlier version.
            DamagedIndexError: when its marks cannot be read.
        """
        store = self.living.store
        gone = [row for identifier in removed for row in store.rows_of(identifier)]
        return KnownPassages(self._base_marks, self._added.marks, store, self.snapshot.rows, self.snapshot.base, gone)

    @cached_property
    def _base_marks(self) -> BaseMarks:
        return BaseMarks(self._folder, len(self.base.store))

    def is_behind(self) -> bool:
        """Return whether the journal was written to since it was read."""
        return self._journal.signature() != self._signature

    def catch_up(self) -> bool:
        """Make the changes that stand in the journal and were not made yet; returns whether there were any.

        Raises:
            DamagedIndexError: when the journal does not match its hashes, or fits no state of the index.
        """
        signature = self._journal.signature()
        if signature == self._signature:
            return False
        if signature is None:
            raise DamagedIndexError(f"{self._journal.path} is gone: open the index again")
        try:
            records, end = self._journal.read(self._end)
            for record in records:
                self._replay(Change.from_bytes(record))
        except (KeyError, IndexError) as error:
            self._begin()
            raise DamagedIndexError(
                f"a change in {self._journal.path} does not fit the index ({error!r}): delete the journal to go back to"
                " the index without its changes"
            ) from error
        except BaseException:
            self._begin()
            raise
        self._end, self._signature = end, signature
        return bool(records)

    def change(self, change: Change, progress: Progress | None = None) -> None:
        """Make a new change and write it to the journal; when that fails, everything is as it was.

        Args:
            change: without its links, which are worked out.
            progress: hears of linking.

        Raises:
            IndexFolderError: when the journal cannot be written.
        """
        try:
            state = self._made(change)
            change = self._with_links(change, state, progress)
            self._link(change, state)
            self._end = self._journal.append(change.to_bytes(), self._end)
        except BaseException:
            # What was added and is not in the journal cannot be told from what comes next: begin again.
            self._begin()
            self.catch_up()
            raise
        self._signature = self._journal.signature()
        self._show(state)

    def _replay(self, change: Change) -> None:
        """Make a change whose links are known."""
        state = self._made(change)
        self._link(change, state)
        self._show(state)

    def _show(self, state: _State) -> None:
        self.parts, self.snapshot, self._shift = state.parts, state.snapshot, state.shift

    def _made(self, change: Change) -> _State:
        """Return the state after a change, but for the links of its passages."""
        version = self.snapshot.version + 1
        added, store, graph, terms = self._added, self.parts.store, self.parts.graph, self.parts.terms
        gone = [row for identifier in change.removed for row in store.rows_of(identifier)]
        gone_terms = [terms.terms(row) for row in gone]
        lost = {row for target in gone for row in graph.neighbours(target, "mentioned_by").rows.tolist()}
        touch(graph, added.graph, gone)
        for title, text in self._found_by(change.removed):
            added.lexical.remove(title, text, version)
        for identifier in change.removed:
            added.store.remove(identifier, version)
        added.died.update((row, version) for row in gone)
        first = self.snapshot.rows
        new_terms: list[TermHashes] = []
        lines = iter(change.lines)
        for document, rows, passages in zip(change.documents, _rows_of(change, first), change.passages, strict=True):
            added.store.add(document, passages, rows.start, version)
            new_terms += self._add_passages(rows, passages, [next(lines, "") for _ in passages])
        added.vectors.extend(change.vectors)
        if change.pieces is not None:
            added.late.extend(change.pieces)
        snapshot = Snapshot(
            self.snapshot.base,
            first + len(new_terms),
            version,
            self.snapshot.passages - len(gone) + len(new_terms),
            self.snapshot.documents - len(change.removed) + len(change.documents),
            added.died,
        )
        shift = self._shift.moved(new_terms, gone_terms)
        left = set(change.removed)
        dropped = (
            [entry for entry in self.parts.dropped if entry["document"] not in left] if left else self.parts.dropped
        )
        parts = self._parts(snapshot, shift, [*dropped, *change.dropped])
        return _State(parts, snapshot, shift, first, lost)

    def _found_by(self, documents: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Iterate over title and text, its line before it, of every passage of documents that are there."""
        store, base = self.parts.store, self.snapshot.base
        for identifier in documents:
            rows = store.rows_of(identifier)
            passages = store.passages(rows)
            if rows and rows[0] >= base:
                lines = [self._added.lines[row - base] for row in rows]
            elif self._context == "none":
                lines = [""] * len(rows)
            else:
                lines = line_words((store.document(identifier), passages), self._context)
            for passage, line in zip(passages, lines, strict=True):
                yield passage.title, in_context(line, passage.text)

    def _add_passages(self, rows: range, passages: Sequence[Passage], lines: Sequence[str]) -> list[TermHashes]:
        """Add the passages of a document to all that looks passages up; returns their terms."""
        added = self._added
        titled: set[str] = set()
        found = []
        added.lines.extend(lines)
        for row, passage, line in zip(rows, passages, lines, strict=True):
            terms = term_hashes(f"{passage.title}\n{passage.text}")
            found.append(terms)
            added.terms.add(terms)
            added.lexical.add(passage.title, in_context(line, passage.text))
            added.shares.add(row, passage.text, terms)
            if passage.title not in titled:  # of a document cut into several passages the first stands for all
                titled.add(passage.title)
                added.titles.add(row, passage.title)
            added.title_of.append(passage.title)
            added.document_of.append(passage.document_id)
        return found

    def _parts(self, snapshot: Snapshot, shift: Shift, dropped: Sequence[Entry]) -> LiveParts:
        base, added = self.base, self._added
        titles = live_titles(base.titles, added.titles, snapshot)
        return LiveParts(
            LiveStore(base.store, added.store, snapshot),
            LiveLexical(base.lexical, self._statistics, added.lexical, snapshot),
            LiveDense(base.dense, added.vectors, snapshot),
            EntityIndex((), None, titles),
            LiveTerms(base.terms, added.terms, shift, snapshot),
            titles,
            LiveGraph(base.graph, added.graph, snapshot),
            Column(base.title_of, added.title_of, snapshot.rows),
            Column(base.document_of, added.document_of, snapshot.rows),
            snapshot.base,
            None if base.late is None else LiveLate(base.late, added.late, snapshot),
            dropped,
            self._context != "none",
        )

    def _with_links(self, change: Change, state: _State, progress: Progress | None) -> Change:
        """Return a change with the links that its passages bring and take away."""
        new = range(state.first, state.snapshot.rows)
        titles = {passage.title for passages in change.passages for passage in passages}
        mentions = relinked(state.parts, new, titles, state.lost, progress)
        return replace(change, mentions=mentions, shares=shares_of(state.parts, self._added.shares, new, progress))

    def _link(self, change: Change, state: _State) -> None:
        """Put the links of a change into the graph."""
        graph = self._added.graph
        for rows in _rows_of(change, state.first):
            graph.adjoin(rows)
        for row, mentions in change.mentions.items():
            touch(state.parts.graph, graph, [row])
            graph.mention(row, mentions, state.snapshot.version)
            graph.moved.update(other for other, *_ in mentions)
        graph.share(change.shares)


def _rows_of(change: Change, first: int) -> Iterator[range]:
    """Iterate over the rows of each document's passages."""
    for passages in change.passages:
        yield range(first, first + len(passages))
        first += len(passages)

"""Changing an index: what is asked for is checked, worked out, written to the journal, and then seen at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from ..errors import CorpusError, UpdateError
from ..retrievers.changing.changes import Change
from ..retrievers.changing.live_pruning import Entry
from ..retrievers.changing.snapshot import Snapshot
from ..retrievers.compiling.context import Chunked
from ..retrievers.protocols import Progress
from ..retrievers.records import Document, Passage
from .additions import Additions, behind
from .live import LiveIndex

WORTH_COMPACTING = 0.1
"""Share of the base that has come or gone, from which a compaction is advised."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a change did: see :class:`UpdateReport`."""

    added: int
    replaced: int
    deleted: int
    passages: int
    dropped: tuple[Entry, ...] = ()
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What a change of an index did.

    Attributes:
        added: documents that are new.
        replaced: documents that took the place of others of their id.
        deleted: documents that are gone.
        passages: passages that are new.
        milliseconds: from the call until searches see the change and a power cut would leave it.
        changed: passages that came or went since the base was built, by this and earlier changes.
        base: passages of the base.
        dropped: passages of these documents that were left out because they repeat another: see ``Index.dropped``.
        restored: ids of passages that had been left out because they repeat one that is gone now: they came back.
    """

    added: int
    replaced: int
    deleted: int
    passages: int
    milliseconds: float
    changed: int
    base: int
    dropped: tuple[Entry, ...] = ()
    restored: tuple[str, ...] = ()

    @property
    def advice(self) -> str | None:
        """What would make searches faster, if anything."""
        if self.changed < WORTH_COMPACTING * self.base:
            return None
        return (
            f"{self.changed:,} passages have come or gone since the {self.base:,} of the base were built:"
            " `trailhound compact` would make searches faster"
        )


def addition(additions: Additions, documents: Sequence[Document], replace: bool, progress: Progress | None) -> Done:
    """Add documents to an index: see ``Index.add``."""
    _hold_documents(documents)
    live = additions.live
    compiled = additions.compiled(documents)
    known = set(live.parts.store.having(document.id for document, _ in compiled))
    removed = tuple(document.id for document, _ in compiled if document.id in known)
    if removed and not replace:
        raise UpdateError(
            f"document {removed[0]!r} is in the index already{_others(removed)}: nothing was added; replace it"
            " (replace=True, --replace) or leave it out"
        )
    made = _made(additions, removed, compiled, progress)
    return Done(len(compiled) - len(removed), len(removed), 0, *made)


def deletion(
    live: LiveIndex, document_ids: Iterable[str], additions: Callable[[], Additions], progress: Progress | None
) -> Done:
    """Remove documents from an index: see ``Index.delete``.

    Args:
        live: the index.
        document_ids: which.
        additions: makes a change of the documents that stand behind them; called when there are any.
        progress: hears of encoding and linking.
    """
    removed = tuple(dict.fromkeys(document_ids))
    known = set(live.parts.store.having(removed))
    unknown = [identifier for identifier in removed if identifier not in known]
    if unknown:
        raise UpdateError(
            f"there is no document {unknown[0]!r} in the index{_others(unknown)}: nothing was deleted; leave it out"
        )
    if not removed:
        return Done(0, 0, 0, 0)
    if not behind(live, removed):
        live.change(Change(removed, (), (), np.zeros((0, live.parts.dense.dimension), np.float32)), progress)
        return Done(0, 0, len(removed), 0)
    return Done(0, 0, len(removed), *_made(additions(), removed, (), progress))


def _made(
    additions: Additions, removed: Sequence[str], compiled: Sequence[Chunked], progress: Progress | None
) -> tuple[int, tuple[Entry, ...], tuple[str, ...]]:
    """Make the change by which documents go and come, and what stood behind those that go comes back.

    Returns how many passages came with the documents, what of them was left out, and the ids of what came back.
    """
    live, before = additions.live, additions.live.living.store
    again = additions.again(removed)
    gone = (*removed, *(document.id for document, _ in again))
    change = additions.change(gone, [*again, *compiled], progress)
    _hold_passages(live, change.passages, gone)
    live.change(change, progress)
    came = {document.id for document, _ in compiled}
    back = [p.id for some in change.passages[: len(again)] for p in some if not before.has(p.id)]
    left_out = tuple(entry for entry in change.dropped if entry["document"] in came)
    return sum(map(len, change.passages[len(again) :])), left_out, tuple(back)


def _hold_documents(documents: Sequence[Document]) -> None:
    """Refuse documents that cannot be stored, and ids that are given twice."""
    seen: set[str] = set()
    for document in documents:
        if document.id in seen:
            raise UpdateError(f"document {document.id!r} is given twice: nothing was added; give one of each")
        seen.add(document.id)
        try:
            for value in (document.id, document.title, document.text, document.source):
                value.encode()
            json.dumps(dict(document.metadata), allow_nan=False).encode()
        except (UnicodeEncodeError, AttributeError, TypeError, ValueError) as error:
            raise CorpusError(
                f"document {document.id!r} cannot be stored ({error}): ids, titles, texts and sources are strings"
                " without lone surrogates, metadata is JSON",
                document.source or None,
            ) from error


def _hold_passages(live: LiveIndex, passages: Sequence[Sequence[Passage]], removed: Sequence[str]) -> None:
    """Refuse passages whose ids name something else already: '<document>#<number>' is taken by passages."""
    store = live.parts.store
    going = set(removed)
    seen: set[str] = set()
    for some in passages:
        for passage in some:
            other = store.passage(store.row_of(passage.id)).document_id if store.has(passage.id) else None
            if passage.id in seen or (other is not None and other not in going):
                raise UpdateError(
                    f"passage {passage.id!r} of document {passage.document_id!r} is in the index already,"
                    f" of document {other or passage.document_id!r}: nothing was added; give the document another id"
                )
            seen.add(passage.id)


def report(done: Done, snapshot: Snapshot, started: float) -> UpdateReport:
    """Return the report of a change that began at ``started`` and is seen by now."""
    milliseconds = (perf_counter() - started) * 1000
    changed = snapshot.rows - snapshot.base + snapshot.dead
    counts = (done.added, done.replaced, done.deleted, done.passages, milliseconds, changed, snapshot.base)
    return UpdateReport(*counts, done.dropped, done.restored)


def _others(identifiers: Sequence[str]) -> str:
    return f" (and {len(identifiers) - 1} more)" if len(identifiers) > 1 else ""

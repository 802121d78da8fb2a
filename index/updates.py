"""Changing an index: what is asked for is checked, worked out, written as a segment, and then seen at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter

from ..errors import CorpusError, UpdateError
from ..retrievers._store import EvidenceStore
from ..retrievers.compiling._context import Chunked
from ..retrievers.compiling._pruning import Entry
from ..retrievers.records import Document
from ._additions import Additions, behind
from ._segment_views import SegmentedStore
from ._segments import Parts
from ._writing import State, Writer

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
        replaced: documents that replaced others of their id.
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


def addition(
    writer: Writer, state: State, additions: Additions, documents: Sequence[Document], replace: bool
) -> tuple[State, Done]:
    """Add documents to an index: see ``Index.add``; returns the new state."""
    _check_documents(documents)
    compiled = additions.compiled(documents)
    removed = tuple(state.parts.store.having(document.id for document, _ in compiled))
    if removed and not replace:
        raise UpdateError(
            f"document {removed[0]!r} is in the index already{_others(removed)}: nothing was added; replace it"
            " (replace=True, --replace) or leave it out"
        )
    if not compiled:
        return state, Done(0, 0, 0, 0)
    state, made = _made(writer, state, additions, removed, compiled)
    return state, dataclasses.replace(made, added=len(compiled) - len(removed), replaced=len(removed))


def deletion(
    writer: Writer, state: State, document_ids: Iterable[str], additions: Callable[[], Additions]
) -> tuple[State, Done]:
    """Remove documents from an index: see ``Index.delete``; returns the new state.

    Args:
        writer: of the index.
        state: the index.
        document_ids: which.
        additions: makes a segment of the documents that come back; called when there are any.
    """
    removed = tuple(dict.fromkeys(document_ids))
    known = set(state.parts.store.having(removed))
    unknown = [identifier for identifier in removed if identifier not in known]
    if unknown:
        raise UpdateError(
            f"there is no document {unknown[0]!r} in the index{_others(unknown)}: nothing was deleted; leave it out"
        )
    if not removed:
        return state, Done(0, 0, 0, 0)
    if not behind(state.parts, removed):
        return writer.apply(state, removed, None), Done(0, 0, len(removed), 0)
    state, made = _made(writer, state, additions(), removed, ())
    return state, dataclasses.replace(made, deleted=len(removed))


def _made(
    writer: Writer, state: State, additions: Additions, removed: Sequence[str], compiled: Sequence[Chunked]
) -> tuple[State, Done]:
    """Make the change by which documents go and come, and what was left out for those that go comes back."""
    before = state.parts.store
    again = additions.again(removed)
    gone = (*removed, *(document.id for document, _ in again))
    content = additions.content(gone, [*again, *compiled], writer.progress)
    _check_passages(before, content.chunked, gone)
    state = writer.apply(state, gone, content)
    came = {document.id for document, _ in compiled}
    back = [p.id for _, some in content.chunked[: len(again)] for p in some if not before.has(p.id)]
    left_out = tuple(entry for entry in content.dropped if entry["document"] in came)
    passages = sum(len(some) for _, some in content.chunked[len(again) :])
    return state, Done(0, 0, 0, passages, left_out, tuple(back))


def _check_documents(documents: Sequence[Document]) -> None:
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


def _check_passages(store: EvidenceStore | SegmentedStore, chunked: Sequence[Chunked], removed: Sequence[str]) -> None:
    """Refuse passages whose ids name something else already: '<document>#<number>' is taken by passages."""
    going = set(removed)
    seen: set[str] = set()
    for passage in (passage for _, some in chunked for passage in some):
        other = store.passage(store.row_of(passage.id)).document_id if store.has(passage.id) else None
        if passage.id in seen or (other is not None and other not in going):
            raise UpdateError(
                f"passage {passage.id!r} of document {passage.document_id!r} is in the index already,"
                f" of document {other or passage.document_id!r}: nothing was added; give the document another id"
            )
        seen.add(passage.id)


def report(done: Done, parts: Parts, started: float) -> UpdateReport:
    """Return the report of a change that began at ``started`` and is seen by now."""
    milliseconds = (perf_counter() - started) * 1000
    rows, base = len(parts.alive), len(parts.base)
    changed = rows - base + rows - int(parts.alive.sum())
    counts = (done.added, done.replaced, done.deleted, done.passages, milliseconds, changed, base)
    return UpdateReport(*counts, done.dropped, done.restored)


def _others(identifiers: Sequence[str]) -> str:
    return f" (and {len(identifiers) - 1} more)" if len(identifiers) > 1 else ""

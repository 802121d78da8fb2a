"""Changing an index: what is asked for is checked, worked out, written as segments, and then seen all at once."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any
from unicodedata import normalize

from ..errors import CorpusError, IndexFolderError, UpdateError
from ..retrievers._folder import entries, read_manifest, remove_garbage
from ..retrievers._store import Documents, EvidenceStore
from ..retrievers.compiling._context import Chunked
from ..retrievers.compiling._masking import Masker
from ..retrievers.compiling._pruning import Entry
from ..retrievers.records import CORPUS_ROOT, Document
from ._additions import Additions, behind
from ._segment_views import SegmentedStore
from ._segments import Parts
from ._writing import State, Writer

WORTH_COMPACTING = 0.1
"""Share of the base that has come or gone, from which a compaction is advised."""

AT_ONCE = 1000
"""Documents that become a segment together: a bound on the memory that they take."""

RECORD = re.compile(r"(:| record )\d+$")
"""End of a record's source: its place in its file."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a step of a change did: see :class:`UpdateReport`."""

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
        unchanged: documents to be replaced by what they are already: nothing was done for them.
        missing: ids of documents below the paths that were given, whose files are not there: they stay.
        unread: why files could not be read, by id; what the index holds of them stays.
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
    unchanged: int = 0
    missing: tuple[str, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return its counts, and what is to be known of files, as JSON values."""
        counted = ("added", "replaced", "deleted", "unchanged", "passages")
        counts = {name: getattr(self, name) for name in counted}
        files = {"missing": list(self.missing), "unread": dict(self.unread)}
        return {**counts, "milliseconds": round(self.milliseconds, 1), **files}

    @property
    def advice(self) -> str | None:
        """What would make searches faster, if anything."""
        if self.changed < WORTH_COMPACTING * self.base:
            return None
        return (
            f"{self.changed:,} passages have come or gone since the {self.base:,} of the base were built:"
            " `trailhound compact` would make searches faster"
        )


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What keeping an index in step did, or would do.

    Attributes:
        added, replaced, deleted: ids of documents that came, changed and went.
        emptied: those of the deleted whose file is there without any text.
        unread: why files could not be read, by id; what the index holds of them stays.
        unchanged: documents that the index holds as they are.
        moved: the root that is somewhere else now: where it was, and where it is.
        dry_run: whether nothing was done.
        update: how it was done; None where there was nothing to do.
    """

    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    unread: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0
    moved: tuple[str, str] | None = None
    dry_run: bool = False
    update: UpdateReport | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        names = ("added", "replaced", "deleted", "emptied")
        return {
            **{name: list(getattr(self, name)) for name in names},
            "unread": dict(self.unread),
            "unchanged": self.unchanged,
            "moved": None if self.moved is None else {"from": self.moved[0], "to": self.moved[1]},
            "dry_run": self.dry_run,
        }


class Change:
    """A change of an index in the making: nobody sees its steps before they are committed together.

    Used in a ``with`` block, it leaves nothing behind on the disk that was not committed.

    Args:
        writer: of the index, whose lock is held.
        state: the index.
        additions: makes segments of documents that come to such parts; called when there are any.
        masker: what is masked in documents that come.
    """

    def __init__(self, writer: Writer, state: State, additions: Callable[[Parts], Additions], masker: Masker) -> None:
        self.state = state
        self.unchanged = 0
        self._writer = writer
        self._before = state
        self._additions = additions
        self._masker = masker
        self._came: set[str] = set()
        self._done: list[Done] = []

    def __enter__(self) -> Change:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        """Remove what was written, where the change was broken off before the manifest named it."""
        if kind is not None:
            with suppress(IndexFolderError):
                remove_garbage(self._writer.place, entries(read_manifest(self._writer.place)))

    def delete(self, document_ids: Iterable[str]) -> None:
        """Remove documents: see ``Index.delete``."""
        store = self.state.parts.store
        removed = known_ids(store, document_ids)
        if not removed:
            return
        if not behind(self.state.parts, removed):
            self.state = self._writer.apply(self.state, removed, None)
            self._done.append(Done(0, 0, len(removed), 0))
            return
        made = self._made(self._additions(self.state.parts), removed, ())
        self._done.append(dataclasses.replace(made, deleted=len(removed)))

    def add(self, documents: Iterable[Document], replace: bool) -> None:
        """Add documents, as many at a time as fit in the memory: see ``Index.add``."""
        rest = iter(documents)
        while some := list(islice(rest, AT_ONCE)):
            if self._done:
                self.state = self._writer.merge(self.state)
            self._add(some, replace)
            if self._writer.progress is not None:
                self._writer.progress("adding documents", len(self._came), 0)

    def commit(self, about: Mapping[str, Any]) -> State:
        """Let everybody see what was done, and the manifest say ``about``; returns the index as it is then."""
        manifest = {**self.state.manifest, **about}
        if manifest != self._before.manifest:
            self.state = self._writer.commit(State(manifest, self.state.parts))
        return self.state

    def report(self, started: float) -> UpdateReport:
        """Return the report of a change that began at ``started`` and is seen by now."""
        milliseconds, parts, done = (perf_counter() - started) * 1000, self.state.parts, self._done
        rows, base = len(parts.alive), len(parts.base)
        added, replaced, deleted, passages = (
            sum(getattr(one, name) for one in done) for name in ("added", "replaced", "deleted", "passages")
        )
        dropped = tuple(entry for one in done for entry in one.dropped)
        restored = tuple(identifier for one in done for identifier in one.restored)
        changed = rows - base + rows - int(parts.alive.sum())
        return UpdateReport(
            added, replaced, deleted, passages, milliseconds, changed, base, dropped, restored, self.unchanged
        )

    def _add(self, documents: Sequence[Document], replace: bool) -> None:
        check_documents(documents, self._came)
        if replace:
            before = len(documents)
            documents = different(self.state.parts.store, self._masker, documents)
            self.unchanged += before - len(documents)
        if not documents:
            return
        additions = self._additions(self.state.parts)
        compiled = additions.compiled(documents)
        removed = tuple(self.state.parts.store.having(document.id for document, _ in compiled))
        if removed and not replace:
            raise there_already(removed)
        made = self._made(additions, removed, compiled)
        self._done.append(dataclasses.replace(made, added=len(compiled) - len(removed), replaced=len(removed)))

    def _made(self, additions: Additions, removed: Sequence[str], compiled: Sequence[Chunked]) -> Done:
        """Let documents go and come, and what was left out for those that go come back."""
        before = self.state.parts.store
        again = additions.again(removed)
        gone = (*removed, *(document.id for document, _ in again))
        content = additions.content(gone, [*again, *compiled], self._writer.progress)
        _check_passages(before, content.chunked, gone)
        self.state = self._writer.apply(self.state, gone, content)
        came = {document.id for document, _ in compiled}
        back = [p.id for _, some in content.chunked[: len(again)] for p in some if not before.has(p.id)]
        left_out = tuple(entry for entry in content.dropped if entry["document"] in came)
        passages = sum(len(some) for _, some in content.chunked[len(again) :])
        return Done(0, 0, 0, passages, left_out, tuple(back))


def there_already(identifiers: Sequence[str]) -> UpdateError:
    """Return the error of documents that are to be added and are in the index."""
    return UpdateError(
        f"document {identifiers[0]!r} is in the index already{_others(identifiers)}: nothing was changed; replace it"
        " (replace=True, --replace), keep a whole folder in step (sync, --sync), or leave it out"
    )


def known_ids(store: Documents, document_ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids as the index spells them: a file system may write an accent apart from its letter.

    Raises:
        UpdateError: when there is no such document.
    """
    given = tuple(dict.fromkeys(document_ids))
    known = set(store.having(given))
    if len(known) < len(given):
        spelled = {normalize("NFC", identifier): identifier for identifier in store.document_ids()}
        given = tuple(one if one in known else spelled.get(normalize("NFC", one), one) for one in given)
        known = set(store.having(given))
    unknown = [identifier for identifier in given if identifier not in known]
    if unknown:
        raise UpdateError(
            f"there is no document {unknown[0]!r} in the index{_others(unknown)}: nothing was changed; leave it out"
        )
    return tuple(dict.fromkeys(given))


def different(
    store: EvidenceStore | SegmentedStore, masker: Masker, documents: Sequence[Document]
) -> Sequence[Document]:
    """Return those of the documents that the index does not hold as they are."""
    masked = documents
    if masker:
        masked = [masker.document(document, lambda name: name, Counter()) for document in documents]
    known = set(store.having(document.id for document in masked))
    return [
        document
        for document, hidden in zip(documents, masked, strict=True)
        if hidden.id not in known or not same(store.document(hidden.id), hidden)
    ]


def same(stored: Document, document: Document) -> bool:
    """Return whether a document is stored as it is; that a record is on another line of its file changes nothing."""
    return _content(stored) == _content(document)


def _content(document: Document) -> tuple[object, ...]:
    metadata = {name: value for name, value in document.metadata.items() if name != CORPUS_ROOT}
    source = RECORD.sub("", document.source)
    written = json.dumps(metadata, sort_keys=True, ensure_ascii=False)
    return document.title, document.text, source, document.atomic, document.markup, written


def check_documents(documents: Sequence[Document], seen: set[str]) -> None:
    """Refuse documents that cannot be stored, and ids that are given twice; add the ids to ``seen``."""
    for document in documents:
        if document.id in seen:
            raise UpdateError(f"document {document.id!r} is given twice: nothing was changed; give one of each")
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
                f" of document {other or passage.document_id!r}: nothing was changed; give the document another id"
            )
        seen.add(passage.id)


def _others(identifiers: Sequence[str]) -> str:
    return f" (and {len(identifiers) - 1} more)" if len(identifiers) > 1 else ""

"""Changing a sharded index: a new document goes to the shard of its id or its topic; each changes in one commit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from ..errors import IndexFolderError, ShardError, TrailhoundError
from ..index._build import corpus_of
from ..index._roots import Roots, furniture
from ..index._syncing import Planner, Reading
from ..index.updates import SyncReport, UpdateReport, check_documents, known_ids, there_already
from ..retrievers._folder import locked
from ..retrievers._store import Origin
from ..retrievers.compiling._masking import Masker
from ..retrievers.compiling._window import Window
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document
from ._building import AboutShards, done_file, read_shards
from ._regions import Regions
from ._shard import CHANGE, Shard
from ._topics import FirstPassages

T = TypeVar("T")


class ChangeableShards:
    """A sharded index that can be changed; a base class of ``ShardedIndex``.

    Shards change one after the other, and each in one commit. A change that touches several can be broken off between
    two of them; the error says which are changed. What is not possible is found out before the first one changes.
    """

    path: Path
    about: AboutShards
    shards: tuple[Shard, ...]
    lock_timeout: float

    @property
    def encoder(self) -> Encoder:
        """The encoder of the shards."""
        raise NotImplementedError

    def add(
        self, documents: Iterable[Document], replace: bool = False, *, progress: Progress | None = None
    ) -> UpdateReport:
        """Add documents; the next search finds them, and they are kept whatever happens.

        Args:
            documents: what to add; held in the memory until they are.
            replace: let a document replace one of its id.
            progress: called with (stage, shards done, shards to change).

        Raises:
            UpdateError, CorpusError: as ``Index.add``; nothing was changed.
            ShardError: when a shard is lost, or cannot be changed after others were: it says what is done.
            EncoderError, IndexFolderError, IndexBusyError, StorageError: as ``Index.add``; nothing was changed.
        """
        return self.change(documents, replace=replace, progress=progress)

    def delete(self, document_ids: Iterable[str], *, progress: Progress | None = None) -> UpdateReport:
        """Delete documents; the next search does not find them. Errors are those of :meth:`add`."""
        return self.change(delete=document_ids, progress=progress)

    def change(
        self,
        corpus: Path | str | Iterable[Path | str] | Iterable[Document] = (),
        *,
        delete: Iterable[str] = (),
        replace: bool = False,
        warn: Callable[[str], None] | None = None,
        progress: Progress | None = None,
    ) -> UpdateReport:
        """Delete documents and then add others, as ``Index.change`` does; errors are those of :meth:`add`."""
        started = perf_counter()
        items, paths = corpus_of(corpus)
        with self._changing() as documents:
            delete = known_ids(documents, delete)
            if not paths:
                return self._applied(documents, list(items), delete, replace, progress, started)
            roots = Roots.of(self.about.corpus).with_paths(paths)
            reading = Reading(self._planner(documents, roots, warn, progress), roots, paths, replace)
            came = list(reading)
            gone = (*delete, *reading.emptied()) if replace else delete
            self._remember(roots)
            done = self._applied(documents, came, tuple(dict.fromkeys(gone)), replace, progress, started)
            missing = tuple(reading.missing()) if replace else ()
            unchanged = done.unchanged + reading.unchanged
            return dataclasses.replace(done, unchanged=unchanged, missing=missing, unread=reading.unread)

    def sync(
        self,
        corpus: Path | str | Iterable[Path | str] | Iterable[Document],
        *,
        dry_run: bool = False,
        warn: Callable[[str], None] | None = None,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Bring the shards in step with their corpus, as ``Index.sync`` does; errors are those of :meth:`add`."""
        started = perf_counter()
        items, paths = corpus_of(corpus)
        with self._changing() as documents:
            roots = Roots.of(self.about.corpus)
            planner = self._planner(documents, roots, warn, progress)
            plan = planner.of_paths(paths) if paths else planner.of_documents(items)
            if dry_run or (plan.is_empty and plan.roots == roots):
                return dataclasses.replace(plan.report, dry_run=dry_run)
            self._remember(plan.roots)
            update = self._applied(documents, plan.documents, plan.report.deleted, True, progress, started)
            return dataclasses.replace(plan.report, update=update)

    def id_of(self, given: str) -> str:
        """Return the id of the document that a user names by its id, or by the path of its file as it is typed here."""
        return Roots.of(self.about.corpus).id_of(given, ShardedDocuments(self.about, self.shards))

    @contextmanager
    def _changing(self) -> Iterator[ShardedDocuments]:
        """Be the only one that changes or builds the sharded index."""
        with locked(self.path, self.lock_timeout):
            about = read_shards(self.path)
            if (about.shards, about.parts, about.encoder) != (self.about.shards, self.about.parts, self.about.encoder):
                raise IndexFolderError(f"{self.path} was built anew, in other shards or otherwise: open it again")
            self.about = about
            yield ShardedDocuments(about, self.shards)

    def _planner(
        self,
        documents: ShardedDocuments,
        roots: Roots,
        warn: Callable[[str], None] | None,
        progress: Progress | None,
    ) -> Planner:
        told = warn or (lambda message: None)
        place, known = self.path.resolve(), furniture(self.about.corpus)
        return Planner(place, documents, roots, Masker(), told, progress, known)

    def _remember(self, roots: Roots) -> None:
        """Let the manifest know the roots of the corpus, before documents say that they are of one."""
        if roots != Roots.of(self.about.corpus):
            self.about = dataclasses.replace(self.about, corpus={**self.about.corpus, **roots.about()})
            self.about.write(self.path)

    def _applied(
        self,
        known: ShardedDocuments,
        documents: Sequence[Document],
        delete: Sequence[str],
        replace: bool,
        progress: Progress | None,
        started: float,
    ) -> UpdateReport:
        """Check what is asked of all shards, then change one after the other."""
        check_documents(documents, set())
        if not replace:
            there = [one for one in known.having(document.id for document in documents) if one not in set(delete)]
            if there:
                raise there_already(there)
        where = known.shards_of([*(document.id for document in documents), *delete])
        where.update(self._placed([document for document in documents if document.id not in where]))
        coming = _by_key(documents, lambda document: where[document.id])
        going = _by_key([one for one in delete if one in where], where.__getitem__)
        wanted = [shard for shard in self.shards if shard.name in {*coming, *going}]
        reports: list[UpdateReport] = []
        for number, shard in enumerate(wanted):
            given = (coming.get(shard.name, []), going.get(shard.name, []), replace)
            done_file(self.path, shard.name).unlink(missing_ok=True)  # it is no longer what a build made of its corpus
            try:
                reports.append(shard.call(CHANGE, *given)())
            except TrailhoundError as error:
                raise _broken_off(error, [one.name for one in wanted], number) from error
            if progress is not None:
                progress("changing shards", number + 1, len(wanted))
        return _total(reports, (perf_counter() - started) * 1000)

    def _placed(self, documents: Sequence[Document]) -> dict[str, str]:
        """Return the shards of new documents, by id: those with the nearest regions."""
        if not documents:
            return {}
        regions = Regions.load(self.path / self.about.regions)
        tokens = self.about.settings.chunk_tokens
        texts = FirstPassages.of(documents, Window(self.encoder), tokens).texts
        numbers = regions.nearest(self.encoder.encode(texts)).tolist()
        return {document.id: self.about.shards[number] for document, number in zip(documents, numbers, strict=True)}


class ShardedDocuments:
    """The documents of all shards: each is asked where it is.

    Args:
        about: the sharded index.
        shards: of it.
    """

    def __init__(self, about: AboutShards, shards: Sequence[Shard]) -> None:
        self._about = about
        self._shards = {shard.name: shard for shard in shards}

    def having(self, document_ids: Iterable[str]) -> list[str]:
        """Return those of the ids that are stored, in their order."""
        wanted = list(document_ids)
        found = self._found(wanted)
        return [one for one in wanted if one in found]

    def shards_of(self, document_ids: Sequence[str]) -> dict[str, str]:
        """Return the shards of documents by id: of all where ids are hashed, else of those that are stored."""
        if self._about.regions:
            return self._found(document_ids)
        return {one: self._about.shard_of(one) for one in document_ids}

    def _found(self, document_ids: Sequence[str]) -> dict[str, str]:
        """Return the shards of those that are stored. By topics a document may be in any: then all are asked."""
        by_shard = _by_key(document_ids, self._about.shard_of)
        if self._about.regions:
            by_shard = {name: list(document_ids) for name in self._shards}
        begun = [(name, self._shards[name].call("of_documents", "having", some)) for name, some in by_shard.items()]
        return {one: name for name, waiting in begun for one in waiting()}

    def document_ids(self) -> list[str]:
        """Return the ids of all documents."""
        return self._of_all("document_ids")

    def document(self, document_id: str) -> Document:
        """Return a document."""
        shard = self._shards[self.shards_of([document_id])[document_id]]
        found: Document = shard.call("of_documents", "document", document_id)()
        return found

    def origins(self) -> list[Origin]:
        """Return where every document came from."""
        return self._of_all("origins")

    def _of_all(self, method: str) -> list[Any]:
        begun = [shard.call("of_documents", method) for shard in self._shards.values()]
        return [one for waiting in begun for one in waiting()]


def _by_key(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    """Return what belongs together, in the order in which it came."""
    found: dict[str, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def _broken_off(error: TrailhoundError, names: Sequence[str], failed: int) -> TrailhoundError:
    """Return the error of a change that ended at a shard: what is done, what is not, and what nobody knows."""
    lost = isinstance(error, ShardError)
    if not failed and not lost:
        return error
    done, left = names[:failed], names[failed + lost :]
    said = [f"{names[failed]}: {error}"]
    if done:
        said.append(f"changed are {', '.join(done)}")
    if lost:
        said.append(f"of {names[failed]} it is not known: all of its part is done, or nothing")
    if left:
        said.append(f"not changed are {', '.join(left)}")
    return ShardError(f"{'; '.join(said)}; do the same again, with replace=True (--replace) or sync (--sync)")


def _total(reports: Sequence[UpdateReport], milliseconds: float) -> UpdateReport:
    """Return the report of a change by those of its shards."""
    counted = ("added", "replaced", "deleted", "passages", "changed", "base", "unchanged")
    counts = {name: sum(getattr(one, name) for one in reports) for name in counted}
    return UpdateReport(**counts, milliseconds=milliseconds)

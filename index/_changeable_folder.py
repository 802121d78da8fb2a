"""An index folder that can be changed: documents come and go, a corpus is followed, changes are folded in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import CorpusError, UpdateError
from ..retrievers.compiling._context import ContextFunction
from ..retrievers.compiling._masking import Masker
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document
from ..retrievers.vectors._vector_cache import VectorCache
from ._additions import Additions, context_of, masker_of, masker_of_masked, pattern_names
from ._build import BuildPlan, corpus_of
from ._open_folder import OpenFolder
from ._roots import CORPUS, Roots, furniture
from ._segments import Parts
from ._syncing import Planner, Reading
from ._writing import State, Writer
from .settings import IndexSettings
from .updates import AT_ONCE, Change, SyncReport, UpdateReport


class _ChangedMeanwhileError(UpdateError):
    """Another process has changed the index since the change was planned."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """What a change is asked to do: see :meth:`ChangeableFolder.change`.

    Attributes:
        afterwards: returns documents that are to be deleted too, once all others were read.
        about: what the manifest says of the corpus from then on.
        only: the state that the change was planned for; in any other it is not done.
    """

    documents: Iterable[Document]
    delete: Iterable[str]
    replace: bool
    context: ContextFunction | None
    progress: Progress | None
    masker: Masker = dataclasses.field(default_factory=Masker)
    afterwards: Callable[[], Iterable[str]] = list
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    only: State | None = None


class ChangeableFolder(OpenFolder):
    """What is at a path, opened to be searched and changed; a base class of ``Index``."""

    settings: IndexSettings
    _threads: int | None

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors come from."""
        raise NotImplementedError

    def add(
        self,
        documents: Iterable[Document],
        replace: bool = False,
        *,
        context: ContextFunction | None = None,
        mask_patterns: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> UpdateReport:
        """Add documents; they are searched from the next query on, and kept whatever happens.

        All of them are added or none is. Encoding is what takes time: many at once take less than one by one. Small
        additions are merged afterwards, within this call.

        Args:
            documents: what to add.
            replace: let a document replace one of its id.
            context: the function that the index was built with, where it was built with one.
            mask_patterns: those that it was built with, by their names, where it was built with some.
            progress: called with (stage, done, total).

        Raises:
            UpdateError: when an id is there already and not to be replaced, is given twice, the function or the
                patterns are not those that the index was built with, or it is a knowledge graph.
            CorpusError: when a document cannot be stored.
            EncoderError: when the index's encoder cannot be loaded, or a vector is not finite.
            IndexFolderError: when the index is gone; DamagedIndexError when it is damaged.
            IndexBusyError: when another process is still changing it after ``lock_timeout``.
            StorageError: when the disk is full or cannot be written; nothing was added.
        """
        return self.change(documents, replace=replace, context=context, mask_patterns=mask_patterns, progress=progress)

    def delete(
        self,
        document_ids: Iterable[str],
        *,
        context: ContextFunction | None = None,
        progress: Progress | None = None,
    ) -> UpdateReport:
        """Delete documents; they are not found from the next query on.

        Passages of others that had been left out because they repeat one of these come back (``restored`` of the
        report); ``context`` is the function that the index was built with, which only they ask for.

        Raises:
            UpdateError: when one is not there (then none is deleted), or the index is a knowledge graph.
            EncoderError: as for :meth:`add`, when something comes back.
            IndexFolderError, IndexBusyError, StorageError: as for :meth:`add`.
        """
        return self.change(delete=document_ids, context=context, progress=progress)

    def change(
        self,
        corpus: Path | str | Iterable[Path | str] | Iterable[Document] = (),
        *,
        delete: Iterable[str] = (),
        replace: bool = False,
        context: ContextFunction | None = None,
        mask_patterns: Mapping[str, str] | None = None,
        warn: Callable[[str], None] | None = None,
        progress: Progress | None = None,
    ) -> UpdateReport:
        """Delete documents and then add others in one change: all of it is done, or nothing.

        Args:
            corpus: a path or paths, or documents. Ids of files are their paths from the index's corpus root. What lies
                in none of its roots is a further root.
            delete: ids, in whatever form of Unicode.
            replace: let a document replace one of its id; nothing is done for what is the same already.
            context, mask_patterns, progress: as for :meth:`add`.
            warn: called with what was left out or repaired.

        Raises:
            CorpusError: also when a path cannot be read.
            UpdateError, EncoderError, IndexFolderError, IndexBusyError, StorageError: as for :meth:`add`.
        """
        items, paths = corpus_of(corpus)
        asked = _Asked(items, delete, replace, context, progress)
        if not paths:
            first = list(islice(items, 1))
            masker = masker_of(self.settings, self.manifest, mask_patterns) if first else Masker()
            return self._changed(dataclasses.replace(asked, documents=chain(first, items), masker=masker))
        masker = masker_of(self.settings, self.manifest, mask_patterns)
        told = warn or (lambda message: None)
        roots = Roots.of(self.manifest).with_paths(paths)
        reading = Reading(
            Planner(self.path, self.store, roots, masker, told, progress, furniture(self.manifest)),
            roots,
            paths,
            replace,
        )
        asked = dataclasses.replace(asked, documents=reading, masker=masker, about=roots.about())
        done = self._changed(dataclasses.replace(asked, afterwards=reading.emptied) if replace else asked)
        missing = tuple(reading.missing()) if replace else ()
        unchanged = done.unchanged + reading.unchanged
        return dataclasses.replace(done, unchanged=unchanged, missing=missing, unread=reading.unread)

    def id_of(self, given: str) -> str:
        """Return the id of the document that a user names by its id, or by the path of its file as it is typed here."""
        return Roots.of(self.manifest).id_of(given, self.store)

    def sync(
        self,
        corpus: Path | str | Iterable[Path | str] | Iterable[Document],
        *,
        dry_run: bool = False,
        context: ContextFunction | None = None,
        mask_patterns: Mapping[str, str] | None = None,
        warn: Callable[[str], None] | None = None,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Bring the index in step with its corpus: add what is new, replace what changed, delete what is gone.

        Documents are compared by content. Where nothing changed nothing is written, and no encoder is loaded. A file
        that can no longer be read stays in the index as it was.

        Args:
            corpus: roots of the index, or folders and files in them: then only what lies below them is compared. Or
                documents, which are all that the index is to hold.
            dry_run: only say what would be done.
            context, mask_patterns, warn, progress: as for :meth:`change`.

        Raises:
            UpdateError: also when nothing of a root would be left in the index.
            CorpusError, EncoderError, IndexFolderError, IndexBusyError, StorageError: as for :meth:`change`.
        """
        self._check_changeable()
        items, paths = corpus_of(corpus)
        documents = list(items)
        masker = masker_of(self.settings, self.manifest, mask_patterns)
        told = warn or (lambda message: None)
        while True:
            self.refresh()
            state = self._latest
            planner = Planner(
                self.path,
                state.parts.store,
                Roots.of(state.manifest),
                masker,
                told,
                progress,
                furniture(state.manifest),
            )
            plan = planner.of_paths(paths) if paths else planner.of_documents(documents)
            if dry_run or (plan.is_empty and plan.roots == Roots.of(state.manifest)):
                return dataclasses.replace(plan.report, dry_run=dry_run)
            report, about = plan.report, plan.roots.about()
            asked = _Asked(plan.documents, report.deleted, True, context, progress, about=about, only=state)
            with suppress(_ChangedMeanwhileError):
                return dataclasses.replace(report, update=self._changed(asked))

    def _changed(self, asked: _Asked) -> UpdateReport:
        """Change the index in one commit."""
        started, vectors = perf_counter(), list[VectorCache]()
        rest = iter(asked.documents)
        first = list(islice(rest, AT_ONCE))  # before anybody has to wait

        def additions(parts: Parts) -> Additions:
            how = context_of(self.settings, asked.context, "change")
            if not vectors:
                pieces = parts.base.pieces is not None
                vectors.append(VectorCache(self.path, self.encoder, pieces, of_index=False))
            return Additions(parts, self.settings, asked.masker, how, self.encoder, vectors[0])

        with self._changing() as state:
            if asked.only is not None and state.manifest != asked.only.manifest:
                raise _ChangedMeanwhileError
            writer = self._writer(asked.progress)
            with Change(writer, state, additions, asked.masker) as change:
                change.delete(asked.delete)
                change.add(chain(first, rest), asked.replace)
                change.delete(asked.afterwards())
                self._show(change.commit(asked.about))
            reported = change.report(started)
            for cache in vectors:
                cache.clear()
            merged = writer.merge(change.state)
            if merged is not change.state:
                self._show(writer.commit(merged))
            return reported

    def compact(self, *, context: ContextFunction | None = None, progress: Progress | None = None) -> bool:
        """Build one segment, a new base, from all documents; returns whether there was anything to do.

        The result is that of building an index from the same documents; vectors are taken over, and so is the map to
        shorter ones. Searches go on in the old segments until the new one is whole, and a kill leaves one of the two.
        Changes by others wait.

        Args:
            context: the function that the index was built with, where it was built with one.
            progress: called with (stage, done, total).

        Raises:
            CorpusError: when every document was deleted.
            UpdateError, IndexFolderError, IndexBusyError, EncoderError, StorageError: as for :meth:`add`.
        """
        with self._changing() as state:
            store = state.parts.store
            if not state.parts.changed:
                return False
            if not len(store):
                raise CorpusError(f"every document of {self.path} was deleted: there is nothing to build; add some")
            masker, how = masker_of_masked(self.settings, self.manifest), context_of(self.settings, context, "compact")
            plan = BuildPlan(self.settings, masker, how, self.encoder, self._threads)
            documents = (store.document(identifier) for identifier in store.document_ids())
            about: dict[str, Any] = {name: self.manifest[name] for name in (CORPUS, "reading") if name in self.manifest}
            plan.write(documents, self.path.resolve(), lambda message: None, progress, about)
            self._follow()
        return True

    @property
    def masked(self) -> bool:
        """Whether something is masked in its documents."""
        return bool(self.settings.mask or pattern_names(self.manifest))

    def _writer(self, progress: Progress | None) -> Writer:
        settings = self.settings
        return Writer(self.path, settings.dense, settings.store, settings.context != "none", self._links, progress)

"""Keeping an index in step with its corpus: what is new, what changed and what is gone, told by content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CorpusError, UpdateError
from ..retrievers._store import Documents, Origin
from ..retrievers.compiling._masking import Masker, unique_ids
from ..retrievers.corpus._known_files import KnownFiles
from ..retrievers.protocols import Progress
from ..retrievers.records import CORPUS_ROOT, FILE_HASH, Document
from ._roots import Roots, absolute
from .updates import RECORD, SyncReport, same

if TYPE_CHECKING:
    from ..retrievers.corpus._loading import CorpusReader

_EVERYTHING = -1
"""Stands for all roots and what is of none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done to bring an index in step.

    Attributes:
        report: says it.
        documents: that are new or changed, masked already.
        roots: of the index from then on.
    """

    report: SyncReport
    documents: Sequence[Document]
    roots: Roots

    @property
    def is_empty(self) -> bool:
        """Whether no document comes or goes."""
        return not (self.documents or self.report.deleted)


@dataclass(frozen=True, slots=True)
class _Scope:
    """The part of an index that is to match what is read: origins by id, and the roots whose whole it holds."""

    origins: dict[str, Origin]
    whole: frozenset[int]
    moved: tuple[str, str] | None


class Planner:
    """Compares a corpus with an index; changes neither.

    Args:
        place: of the index, which is no part of the corpus.
        store: of the index.
        roots: of its corpus.
        masker: what is masked in it.
        warn: called with what was left out or repaired.
        progress: called with (stage, done, total).
        furniture: hashes of the blocks that pages of its corpus repeat, as they were when it was built.

    Attributes:
        origins: of all documents of the index.
    """

    def __init__(
        self,
        place: Path,
        store: Documents,
        roots: Roots,
        masker: Masker,
        warn: Callable[[str], None],
        progress: Progress | None,
        furniture: Collection[str] | None = None,
    ) -> None:
        self._furniture = furniture
        self._place = place
        self._store = store
        self._roots = roots
        self._masker = masker
        self._warn = warn
        self._progress = progress
        self.origins = store.origins()

    def of_documents(self, documents: Iterable[Document]) -> Plan:
        """Return what makes the index hold these documents and no others."""
        scope = _Scope({origin.id: origin for origin in self.origins}, frozenset([_EVERYTHING]), None)
        return self._compared(scope, self._masked(documents), KnownFiles(), self._roots)

    def of_paths(self, paths: Sequence[Path]) -> Plan:
        """Return what makes the index hold of these files and folders what they hold.

        Raises:
            CorpusError: when a path is missing that never was in the index, or one id names two documents.
            UpdateError: when a folder is no part of the index's corpus, or everything would be deleted.
        """
        roots, scope = self._scope(paths)
        known = self.known(roots, scope.origins.values())
        known.follows = True
        there = [path for path in paths if path.exists()]
        read = self._masked(self.reader(there, known)) if there else []
        return self._compared(scope, read, known, roots)

    def known(self, roots: Roots, origins: Iterable[Origin]) -> KnownFiles:
        """Return what the reader is told of files in these roots, and of those that the index holds."""
        hashes = {} if self._masker else {one.id: one.file_hash for one in origins if one.file_hash}
        mark = partial(roots.marked, always=bool(self._masker))
        return KnownFiles(roots.name_of, mark, hashes, self._furniture)

    def reader(self, paths: Sequence[Path], known: KnownFiles) -> CorpusReader:
        """Return what reads the documents of paths, the index itself left out."""
        from ..retrievers.corpus._loading import CorpusReader  # with every reader of files: no search needs them

        return CorpusReader(paths, self._warn, progress=self._progress, but=(self._place,), known=known)

    def masked(self, name: str) -> str:
        """Return the id of a file as the index would store it."""
        return self._masker.text(name, Counter())

    def _masked(self, documents: Iterable[Document]) -> list[Document]:
        """Return documents as the index would store them."""
        if not self._masker:
            return list(documents)
        unused = unique_ids()
        return [self._masker.document(document, unused, Counter()) for document in documents]

    def _scope(self, paths: Sequence[Path]) -> tuple[Roots, _Scope]:
        """Return the roots from now on, and the documents that are to match these paths."""
        roots, origins, whole, moved = self._roots, dict[str, Origin](), set[int](), None
        for path in paths:
            if roots.holding(path) is None and not roots.below(path):
                roots, moved = self._moved(roots, path)
            roots = roots.with_paths([path])
            number, below = roots.holding(path) or (0, "")
            mine = within(self.origins, roots, path)
            if not (path.exists() or (below and mine)):
                raise CorpusError("there is no such file or folder, and nothing in the index that was one", path)
            whole |= {*roots.below(path), *([] if below else [number])}
            origins |= {one.id: one for one in mine}
        return roots, _Scope(origins, frozenset(whole), moved)

    def _moved(self, roots: Roots, path: Path) -> tuple[Roots, tuple[str, str] | None]:
        """Return the roots with a path outside in the place of the one that it was, and what moved where.

        It was the only root, or the only one that is no longer there.
        """
        if not path.exists():
            raise CorpusError("there is no such file or folder", path)
        if not roots.places:
            return roots.with_paths([path]), None
        gone = [number for number, root in enumerate(roots.places) if len(roots.places) == 1 or not root.exists()]
        if len(gone) != 1 or (path.is_file() and roots.places[gone[0]].is_dir()):
            raise UpdateError(
                f"{path} is none of the folders that the index was made from ({', '.join(map(str, roots.places))}):"
                f" add it with  trailhound update INDEX {path}"
            )
        return roots.moved(gone[0], path), (str(roots.places[gone[0]]), str(absolute(path)))

    def _compared(self, scope: _Scope, documents: list[Document], known: KnownFiles, roots: Roots) -> Plan:
        others = {one.id: _root_of(one) for one in self.origins if one.id not in scope.origins}
        changed: list[Document] = []
        added: list[str] = []
        replaced: list[str] = []
        here = set(known.unchanged)
        for document in documents:
            here.add(document.id)
            stored = document.id in scope.origins or document.id in others
            if stored and same(self._store.document(document.id), document):
                continue
            if others.get(document.id) is not None:
                raise _of_another_place(document)
            changed.append(document)
            (replaced if stored else added).append(document.id)
        unread = {self.masked(name): why for name, why in known.unread.items()}
        empty = set(map(self.masked, known.empty))
        deleted = [one for name, one in scope.origins.items() if name not in here and not _kept(one, unread)]
        self._check(scope, deleted, changed)
        report = SyncReport(
            tuple(added),
            tuple(replaced),
            tuple(one.id for one in deleted),
            tuple(one.id for one in deleted if one.id in empty),
            unread,
            len(here) - len(changed),
            scope.moved,
        )
        return Plan(report, changed, roots)

    def _check(self, scope: _Scope, deleted: Sequence[Origin], changed: Sequence[Document]) -> None:
        """Refuse to delete all of a root, or most of one that has moved: most often it is a wrong folder."""
        came = {document.metadata.get(FILE_HASH) for document in changed} - {None}
        for number in scope.whole:
            held = [one for one in scope.origins.values() if number in (_root_of(one), _EVERYTHING)]
            gone = [one for one in deleted if number in (_root_of(one), _EVERYTHING) and one.file_hash not in came]
            if gone and (2 * len(gone) > len(held) if scope.moved is not None else len(gone) == len(held)):
                raise UpdateError(
                    f"of the {len(held):,} documents that the index holds of it {len(gone):,} would be deleted, because"
                    " nothing there has their content or their id: is it the right folder? To index it all the same:"
                    "  trailhound index CORPUS --out INDEX"
                )


class Reading:
    """The documents of files, read for an index that holds some of them already.

    Args:
        planner: of the index.
        roots: of the index from now on, which hold the paths.
        paths: files and folders.
        replace: leave out files that are in the index as they are.
    """

    def __init__(self, planner: Planner, roots: Roots, paths: Sequence[Path], replace: bool) -> None:
        self._paths = paths
        self._planner = planner
        self._roots = roots
        self._known = planner.known(roots, planner.origins if replace else ())
        self._known.follows = replace
        self._came: set[str] = set()

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents.

        Raises:
            CorpusError: when a path is not there, nothing of them can be read, or a file has the id of a document
                that came from another root.
        """
        origins = {one.id: _root_of(one) for one in self._planner.origins}
        for document in self._planner.reader(self._paths, self._known):
            if origins.get(document.id) not in (None, document.metadata.get(CORPUS_ROOT, 0)):
                raise _of_another_place(document)
            self._came.add(document.id)
            yield document
        if not (self._came or self._known.unchanged or self._known.empty):
            raise CorpusError(next(iter(self._known.unread.values()), "holds no documents"), self._paths[0])

    @property
    def unread(self) -> dict[str, str]:
        """Why files could not be read, by id."""
        return {self._planner.masked(name): why for name, why in self._known.unread.items()}

    @property
    def unchanged(self) -> int:
        """Number of files that were left out because they are in the index as they are."""
        return len(self._known.unchanged)

    def emptied(self) -> list[str]:
        """Return the ids of documents of the index whose file has no text any more."""
        ids = {one.id for one in self._planner.origins}
        return [name for name in map(self._planner.masked, self._known.empty) if name in ids]

    def missing(self) -> list[str]:
        """Return the ids of documents of the index whose file is no longer where it was."""
        files = (*self._came, *self._known.unchanged, *self._known.empty)
        here, unread = set(map(self._planner.masked, files)), set(map(self._planner.masked, self._known.unread))
        inside = {one.id: one for path in self._paths for one in within(self._planner.origins, self._roots, path)}
        return [name for name, one in inside.items() if name not in here and not _kept(one, unread)]


def _of_another_place(document: Document) -> CorpusError:
    return CorpusError(
        f"the id {document.id!r} names another document that the index holds, of another place:"
        " rename one of the two, or delete that (--delete)",
        document.source or None,
    )


def within(origins: Iterable[Origin], roots: Roots, path: Path) -> list[Origin]:
    """Return the documents of files that lie at or below a path, which is in a root."""
    number, inside = roots.holding(path) or (-1, "")
    below = set(roots.below(path))
    return [
        one
        for one in origins
        if _root_of(one) in below or (_root_of(one) == number and (not inside or _below(one, inside)))
    ]


def _root_of(origin: Origin) -> int | None:
    """Return the number of a document's root; None for one that came from no file."""
    return 0 if origin.root is None and origin.file_hash is not None else origin.root


def _below(origin: Origin, path: str) -> bool:
    """Return whether a document is the file at a path, lies below it, or is a record of it."""
    return origin.id == path or origin.id.startswith(f"{path}/") or _file_of(origin) == path.rsplit("/", 1)[-1]


def _file_of(origin: Origin) -> str | None:
    """Return the name of the file that a record is of; None for a document that is a file itself."""
    name = RECORD.sub("", origin.source)
    return name if name != origin.source else None


def _kept(origin: Origin, unread: Collection[str]) -> bool:
    """Return whether a document is what could not be read, lies below it, or is a record of it."""
    parts = origin.id.split("/")
    within = any("/".join(parts[:depth]) in unread for depth in range(1, len(parts) + 1))
    return within or _file_of(origin) in {name.rsplit("/", 1)[-1] for name in unread}

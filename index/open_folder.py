"""An index folder that is open: the state that is searched, who may change it, and how others' changes come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock, local
from typing import Any, Generic, TypeVar

from ..errors import DamagedIndexError, EncoderError, IndexFolderError, UpdateError
from ..graph.knowledge_graph import KnowledgeGraph
from ..retrievers.changing.journal import locked
from ..retrievers.changing.live_dense import LiveDense
from ..retrievers.changing.live_late import LiveLate
from ..retrievers.changing.live_lexical import LiveLexical
from ..retrievers.changing.live_store import LiveStore
from ..retrievers.changing.live_terms import LiveTerms
from ..retrievers.folder import check_files, manifest_hash, read_manifest, signature
from ..retrievers.knowledge.facts import Facts
from ..retrievers.protocols import SubIndex
from ..retrievers.store import EvidenceStore
from ..retrievers.vectors.dense import DenseIndex, DenseKind
from ..retrievers.vectors.late_interaction import LateInteractionIndex
from ..retrievers.words.entity import EntityIndex
from ..retrievers.words.lexical import LexicalIndex
from ..retrievers.words.terms import TermIndex
from ..retrievers.words.titles import TitleMatcher
from .live import LiveIndex
from .live_graph import LiveGraph
from .parts import BaseParts, LiveParts, WordPieces, open_base

T = TypeVar("T")


class Part(Generic[T]):
    """An attribute of an index that is read from its parts, so that all of them are always of one state."""

    def __set_name__(self, owner: type[OpenFolder], name: str) -> None:
        """Learn its name."""
        self._name = name

    def __get__(self, index: OpenFolder, owner: type[OpenFolder]) -> T:
        """Return the part."""
        part: T = getattr(index.parts, self._name)
        return part


class OpenFolder:
    """What is at a path, opened; a base class of ``Index``. Threads may share one.

    Args:
        path: the folder.
        verify: hold every file against its hash first.

    Attributes:
        manifest: of the base.
    """

    encoder_name: str

    def __init__(self, path: Path | str, verify: bool) -> None:
        self.path = Path(path)
        self._verify = verify
        self._writing = RLock()
        self._pinned = local()
        self._open()

    def _open(self) -> None:
        """Open what is at the path: the base, and the changes in its journal."""
        whole = False
        while not whole:
            current = signature(self.path)
            self.manifest = read_manifest(self.path)
            try:
                self._read(self._verify)
                whole = read_manifest(self.path) == self.manifest  # else a build replaced it: these may be of two
            except IndexFolderError:
                if read_manifest(self.path) == self.manifest:
                    raise
        self._signature = current

    def _read(self, verify: bool) -> None:
        """Open every part."""
        if verify:
            check_files(self.path, self.manifest)
        base = open_base(self.path, *self._accept(self.manifest))
        context = self.manifest["settings"].get("context", "none")
        live = LiveIndex(self.path, base, manifest_hash(self.manifest), context)
        live.catch_up()
        self._live, self._latest = live, live.parts

    def _accept(self, manifest: Mapping[str, Any]) -> tuple[DenseKind, WordPieces | None]:
        """Take over what a manifest says, or refuse it; returns the dense kind and late interaction's encoder."""
        raise NotImplementedError

    store = Part[EvidenceStore | LiveStore]()
    lexical = Part[LexicalIndex | LiveLexical]()
    dense = Part[DenseIndex | LiveDense]()
    entity = Part[EntityIndex]()
    terms = Part[TermIndex | LiveTerms]()
    titles = Part[TitleMatcher]()
    graph = Part[KnowledgeGraph | LiveGraph]()
    facts = Part[Facts | None]()
    late = Part[LateInteractionIndex | LiveLate | None]()
    sub_indexes = Part[dict[str, SubIndex]]()

    @property
    def parts(self) -> BaseParts | LiveParts:
        """What a search reads: the latest state, or the one that :meth:`snapshot` holds in this thread."""
        pinned: BaseParts | LiveParts | None = getattr(self._pinned, "parts", None)
        return self._latest if pinned is None else pinned

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let this thread see one state of the index, whatever others add or delete meanwhile."""
        outer = getattr(self._pinned, "parts", None)
        self._pinned.parts = self.parts
        try:
            yield
        finally:
            self._pinned.parts = outer

    @property
    def changed(self) -> bool:
        """Whether documents came or went since the base was built."""
        return isinstance(self.parts, LiveParts)

    def refresh(self, *, wait: bool = True) -> bool:
        """See what other processes have changed since; returns whether there was anything.

        As long as nothing was, it costs two questions to the file system. An index that was compacted or built anew
        is opened again; one whose folder is gone stays as it is.

        Args:
            wait: for another thread that is changing this index; without, what others did is seen once it is through.

        Raises:
            DamagedIndexError: when the journal is damaged.
            EncoderError: when it was built anew with another encoder.
        """
        seen = self._latest is self._live.parts  # not after a change that was interrupted when it was written
        if seen and signature(self.path) == self._signature and not self._live.is_behind():
            return False
        if not self._writing.acquire(blocking=wait):
            return False
        try:
            return self._follow()
        finally:
            self._writing.release()

    def _follow(self) -> bool:
        """Read what others wrote, and let searches see it."""
        before = self._latest
        while (current := signature(self.path)) != self._signature:
            if current is None:
                return False
            name = read_manifest(self.path).get("encoder")
            if name != self.encoder_name:
                raise EncoderError(
                    f"{self.path} was built anew with the encoder {name!r} in place of {self.encoder_name!r}:"
                    " open it again"
                )
            self._open()
        try:
            self._live.catch_up()
        except DamagedIndexError:
            if signature(self.path) == current:
                raise
            return self._follow()  # it was replaced in this moment
        self._show()
        return self._latest is not before

    def _show(self) -> None:
        self._latest = self._live.parts

    @contextmanager
    def _changing(self) -> Iterator[Callable[[], None]]:
        """Be the only writer, up to date; calling what is given lets searches see what was changed."""
        if self.facts is not None:
            raise UpdateError(
                f"{self.path} is a knowledge graph, whose vectors are learnt from all facts together: change its"
                " graph.txt and build it again"
            )
        with self._writing, locked(self.path):
            self._follow()
            yield self._show

"""The index of a corpus: evidence store, sub-indexes and knowledge graph, built and opened together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..errors import EncoderError
from ..retrievers._folder import LOCK_TIMEOUT, base_hash, building
from ..retrievers._forks import PerProcess
from ..retrievers.compiling._context import ContextFunction
from ..retrievers.compiling._masking import Masker
from ..retrievers.knowledge._fact_encoder import FactEncoder
from ..retrievers.protocols import Encoder, Progress, SubIndex
from ..retrievers.records import Document, Query, Rows
from ..retrievers.vectors._encoder import ProjectedEncoder
from ..retrievers.vectors._piece_codes import queries_of
from ._build import BuildPlan, documents_of, graph_of
from ._changeable_folder import ChangeableFolder
from .settings import IndexSettings, with_function

if TYPE_CHECKING:
    from ._routing import Routing


class Index(ChangeableFolder):
    """An opened index; threads may share one.

    Args:
        path: the folder.
        encoder: instead of the one that the manifest names; must have its name.
        threads: for encoding; all cores when None.
        verify: compare every file with its hash first (about a second for each gigabyte).
        router: folder that ``trailhound tune-router`` wrote, or a folder of such folders, each of a router that was
            tuned on a part of the corpus; then questions are searched in their shards alone.
        shard_mass: they are searched until they hold so much of the router's probability; 1 for all of them.
        lock_timeout: seconds that a change waits for another process that is changing the index.

    Attributes:
        store: the evidence store.
        lexical, dense, entity: the sub-indexes, also by name in ``sub_indexes``.
        pieces: scores passages by their word pieces; None where the settings or the encoder give none.
        terms: analysed terms of every passage.
        titles: finds the passages' titles in texts.
        graph: the knowledge graph.
        facts: the facts that the graph was made from, where the corpus is a knowledge graph; None for texts.
        encoder_name: identifies the encoder's weights.

    Raises:
        IndexFolderError: when there is no index, or one of another format.
        DamagedIndexError: when its files are not what was written.
        EncoderError: when ``encoder`` is not the one it was built with.
    """

    def __init__(
        self,
        path: Path | str,
        encoder: Encoder | None = None,
        threads: int | None = None,
        verify: bool = True,
        router: Path | str | None = None,
        shard_mass: float = 0.9,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> None:
        self._threads = threads
        self._given = encoder
        self._lock = PerProcess(Lock)
        self._router = None if router is None else Path(router).absolute()
        self._shard_mass = shard_mass
        self._routing: Routing | None = None
        self.encoder_name = ""
        super().__init__(path, verify, lock_timeout)
        if self._given is not None:
            self._checked(self._given)

    def _accept(self, manifest: Mapping[str, Any]) -> None:
        IndexSettings.from_json(manifest["settings"])
        if self.encoder_name not in ("", manifest["encoder"]):
            raise EncoderError(
                f"{self.path} was built anew with the encoder {manifest['encoder']!r} instead of"
                f" {self.encoder_name!r}: open it again"
            )

    def _adopt(self, manifest: Mapping[str, Any]) -> None:
        self.settings, self.encoder_name = IndexSettings.from_json(manifest["settings"]), str(manifest["encoder"])

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        encoder: Encoder | None = None,
        threads: int | None = None,
        verify: bool = True,
        router: Path | str | None = None,
        shard_mass: float = 0.9,
        lock_timeout: float = LOCK_TIMEOUT,
    ) -> Index:
        """Open an index: see the class."""
        return cls(path, encoder, threads, verify, router, shard_mass, lock_timeout)

    @classmethod
    def build(
        cls,
        corpus: Path | str | Iterable[Path | str] | Iterable[Document],
        out: Path | str,
        *,
        settings: IndexSettings | None = None,
        encoder: Encoder | None = None,
        threads: int | None = None,
        warn: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        context: ContextFunction | None = None,
        mask_patterns: Mapping[str, str] | None = None,
        lock_timeout: float = LOCK_TIMEOUT,
        strict: bool = False,
    ) -> Index:
        """Index a corpus and open the index; ``out`` holds the old index until the new one is whole.

        Args:
            corpus: a path or paths that :class:`CorpusReader` reads, or documents; or the folder of a ``graph.txt``,
                a knowledge graph, which brings its own encoder. A file that cannot be read is skipped; the manifest's
                ``reading`` says why, and what was left out.
            out: the folder to make or replace.
            settings: how; the defaults when None.
            encoder: instead of the one that ``settings`` names.
            threads: for encoding; all cores when None.
            warn: called with what was left out or repaired, and with whom the build waits for.
            progress: called with (stage, done, total).
            context: a user's own line before each passage's text, instead of the one that ``settings`` names; it
                sees what is left after masking.
            mask_patterns: regular expressions by name, masked beside the kinds of ``settings``. The manifest keeps
                their names alone, because a pattern may spell what it hides.
            lock_timeout: seconds to wait for another process that is changing the index.
            strict: the first file or record that cannot be read is an error.

        Raises:
            CorpusError: when the corpus cannot be read, or holds no text.
            IndexFolderError: when ``out`` is something else than an index, or a knowledge graph is to be masked.
            EncoderError: when the encoder cannot be loaded, cannot count tokens, or a vector is not finite.
            MaskingError: when a pattern cannot be used.
            IndexBusyError: when another process is still changing the index after ``lock_timeout``.
            StorageError: when the disk is full or cannot be written.
        """
        settings = with_function(settings or IndexSettings(), context)
        plan = BuildPlan(settings, Masker(settings.mask, mask_patterns), context or settings.context, encoder, threads)
        items = [corpus] if isinstance(corpus, str | Path) else corpus
        called = warn or (lambda message: None)
        triples = graph_of(items, called)
        place = Path(out).resolve()  # a link stays, what it points to is replaced
        with building(place, lock_timeout, called):
            if triples is None:
                documents, roots = documents_of(items, called, progress, place, strict, bool(plan.masker))
                plan.write(documents, place, called, progress, roots.about())
            else:
                plan.write(triples, place, called, progress, {})
        return cls(out, encoder if triples is None else None, threads, verify=False, lock_timeout=lock_timeout)

    def __reduce__(self) -> tuple[Callable[..., Index], tuple[object, ...]]:
        """Pickle as the folder's path: whoever unpickles opens it."""
        return type(self), (self.path, self._given, self._threads, False, self._router, self._shard_mass)

    def __deepcopy__(self, memo: dict[int, object]) -> Index:
        """Return itself: threads share an index."""
        return self

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.store)

    @property
    def unreachable(self) -> tuple[str, ...]:
        """Parts that are not seen: none, since all of an index is in this process."""
        return ()

    def shards_asked(self, question: str) -> tuple[str, ...]:
        """Return the shards that are asked for a question: none, since this is one index."""
        return ()

    def look_ahead(self, rows: Rows) -> None:
        """Do nothing: all of an index is in this process."""

    @property
    def dropped(self) -> list[dict[str, str]]:
        """The passages that were left out because they repeat another: see :func:`load_dropped`."""
        return [dict(entry) for entry in self.parts.dropped]

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors come from; loaded when first used."""
        with self._lock():
            return self._loaded

    def close(self) -> None:
        """Let go of files, connections and memory; a search that is under way ends first, whoever asks then is refused.

        What the index shares with others of this process stays with them. A second call does nothing.
        """
        super().close()
        with self._lock():
            self._routing = None
            vars(self).pop("_loaded", None)

    def __enter__(self) -> Index:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @cached_property
    def _loaded(self) -> Encoder:
        if self._given is not None:
            return self._checked(self._given)
        facts = self._latest.parts.segments[0].fact_encoder
        return self._checked(self.settings.load_encoder(self._threads) if facts is None else facts)

    @property
    def fact_encoder(self) -> FactEncoder:
        """The encoder of a knowledge graph.

        Raises:
            EncoderError: when the index is one of texts.
        """
        encoder = self.encoder
        if not isinstance(encoder, FactEncoder):
            raise EncoderError(f"{self.path} is not the index of a knowledge graph: build one from a graph.txt")
        return encoder

    @property
    def routing(self) -> Routing | None:
        """The router and its shards, where the index was opened with one; read when first used.

        Raises:
            RouterError: when it cannot be read, or is another index's.
        """
        if self._router is None:
            return None
        with self._lock():
            from ._routing import Routing  # with torch: most indexes have no router

            base, digest = self.parts.base, base_hash(self.manifest)
            if self._routing is None or self._routing.base is not base:
                self._routing = Routing(self._router, base, digest, self.encoder_name, self._shard_mass)
            return self._routing

    def sub_indexes_for(self, question: Query) -> Mapping[str, SubIndex]:
        """Return the sub-indexes that are searched for a question, by name: all there are, or within its shards."""
        routing = self.routing
        return self.sub_indexes if routing is None else routing.sub_indexes(question, self.parts)

    def query(self, text: str) -> Query:
        """Return ``text`` with its vector, and with its word pieces where the encoder gives them."""
        return self.queries([text])[0]

    def queries(self, texts: Sequence[str]) -> list[Query]:
        """Return texts as :meth:`query` does, encoded together."""
        return queries_of(self.encoder, texts)

    def _checked(self, encoder: Encoder) -> Encoder:
        """Return the encoder of the index's vectors, made of one of texts; it must be the one it was built with."""
        projection = self._latest.parts.segments[0].projection
        if self.settings.dimension and projection is not None:
            encoder = ProjectedEncoder.over(encoder, projection)
        if encoder.name != self.encoder_name:
            raise EncoderError(
                f"{self.path} was built with the encoder {self.encoder_name!r}, not {encoder.name!r}:"
                " open it with its own, or build it again"
            )
        return encoder

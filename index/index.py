"""The index of a corpus: evidence store, sub-indexes and knowledge graph, built and opened together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CorpusError, EncoderError
from ..retrievers.compiling.context import ContextFunction
from ..retrievers.compiling.masking import Masker
from ..retrievers.folder import manifest_hash, new_folder
from ..retrievers.knowledge.fact_encoder import FactEncoder
from ..retrievers.protocols import Encoder, Progress, SubIndex
from ..retrievers.records import Document, Query
from ..retrievers.vectors.dense import DenseKind
from ..retrievers.vectors.encoder import load_encoder
from ..retrievers.vectors.late_interaction import hold_tokens
from ..retrievers.vectors.projection import ProjectedEncoder
from ..retrievers.vectors.vector_cache import DENSE
from .additions import Additions, context_of, masker_of, masker_of_masked, vectors_at_hand
from .build import BuildPlan, documents_of, graph_of
from .open_folder import OpenFolder
from .parts import FACTS, BaseParts, WordPieces
from .settings import IndexSettings, with_function
from .updates import UpdateReport, addition, deletion, report

if TYPE_CHECKING:
    from .routing import Routing


class Index(OpenFolder):
    """An opened index; threads may share one.

    Args:
        path: the folder.
        encoder: in place of the one that the manifest names; must have its name.
        threads: for encoding; all cores when None.
        verify: hold every file against its hash first (about a second for each gigabyte).
        router: folder that ``trailhound tune-router`` wrote, or a folder of such folders, each of a router that was
            tuned on a part of the corpus; then questions are searched in their shards alone.
        shards: at most how many of them for a question.

    Attributes:
        store: the evidence store.
        lexical, dense, entity: the sub-indexes, also by name in ``sub_indexes``.
        late: the late-interaction sub-index, where the settings ask for one; also in ``sub_indexes``.
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
        shards: int = 2,
    ) -> None:
        self._threads = threads
        self._given = encoder
        self._lock = Lock()
        self._router = None if router is None else Path(router)
        self._shards = shards
        self._routing: Routing | None = None
        super().__init__(path, verify)

    def _accept(self, manifest: Mapping[str, Any]) -> tuple[DenseKind, WordPieces | None]:
        self.settings = IndexSettings(**manifest["settings"])
        self.encoder_name = str(manifest["encoder"])
        if self._given is not None:
            self._held(self._given)
        return self.settings.dense, self._word_pieces if self.settings.late_interaction else None

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        encoder: Encoder | None = None,
        threads: int | None = None,
        verify: bool = True,
        router: Path | str | None = None,
        shards: int = 2,
    ) -> Index:
        """Open an index: see the class."""
        return cls(path, encoder, threads, verify, router, shards)

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
    ) -> Index:
        """Index a corpus and open the index; ``out`` holds the old index until the new one is whole.

        Args:
            corpus: a path or paths that :func:`read_corpus` reads, or documents; or the folder of a ``graph.txt``,
                a knowledge graph, which brings its own encoder.
            out: the folder to make or replace.
            settings: how; the defaults when None.
            encoder: in place of the one that ``settings`` names.
            threads: for encoding; all cores when None.
            warn: hears of what was left out or repaired.
            progress: hears of every stage.
            context: a user's own line before each passage's text, in place of the one that ``settings`` names; it
                sees what is left after masking.
            mask_patterns: regular expressions by name, masked beside the kinds of ``settings``. The manifest keeps
                their names alone, because a pattern may spell what it hides.

        Raises:
            CorpusError: when the corpus cannot be read, or holds no text.
            IndexFolderError: when ``out`` is something else than an index, or a knowledge graph is to be masked.
            EncoderError: when the encoder cannot be loaded, cannot count tokens, or a vector is not finite.
            MaskingError: when a pattern cannot be used.
        """
        settings = with_function(settings or IndexSettings(), context)
        plan = BuildPlan(settings, Masker(settings.mask, mask_patterns), context or settings.context, encoder, threads)
        items = [corpus] if isinstance(corpus, str | Path) else corpus
        triples = graph_of(items)
        hear = warn or (lambda message: None)
        place = Path(out).resolve()  # a link stays, what it points to is replaced
        with new_folder(place) as staging:
            if triples is not None:
                plan.build_facts(triples, staging, place, hear, progress)
                return cls(out, None, threads, verify=False)
            plan.build_texts(documents_of(items, hear), staging, place, hear, progress)
        return cls(out, encoder, threads, verify=False)

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

        All of them are added or none is. Encoding is what takes time: many at once take less than one by one.

        Args:
            documents: what to add.
            replace: let a document take the place of one of its id.
            context: the function that the index was built with, where it was built with one.
            mask_patterns: those that it was built with, by their names, where it was built with some.
            progress: hears of encoding and linking.

        Raises:
            UpdateError: when an id is there already and not to be replaced, is given twice, the function or the
                patterns are not those that the index was built with, or it is a knowledge graph.
            CorpusError: when a document cannot be stored.
            EncoderError: when the index's encoder cannot be loaded, or a vector is not finite.
            IndexFolderError: when the journal cannot be written; DamagedIndexError when it is damaged.
        """
        started = perf_counter()
        with self._changing() as show:
            masker = masker_of(self.settings, self.manifest, mask_patterns)
            done = addition(self._additions(masker, context, "add"), list(documents), replace, progress)
            show()
            return report(done, self._live.snapshot, started)

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
            IndexFolderError: when the journal cannot be written; DamagedIndexError when it is damaged.
        """
        started = perf_counter()
        with self._changing() as show:
            done = deletion(self._live, document_ids, lambda: self._additions(Masker(), context, "delete"), progress)
            show()
            return report(done, self._live.snapshot, started)

    def compact(self, *, context: ContextFunction | None = None, progress: Progress | None = None) -> bool:
        """Build a new base from all documents, without a journal; returns whether there was anything to fold in.

        The result is that of building an index from the same documents; vectors are taken over, and so is the map to
        shorter ones. Searches go on in the old index until the new one is whole, and a kill leaves one of the two.
        Changes by others wait.

        Args:
            context: the function that the index was built with, where it was built with one.
            progress: hears of every stage.

        Raises:
            CorpusError: when every document was deleted.
            UpdateError, IndexFolderError, DamagedIndexError, EncoderError: as for :meth:`add`.
        """
        with self._changing():
            store = self._live.parts.store
            if isinstance(self._live.parts, BaseParts):
                return False
            if not len(store):
                raise CorpusError(f"every document of {self.path} was deleted: there is nothing to build; add some")
            masker, how = masker_of_masked(self.settings, self.manifest), context_of(self.settings, context, "compact")
            at_hand = vectors_at_hand(self._live)
            plan = BuildPlan(self.settings, masker, how, self.encoder, self._threads, at_hand)
            place = self.path.resolve()
            documents = (store.document(identifier) for identifier in store.document_ids())
            with new_folder(place) as staging:
                plan.build_texts(documents, staging, place, lambda message: None, progress)
            self._follow()
        return True

    def _additions(self, masker: Masker, context: ContextFunction | None, what: str) -> Additions:
        return Additions(self._live, self.settings, masker, context_of(self.settings, context, what), self.encoder)

    def __reduce__(self) -> tuple[Callable[..., Index], tuple[object, ...]]:
        """Pickle as the folder's path: whoever unpickles opens it."""
        router = None if self._router is None else self._router.resolve()
        return type(self), (self.path.resolve(), self._given, self._threads, False, router, self._shards)

    def __deepcopy__(self, memo: dict[int, object]) -> Index:
        """Return itself: threads share an index."""
        return self

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.store)

    @property
    def dropped(self) -> list[dict[str, str]]:
        """The passages that were left out because they repeat another: see :meth:`Sieve.load`."""
        return [dict(entry) for entry in self.parts.dropped]

    @property
    def encoder(self) -> Encoder:
        """The encoder that the vectors come from; loaded when first used."""
        with self._lock:
            return self._loaded

    @cached_property
    def _loaded(self) -> Encoder:
        if self._given is not None:
            return self._held(self._given)
        if self.facts is not None:
            return self._held(FactEncoder.load(self.path / FACTS, self.facts))
        return self._held(load_encoder(self.settings.encoder, self._threads))

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
        with self._lock:
            from .routing import Routing  # with torch: most indexes have no router

            base = self._live.base
            if self._routing is None or self._routing.base is not base:
                known = manifest_hash(self.manifest), self.encoder_name
                self._routing = Routing(self._router, base, *known, self._shards)
            return self._routing

    def sub_indexes_for(self, question: Query) -> Mapping[str, SubIndex]:
        """Return the sub-indexes that are searched for a question, by name: all there are, or within its shards."""
        routing = self.routing
        return self.sub_indexes if routing is None else routing.sub_indexes(question, self.parts)

    def query(self, text: str) -> Query:
        """Return ``text`` with its vector."""
        return Query(text, self.encoder.encode([text])[0])

    def _word_pieces(self, text: str) -> NDArray[np.float16]:
        """Return the vectors of a query's word pieces, float16 [l, d]."""
        return hold_tokens(self.encoder, self.settings.late_interaction).encode_tokens([text]).vectors

    def _held(self, encoder: Encoder) -> Encoder:
        """Return the encoder of the index's vectors, made of one of texts; it must be the one it was built with."""
        if self.settings.dimension:
            encoder = ProjectedEncoder.load(encoder, self.path / DENSE)
        if encoder.name != self.encoder_name:
            raise EncoderError(
                f"{self.path} was built with the encoder {self.encoder_name!r}, not {encoder.name!r}:"
                " open it with its own, or build it again"
            )
        return encoder

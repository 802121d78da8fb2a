"""The index of a corpus: evidence store, sub-indexes and knowledge graph, built and opened together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError, EncoderError, IndexFolderError
from ..retrievers.context import ContextFunction
from ..retrievers.dense import DenseIndex
from ..retrievers.encoder import load_encoder
from ..retrievers.entity import EntityIndex
from ..retrievers.fact_encoder import FactEncoder
from ..retrievers.facts import Facts
from ..retrievers.folder import check_files, new_folder, read_manifest
from ..retrievers.late_interaction import LATE, LateInteractionIndex, hold_tokens
from ..retrievers.lexical import LexicalIndex
from ..retrievers.masking import Masker
from ..retrievers.projection import ProjectedEncoder
from ..retrievers.protocols import Encoder, Progress, SubIndex
from ..retrievers.pruning import Sieve
from ..retrievers.records import Document, Query
from ..retrievers.store import FILE_NAME, EvidenceStore
from ..retrievers.terms import TermIndex
from ..retrievers.titles import TitleMatcher
from ..retrievers.vector_cache import DENSE
from .building import FACTS, GRAPH, LEXICAL, TERMS, BuildPlan, documents_of, graph_of
from .index_settings import IndexSettings, with_function
from .knowledge_graph import KnowledgeGraph


class Index:
    """An opened index; threads may share one.

    Args:
        path: the folder.
        encoder: in place of the one that the manifest names; must have its name.
        threads: for encoding; all cores when None.
        verify: hold every file against its hash first (about a second for each gigabyte).

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
        self, path: Path | str, encoder: Encoder | None = None, threads: int | None = None, verify: bool = True
    ) -> None:
        self.path = Path(path)
        self._threads = threads
        self._given = encoder
        self._lock = Lock()
        whole = False
        while not whole:
            self.manifest = read_manifest(self.path)
            try:
                self._read(verify)
                whole = read_manifest(self.path) == self.manifest  # else a build replaced it: these may be of two
            except IndexFolderError:
                if read_manifest(self.path) == self.manifest:
                    raise

    def _read(self, verify: bool) -> None:
        """Open every part."""
        if verify:
            check_files(self.path, self.manifest)
        self.settings = IndexSettings(**self.manifest["settings"])
        self.encoder_name = str(self.manifest["encoder"])
        if self._given is not None:
            self._held(self._given)
        self.store = EvidenceStore(self.path / FILE_NAME)
        titles, documents = self.store.columns()
        self.titles = TitleMatcher(titles, documents)
        self.lexical = LexicalIndex(self.path / LEXICAL)
        self.dense = DenseIndex(self.path / DENSE, self.settings.dense)
        self.entity = EntityIndex(titles, documents, self.titles)
        self.terms = TermIndex.load(self.path / TERMS)
        self.graph = KnowledgeGraph.load(self.path / GRAPH)
        self.facts = Facts.load(self.path / FACTS) if (self.path / FACTS).is_dir() else None
        self.sub_indexes: dict[str, SubIndex] = {index.name: index for index in (self.lexical, self.dense, self.entity)}
        self.late = (
            LateInteractionIndex(self.path / LATE, self._word_pieces) if self.settings.late_interaction else None
        )
        if self.late is not None:
            self.sub_indexes[self.late.name] = self.late
        sizes = {len(part) for part in (self.store, self.lexical, self.dense, self.terms, self.graph)}
        sizes |= {len(self.late)} if self.late is not None else set()
        if len(sizes) != 1 or (self.facts is not None and len(self.facts.entities) not in sizes):
            raise DamagedIndexError(f"the parts of {self.path} differ in length: build the index again")

    @classmethod
    def open(
        cls, path: Path | str, *, encoder: Encoder | None = None, threads: int | None = None, verify: bool = True
    ) -> Index:
        """Open an index: see the class."""
        return cls(path, encoder, threads, verify)

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

    def __reduce__(self) -> tuple[Callable[..., Index], tuple[object, ...]]:
        """Pickle as the folder's path: whoever unpickles opens it."""
        return type(self), (self.path.resolve(), self._given, self._threads, False)

    def __deepcopy__(self, memo: dict[int, object]) -> Index:
        """Return itself: an index does not change."""
        return self

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.store)

    @property
    def dropped(self) -> list[dict[str, str]]:
        """The passages that were left out because they repeat another: see :meth:`Sieve.load`."""
        return Sieve.load(self.path) if self.settings.drop_duplicates else []

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

"""The index of a corpus: evidence store, sub-indexes and knowledge graph, built and opened together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from ..errors import CorpusError, DamagedIndexError, EncoderError, IndexFolderError
from ..retrievers.compiler import CorpusCompiler, StageRecord, token_counter
from ..retrievers.context import CONTEXTS, ContextFunction, ContextName, in_context
from ..retrievers.corpus.reading import read_corpus
from ..retrievers.dense import KINDS, DenseIndex, DenseKind
from ..retrievers.encoder import embedding_text, load_encoder
from ..retrievers.entity import EntityIndex
from ..retrievers.fact_embedding import EmbeddingSettings
from ..retrievers.fact_encoder import FactEncoder
from ..retrievers.facts import Facts, entity_documents, graph_file
from ..retrievers.folder import check_files, new_folder, publish, read_manifest
from ..retrievers.lexical import LexicalIndex
from ..retrievers.masking import Masker, kinds_of
from ..retrievers.protocols import Encoder, Progress, SubIndex
from ..retrievers.records import Document, Query
from ..retrievers.store import FILE_NAME, EvidenceStore, StoreWriter
from ..retrievers.terms import TermIndex
from ..retrievers.titles import TitleMatcher
from ..retrievers.vector_cache import DENSE, KEYS, VectorCache
from .fact_links import link_facts
from .knowledge_graph import KnowledgeGraph

_LEXICAL = "lexical"
_TERMS = "terms.safetensors"
_GRAPH = "graph"
_FACTS = "facts"
_CHUNK_WORDS = 120


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a corpus is indexed.

    Attributes:
        encoder: ``minilm`` (built in), a folder, or a hub name.
        dense: ``exact``, ``hnsw`` or ``ivf``.
        chunk_words: words to a passage, for documents that do not come as passages.
        chunk_tokens: tokens of the encoder to a passage, special ones excluded; in place of ``chunk_words``.
        context: what is put before a passage's text for embedding and lexical indexing: ``none``, ``title``,
            ``neighbours`` or ``corpus``; ``function`` where :meth:`Index.build` was given one.
        mask: kinds of private data that are masked before anything is stored, ``all`` for every kind.
    """

    encoder: str = "minilm"
    dense: DenseKind = "exact"
    chunk_words: int = _CHUNK_WORDS
    chunk_tokens: int | None = None
    context: ContextName = "none"
    mask: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.dense not in KINDS:
            raise IndexFolderError(f"there is no dense index {self.dense!r}: choose one of {', '.join(KINDS)}")
        if self.chunk_words < 1:
            raise IndexFolderError(f"chunk_words must be 1 or more, not {self.chunk_words}")
        if self.chunk_tokens is not None and self.chunk_tokens < 1:
            raise IndexFolderError(f"chunk_tokens must be 1 or more, not {self.chunk_tokens}")
        if self.chunk_tokens is not None and self.chunk_words != _CHUNK_WORDS:
            raise IndexFolderError(
                f"chunk_words is {self.chunk_words} and chunk_tokens {self.chunk_tokens}: a passage has one budget"
            )
        if self.context not in CONTEXTS:
            raise IndexFolderError(f"there is no context {self.context!r}: choose one of {', '.join(CONTEXTS)}")
        object.__setattr__(self, "mask", kinds_of(self.mask))  # a manifest has a list, and "all" is every kind


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
            self._hold(self._given)
        self.store = EvidenceStore(self.path / FILE_NAME)
        titles, documents = self.store.columns()
        self.titles = TitleMatcher(titles, documents)
        self.lexical = LexicalIndex(self.path / _LEXICAL)
        self.dense = DenseIndex(self.path / DENSE, self.settings.dense)
        self.entity = EntityIndex(titles, documents, self.titles)
        self.terms = TermIndex.load(self.path / _TERMS)
        self.graph = KnowledgeGraph.load(self.path / _GRAPH)
        self.facts = Facts.load(self.path / _FACTS) if (self.path / _FACTS).is_dir() else None
        self.sub_indexes: dict[str, SubIndex] = {index.name: index for index in (self.lexical, self.dense, self.entity)}
        sizes = {len(part) for part in (self.store, self.lexical, self.dense, self.terms, self.graph)}
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
        settings = _with_function(settings or IndexSettings(), context)
        masker = Masker(settings.mask, mask_patterns)
        items = [corpus] if isinstance(corpus, str | Path) else corpus
        place = Path(out).resolve()  # a link stays, what it points to is replaced
        with new_folder(place) as staging:
            hear = warn or (lambda message: None)
            triples = _graph_file(items)
            if triples is not None:
                if masker or settings.context != "none":
                    raise IndexFolderError("a knowledge graph is indexed as it is: leave out masking and context")
                build = _Build(staging, place, settings, CorpusCompiler(masker), progress)
                build.write_facts(Facts.read(triples, hear), triples)
                return cls(out, None, threads, verify=False)
            counter = None
            if settings.chunk_tokens is not None:
                encoder = load_encoder(settings.encoder, threads) if encoder is None else encoder
                counter = token_counter(encoder, settings.chunk_tokens, hear)
            compiler = CorpusCompiler(
                masker, settings.chunk_words, settings.chunk_tokens, counter, context or settings.context, hear
            )
            build = _Build(staging, place, settings, compiler, progress)
            build.write_store(_documents(items, hear))
            build.write_parts(load_encoder(settings.encoder, threads) if encoder is None else encoder)
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
    def encoder(self) -> Encoder:
        """The encoder that the vectors come from; loaded when first used."""
        with self._lock:
            return self._loaded

    @cached_property
    def _loaded(self) -> Encoder:
        if self._given is not None:
            return self._given
        if self.facts is not None:
            known = FactEncoder.load(self.path / _FACTS, self.facts)
            self._hold(known)
            return known
        encoder = load_encoder(self.settings.encoder, self._threads)
        self._hold(encoder)
        return encoder

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

    def _hold(self, encoder: Encoder) -> None:
        if encoder.name != self.encoder_name:
            raise EncoderError(
                f"{self.path} was built with the encoder {self.encoder_name!r}, not {encoder.name!r}:"
                " open it with its own, or build it again"
            )


class _Build:
    """An index in the making."""

    def __init__(
        self, staging: Path, place: Path, settings: IndexSettings, compiler: CorpusCompiler, progress: Progress | None
    ) -> None:
        self._staging = staging
        self._place = place
        self._settings = settings
        self._compiler = compiler
        self._progress = progress
        self._passages = compiler.passages

    def write_store(self, documents: Iterable[Document]) -> None:
        """Compile the documents and write the evidence store."""
        store = StoreWriter(self._staging / FILE_NAME)
        try:
            for count, (document, passages) in enumerate(self._compiler.compile(documents), start=1):
                store.add(document, passages)
                if self._progress is not None and count % 1000 == 0:
                    self._progress("reading documents", count, 0)
        except BaseException:
            store.abandon()
            raise
        store.close()
        if not self._passages:
            raise CorpusError("the corpus holds no text: there is nothing to index")

    def write_facts(self, facts: Facts, source: Path) -> None:
        """Build the index of a knowledge graph, and publish: entities are its passages, their facts its links."""
        self.write_store(entity_documents(facts, source.name))
        titles = [passage.title for passage in self._passages]
        texts = [passage.text for passage in self._passages]
        LexicalIndex.build(self._staging / _LEXICAL, zip(titles, texts, strict=True), len(texts), self._progress)
        terms = TermIndex.build(texts, self._progress)
        terms.save(self._staging / _TERMS)
        graph = KnowledgeGraph(link_facts(facts), len(texts))
        graph.save(self._staging / _GRAPH)
        facts.save(self._staging / _FACTS)
        encoder = FactEncoder.learn(facts, EmbeddingSettings(), self._progress)
        encoder.save(self._staging / _FACTS)
        DenseIndex.build(self._staging / DENSE, encoder.entity_vectors(), self._settings.dense)
        publish(self._staging, self._place, self._description(encoder, terms, graph))

    def write_parts(self, encoder: Encoder) -> None:
        """Build everything that can be built from the store, and publish."""
        titles = [passage.title for passage in self._passages]
        texts = [passage.text for passage in self._passages]
        documents = [passage.document_id for passage in self._passages]
        both = [f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)]
        # The context is for finding a passage; what it says, and whom it mentions, is its own text.
        found_by = [in_context(line, text) for line, text in zip(self._compiler.lines(), texts, strict=True)]
        LexicalIndex.build(self._staging / _LEXICAL, zip(titles, found_by, strict=True), len(texts), self._progress)
        terms = TermIndex.build(both, self._progress)
        terms.save(self._staging / _TERMS)
        matcher = TitleMatcher(titles, documents)
        graph = KnowledgeGraph.build(titles, texts, documents, terms, matcher, self._progress)
        graph.save(self._staging / _GRAPH)
        cache = VectorCache(self._place, encoder)
        embedded = [embedding_text(title, text) for title, text in zip(titles, found_by, strict=True)]
        keys, vectors = cache.encode(embedded, self._progress)
        DenseIndex.build(self._staging / DENSE, vectors, self._settings.dense)
        np.save(self._staging / DENSE / KEYS, keys, allow_pickle=False)
        publish(self._staging, self._place, self._description(encoder, terms, graph))
        cache.clear()

    def _description(self, encoder: Encoder, terms: TermIndex, graph: KnowledgeGraph) -> Mapping[str, object]:
        try:
            before = int(read_manifest(self._place)["generation"])
        except (IndexFolderError, KeyError, TypeError, ValueError):
            before = 0
        counts = {"passages": len(terms), "terms": len(terms.vocabulary), "links": len(graph.edges)}
        indexed = StageRecord("index", {"encoder": encoder.name, "dense": self._settings.dense}, counts)
        return {
            "generation": before + 1,
            "settings": asdict(self._settings),
            "compiler": self._compiler.records(indexed),
            "encoder": encoder.name,
            "dimension": encoder.dimension,
            "documents": self._compiler.documents,
            "passages": len(terms),
        }


def _with_function(settings: IndexSettings, context: ContextFunction | None) -> IndexSettings:
    """Return the settings, saying that a user's function gives the context where one does."""
    if context is not None:
        return replace(settings, context="function")
    if settings.context == "function":
        raise IndexFolderError("the context is a function, and none was given: give it to build again, or name another")
    return settings


def _graph_file(items: object) -> Path | None:
    """Return the ``graph.txt`` that a corpus is, if it is one."""
    if not isinstance(items, list | tuple) or not all(isinstance(item, Path | str) for item in items):
        return None  # documents, or what can be walked through once only
    return graph_file([Path(item) for item in items])


def _documents(corpus: Iterable[Path | str] | Iterable[Document], warn: Callable[[str], None]) -> Iterable[Document]:
    """Read paths; pass documents through."""
    items = iter(corpus)
    first = next(items, None)
    if first is None:
        raise CorpusError("no corpus given: name at least one file or folder")
    if isinstance(first, Document):
        yield first
        for item in items:
            if not isinstance(item, Document):
                raise CorpusError(f"a corpus is paths or documents, not both: {item!r}")
            yield item
        return
    paths = [Path(first)]
    for item in items:
        if isinstance(item, Document):
            raise CorpusError(f"a corpus is paths or documents, not both: document {item.id!r}")
        paths.append(Path(item))
    yield from read_corpus(paths, warn)

"""The index of a corpus: evidence store, sub-indexes and knowledge graph, built and opened together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import CorpusError, EncoderError, IndexFolderError
from ..retrievers.chunking import chunk
from ..retrievers.corpus.reading import read_corpus
from ..retrievers.dense import KINDS, DenseIndex, DenseKind
from ..retrievers.encoder import embedding_text, load_encoder
from ..retrievers.fact_embedding import EmbeddingSettings
from ..retrievers.fact_encoder import FactEncoder
from ..retrievers.facts import Facts, entity_documents, graph_file
from ..retrievers.folder import new_folder, publish, read_manifest
from ..retrievers.lexical import LexicalIndex
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document, Passage, Query
from ..retrievers.store import FILE_NAME, StoreWriter
from ..retrievers.terms import TermIndex
from ..retrievers.titles import TitleMatcher
from ..retrievers.vector_cache import DENSE, KEYS, VectorCache
from .fact_links import link_facts
from .knowledge_graph import KnowledgeGraph
from .open_folder import OpenFolder
from .parts import FACTS, GRAPH, LEXICAL, TERMS, BaseParts
from .updates import KnownVectors, UpdateReport, addition, deletion, report


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a corpus is indexed.

    Attributes:
        encoder: ``minilm`` (built in), a folder, or a hub name.
        dense: ``exact``, ``hnsw`` or ``ivf``.
        chunk_words: words to a passage, for documents that do not come as passages.
    """

    encoder: str = "minilm"
    dense: DenseKind = "exact"
    chunk_words: int = 120

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.dense not in KINDS:
            raise IndexFolderError(f"there is no dense index {self.dense!r}: choose one of {', '.join(KINDS)}")
        if self.chunk_words < 1:
            raise IndexFolderError(f"chunk_words must be 1 or more, not {self.chunk_words}")


class Index(OpenFolder):
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
        self._threads = threads
        self._given = encoder
        self._lock = Lock()
        super().__init__(path, verify)

    def _accept(self, manifest: Mapping[str, Any]) -> DenseKind:
        self.settings = IndexSettings(**manifest["settings"])
        self.encoder_name = str(manifest["encoder"])
        if self._given is not None:
            self._hold(self._given)
        return self.settings.dense

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

        Raises:
            CorpusError: when the corpus cannot be read, or holds no text.
            IndexFolderError: when ``out`` is something else than an index.
            EncoderError: when the encoder cannot be loaded, or a vector is not finite.
        """
        settings = settings or IndexSettings()
        items = [corpus] if isinstance(corpus, str | Path) else corpus
        place = Path(out).resolve()  # a link stays, what it points to is replaced
        with new_folder(place) as staging:
            build = _Build(staging, place, settings, progress)
            hear = warn or (lambda message: None)
            triples = _graph_file(items)
            if triples is not None:
                build.write_facts(Facts.read(triples, hear), triples)
                return cls(out, None, threads, verify=False)
            build.write_store(_documents(items, hear))
            build.write_parts(load_encoder(settings.encoder, threads) if encoder is None else encoder)
        return cls(out, encoder, threads, verify=False)

    def add(
        self, documents: Iterable[Document], replace: bool = False, *, progress: Progress | None = None
    ) -> UpdateReport:
        """Add documents; they are searched from the next query on, and kept whatever happens.

        All of them are added or none is. Encoding is what takes time: many at once take less than one by one.

        Args:
            documents: what to add.
            replace: let a document take the place of one of its id.
            progress: hears of encoding and linking.

        Raises:
            UpdateError: when an id is there already and not to be replaced, is given twice, or the index is a
                knowledge graph, whose entities all belong together.
            CorpusError: when a document cannot be stored.
            EncoderError: when the index's encoder cannot be loaded, or a vector is not finite.
            IndexFolderError: when the journal cannot be written; DamagedIndexError when it is damaged.
        """
        started = perf_counter()
        with self._changing() as show:
            done = addition(self._live, list(documents), replace, self.settings.chunk_words, self.encoder, progress)
            show()
            return report(done, self._live.snapshot, started)

    def delete(self, document_ids: Iterable[str]) -> UpdateReport:
        """Delete documents; they are not found from the next query on.

        Raises:
            UpdateError: when one is not there (then none is deleted), or the index is a knowledge graph.
            IndexFolderError: when the journal cannot be written; DamagedIndexError when it is damaged.
        """
        started = perf_counter()
        with self._changing() as show:
            done = deletion(self._live, document_ids)
            show()
            return report(done, self._live.snapshot, started)

    def compact(self, *, progress: Progress | None = None) -> bool:
        """Build a new base from all documents, without a journal; returns whether there was anything to fold in.

        The result is that of building an index from the same documents; vectors are taken over. Searches go on in
        the old index until the new one is whole, and a kill leaves one of the two. Changes by others wait.

        Raises:
            CorpusError: when every document was deleted.
            UpdateError, IndexFolderError, DamagedIndexError, EncoderError: as for :meth:`add`.
        """
        with self._changing():
            parts = self._live.parts
            if isinstance(parts, BaseParts):
                return False
            store = parts.store
            if not len(store):
                raise CorpusError(f"every document of {self.path} was deleted: there is nothing to build; add some")
            documents = (store.document(identifier) for identifier in store.document_ids())
            known = KnownVectors(self.encoder, parts, self._live.snapshot)
            Index.build(documents, self.path, settings=self.settings, encoder=known, progress=progress)
            self._follow()
        return True

    def __reduce__(self) -> tuple[Callable[..., Index], tuple[object, ...]]:
        """Pickle as the folder's path: whoever unpickles opens it."""
        return type(self), (self.path.resolve(), self._given, self._threads, False)

    def __deepcopy__(self, memo: dict[int, object]) -> Index:
        """Return itself: threads share an index."""
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
            known = FactEncoder.load(self.path / FACTS, self.facts)
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

    def __init__(self, staging: Path, place: Path, settings: IndexSettings, progress: Progress | None) -> None:
        self._staging = staging
        self._place = place
        self._settings = settings
        self._progress = progress
        self._passages: list[Passage] = []
        self._documents = 0

    def write_store(self, documents: Iterable[Document]) -> None:
        """Chunk the documents and write the evidence store."""
        store = StoreWriter(self._staging / FILE_NAME)
        try:
            for document in documents:
                passages = chunk(document, self._settings.chunk_words)
                store.add(document, passages)
                self._passages += passages
                self._documents += 1
                if self._progress is not None and self._documents % 1000 == 0:
                    self._progress("reading documents", self._documents, 0)
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
        LexicalIndex.build(self._staging / LEXICAL, zip(titles, texts, strict=True), len(texts), self._progress)
        TermIndex.build(texts, self._progress).save(self._staging / TERMS)
        KnowledgeGraph(link_facts(facts), len(texts)).save(self._staging / GRAPH)
        facts.save(self._staging / FACTS)
        encoder = FactEncoder.learn(facts, EmbeddingSettings(), self._progress)
        encoder.save(self._staging / FACTS)
        DenseIndex.build(self._staging / DENSE, encoder.entity_vectors(), self._settings.dense)
        publish(self._staging, self._place, self._description(encoder, len(texts)))

    def write_parts(self, encoder: Encoder) -> None:
        """Build everything that can be built from the store, and publish."""
        titles = [passage.title for passage in self._passages]
        texts = [passage.text for passage in self._passages]
        documents = [passage.document_id for passage in self._passages]
        both = [f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)]
        LexicalIndex.build(self._staging / LEXICAL, zip(titles, texts, strict=True), len(texts), self._progress)
        terms = TermIndex.build(both, self._progress)
        terms.save(self._staging / TERMS)
        matcher = TitleMatcher(titles, documents)
        graph = KnowledgeGraph.build(titles, texts, documents, terms, matcher, self._progress)
        graph.save(self._staging / GRAPH)
        cache = VectorCache(self._place, encoder)
        embedded = [embedding_text(title, text) for title, text in zip(titles, texts, strict=True)]
        keys, vectors = cache.encode(embedded, self._progress)
        DenseIndex.build(self._staging / DENSE, vectors, self._settings.dense)
        np.save(self._staging / DENSE / KEYS, keys, allow_pickle=False)
        publish(self._staging, self._place, self._description(encoder, len(texts)))
        cache.clear()

    def _description(self, encoder: Encoder, passages: int) -> Mapping[str, object]:
        try:
            before = int(read_manifest(self._place)["generation"])
        except (IndexFolderError, KeyError, TypeError, ValueError):
            before = 0
        return {
            "generation": before + 1,
            "settings": asdict(self._settings),
            "encoder": encoder.name,
            "dimension": encoder.dimension,
            "documents": self._documents,
            "passages": passages,
        }


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

"""The index of a corpus: evidence store, sub-indexes and knowledge graph, built and opened together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..errors import CorpusError, DamagedIndexError, EncoderError, IndexFolderError
from ..retrievers.chunking import chunk
from ..retrievers.corpus.reading import read_corpus
from ..retrievers.dense import COMPRESSED, KINDS, DenseIndex, DenseKind
from ..retrievers.encoder import embedding_text, load_encoder
from ..retrievers.entity import EntityIndex
from ..retrievers.fact_embedding import EmbeddingSettings
from ..retrievers.fact_encoder import FactEncoder
from ..retrievers.facts import Facts, entity_documents, graph_file
from ..retrievers.folder import check_files, new_folder, publish, read_manifest
from ..retrievers.late_interaction import LATE, LateInteractionIndex, hold_tokens
from ..retrievers.lexical import LexicalIndex
from ..retrievers.projection import ProjectedEncoder, learn_projection
from ..retrievers.protocols import Encoder, Progress, SubIndex
from ..retrievers.pruning import Sieve
from ..retrievers.records import Document, Query
from ..retrievers.residual_codes import BITS
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


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a corpus is indexed.

    Attributes:
        encoder: ``minilm`` (built in), a folder, or a hub name.
        dense: ``exact``, ``hnsw`` or ``ivf``.
        chunk_words: words to a passage, for documents that do not come as passages.
        late_interaction: bits to a number of the word pieces' codes (1, 2 or 4); 0 for no late-interaction sub-index.
        dimension: numbers to a vector, fewer than the encoder's: a map is learned from the corpus; 0 for the encoder's.
        drop_duplicates: leave out passages that repeat another (:class:`Sieve`); ``duplicates.json`` of the
            index says which, and what is found in their place.
    """

    encoder: str = "minilm"
    dense: DenseKind = "exact"
    chunk_words: int = 120
    late_interaction: int = 0
    dimension: int = 0
    drop_duplicates: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.dense not in KINDS:
            raise IndexFolderError(f"there is no dense index {self.dense!r}: choose one of {', '.join(KINDS)}")
        if self.chunk_words < 1:
            raise IndexFolderError(f"chunk_words must be 1 or more, not {self.chunk_words}")
        if self.dimension < 0:
            raise IndexFolderError(f"dimension is 1 or more, or 0 for the encoder's own, not {self.dimension}")
        if self.late_interaction not in (0, *BITS):
            raise IndexFolderError(
                f"late_interaction is {', '.join(map(str, BITS))} bits, or 0 for none, not {self.late_interaction}"
            )


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
        self.lexical = LexicalIndex(self.path / _LEXICAL)
        self.dense = DenseIndex(self.path / DENSE, self.settings.dense)
        self.entity = EntityIndex(titles, documents, self.titles)
        self.terms = TermIndex.load(self.path / _TERMS)
        self.graph = KnowledgeGraph.load(self.path / _GRAPH)
        self.facts = Facts.load(self.path / _FACTS) if (self.path / _FACTS).is_dir() else None
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
                if settings.late_interaction or settings.dimension:
                    raise EncoderError(
                        "the encoder of a knowledge graph is learned from it: no late interaction, no other dimension"
                    )
                build.write_facts(Facts.read(triples, hear), triples)
                return cls(out, None, threads, verify=False)
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
            return self._held(FactEncoder.load(self.path / _FACTS, self.facts))
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


class _Build:
    """An index in the making."""

    def __init__(self, staging: Path, place: Path, settings: IndexSettings, progress: Progress | None) -> None:
        self._staging = staging
        self._place = place
        self._settings = settings
        self._progress = progress
        self._titles: list[str] = []
        self._texts: list[str] = []
        self._document_ids: list[str] = []
        self._documents = 0
        self._sieve = Sieve() if settings.drop_duplicates else None

    def write_store(self, documents: Iterable[Document]) -> None:
        """Chunk the documents and write the evidence store."""
        store = StoreWriter(self._staging / FILE_NAME)
        try:
            for document in documents:
                passages = chunk(document, self._settings.chunk_words)
                if self._sieve is not None:
                    passages = self._sieve.pass_through(passages)
                store.add(document, passages)
                self._titles += [passage.title for passage in passages]
                self._texts += [passage.text for passage in passages]
                self._document_ids += [passage.document_id for passage in passages]
                self._documents += 1
                if self._progress is not None and self._documents % 1000 == 0:
                    self._progress("reading documents", self._documents, 0)
        except BaseException:
            store.abandon()
            raise
        store.close()
        if self._sieve is not None:
            self._sieve.save(self._staging)
        if not self._texts:
            raise CorpusError("the corpus holds no text: there is nothing to index")

    def write_facts(self, facts: Facts, source: Path) -> None:
        """Build the index of a knowledge graph, and publish: entities are its passages, their facts its links."""
        self.write_store(entity_documents(facts, source.name))
        titles, texts = self._titles, self._texts
        LexicalIndex.build(self._staging / _LEXICAL, zip(titles, texts, strict=True), len(texts), self._progress)
        TermIndex.build(texts, self._progress).save(self._staging / _TERMS)
        KnowledgeGraph(link_facts(facts), len(texts)).save(self._staging / _GRAPH)
        facts.save(self._staging / _FACTS)
        encoder = FactEncoder.learn(facts, EmbeddingSettings(), self._progress)
        encoder.save(self._staging / _FACTS)
        DenseIndex.build(self._staging / DENSE, encoder.entity_vectors(), self._settings.dense)
        publish(self._staging, self._place, self._description(encoder, len(texts)))

    def write_parts(self, encoder: Encoder) -> None:
        """Build everything that can be built from the store, and publish."""
        late = self._settings.late_interaction
        pieces = hold_tokens(encoder, late) if late else None
        titles, texts, documents = self._titles, self._texts, self._document_ids
        LexicalIndex.build(self._staging / _LEXICAL, zip(titles, texts, strict=True), len(texts), self._progress)
        # Each part is written and let go of before the next is begun: a million passages take gigabytes in every one.
        both = [f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)]
        terms = TermIndex.build(both, self._progress)
        del both
        terms.save(self._staging / _TERMS)
        KnowledgeGraph.build(titles, texts, documents, terms, None, self._progress).save(self._staging / _GRAPH)
        del terms
        if self._progress is not None:
            self._progress("writing the links", len(texts), len(texts))
        cache = VectorCache(self._place, encoder)
        embedded = [embedding_text(title, text) for title, text in zip(titles, texts, strict=True)]
        keys, vectors = cache.encode(embedded, self._progress)
        if self._settings.dimension:
            encoder = ProjectedEncoder(encoder, learn_projection(vectors, self._settings.dimension))
            vectors = encoder.shortened(vectors)
        DenseIndex.build(self._staging / DENSE, vectors, self._settings.dense)
        if self._progress is not None:
            self._progress("writing the dense memory", len(texts), len(texts))
        if isinstance(encoder, ProjectedEncoder):
            encoder.save(self._staging / DENSE)
        elif self._settings.dense not in COMPRESSED:  # of codes nothing can be used again, nor of shorter vectors
            np.save(self._staging / DENSE / KEYS, keys, allow_pickle=False)
        if pieces is not None:
            LateInteractionIndex.build(self._staging / LATE, embedded, pieces, late, self._progress)
        publish(self._staging, self._place, self._description(encoder, len(texts)))
        cache.clear()

    def _description(self, encoder: Encoder, passages: int) -> Mapping[str, object]:
        try:
            before = int(read_manifest(self._place)["generation"])
        except (IndexFolderError, KeyError, TypeError, ValueError):
            before = 0
        return {
            "generation": before + 1,
            "settings": _said(self._settings),
            "encoder": encoder.name,
            "dimension": encoder.dimension,
            "documents": self._documents,
            "passages": passages,
        }


def _said(settings: IndexSettings) -> dict[str, object]:
    """Return what a manifest says of the settings: later ones only where chosen, so that older indexes stay equal."""
    default = asdict(IndexSettings())
    first = ("encoder", "dense", "chunk_words")
    return {name: value for name, value in asdict(settings).items() if name in first or value != default[name]}


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

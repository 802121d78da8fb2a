"""Building an index: the compiled corpus goes into every part, and the folder becomes the one segment of an index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CorpusError, DamagedIndexError, EncoderError, IndexFolderError
from ..graph._facts import link_facts
from ..graph._knowledge_graph import KnowledgeGraph
from ..retrievers._atomic_file import storing
from ..retrievers._folder import SEGMENTS, SegmentEntry, commit, entries, read_manifest, remove_garbage, seal
from ..retrievers._garbage import remove
from ..retrievers.compiling._compiler import CorpusCompiler, StageRecord, window_of
from ..retrievers.compiling._context import ContextFunction, ContextName, in_context
from ..retrievers.compiling._masking import Masker
from ..retrievers.compiling._pruning import DuplicateFilter, save_dropped
from ..retrievers.compiling._window import text_with_lead
from ..retrievers.corpus._known_files import KnownFiles
from ..retrievers.knowledge._fact_encoder import EmbeddingSettings, FactEncoder
from ..retrievers.knowledge._facts import Facts, entity_documents, graph_file
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document
from ..retrievers.vectors._dense import COMPRESSED
from ..retrievers.vectors._encoder import ProjectedEncoder, learn_projection
from ..retrievers.vectors._late_interaction import PIECES, PieceIndex
from ..retrievers.vectors._piece_codes import PieceEncoder
from ..retrievers.vectors._vector_cache import DENSE, KEYS, VectorCache, clear_vectors, keys_of
from ..retrievers.words._lexical import LexicalIndex
from ..retrievers.words._terms import TermIndex
from ._roots import Roots
from ._segment_rows import SegmentRows, new_rows
from ._segments import FACTS, GRAPH, LEXICAL, TERMS
from .settings import IndexSettings

if TYPE_CHECKING:
    from ..retrievers.corpus._loading import CorpusReader


_OF_FACTS = ("dense", "store")
"""Settings that a knowledge graph has too."""


class Build:
    """An index in the making.

    Args:
        folder: of the segment, which is there.
        rows: where its evidence and its vectors go.
        place: of the index.
        settings: how it is indexed.
        compiler: makes passages of documents.
        progress: called with (stage, done, total).
    """

    def __init__(
        self,
        folder: Path,
        rows: SegmentRows,
        place: Path,
        settings: IndexSettings,
        compiler: CorpusCompiler,
        progress: Progress | None,
    ) -> None:
        self._folder = folder
        self._place = place
        self._settings = settings
        self._compiler = compiler
        self._progress = progress
        self._rows = rows

    def write_store(self, documents: Iterable[Document]) -> None:
        """Compile the documents and write the evidence store."""
        store = self._rows.writer()
        try:
            for document, passages in self._compiler.compile(documents):
                store.add(document, passages)
        except BaseException:
            store.abandon()
            raise
        store.close()
        duplicates = self._compiler.duplicates
        if duplicates is not None:
            save_dropped(self._folder, duplicates.dropped, duplicates.marks)
        if not self._compiler.passages:
            raise CorpusError("the corpus holds no text: there is nothing to index")

    def write_facts(self, facts: Facts, source: Path) -> Mapping[str, object]:
        """Write a knowledge graph: entities are passages, facts links; returns what the manifest says."""
        self.write_store(entity_documents(facts, source.name))
        titles, texts, _ = self._columns()
        LexicalIndex.build(self._folder / LEXICAL, zip(titles, texts, strict=True), len(texts), self._progress)
        terms = TermIndex.build(texts, self._progress)
        terms.save(self._folder / TERMS)
        graph = KnowledgeGraph(link_facts(facts), len(texts))
        graph.save(self._folder / GRAPH)
        facts.save(self._folder / FACTS)
        encoder = FactEncoder.learn(facts, EmbeddingSettings(), self._progress)
        encoder.save(self._folder / FACTS)
        self._rows.write_vectors(encoder.entity_vectors(), self._settings.dense)
        counts = {"passages": len(texts), "terms": len(terms.vocabulary), "links": len(graph.edges)}
        return self._description(encoder, counts)

    def write_parts(self, encoder: Encoder) -> Mapping[str, object]:
        """Build everything that can be built from the store; returns what the manifest says.

        Each part is written and released before the next is begun: a million passages take gigabytes in every one.
        """
        titles, texts, documents = self._columns()
        passages, lines = self._compiler.passages, self._compiler.lines()
        # The context is for finding a passage; what it says, and whom it mentions, is its own text.
        found_by = [in_context(line, text_with_lead(p)) for line, p in zip(lines, passages, strict=True)]
        LexicalIndex.build(self._folder / LEXICAL, zip(titles, found_by, strict=True), len(texts), self._progress)
        del found_by
        counts = self._write_links(titles, texts, documents)
        with_pieces = self._settings.late_interaction and isinstance(encoder, PieceEncoder)
        cache = VectorCache(self._place, encoder, with_pieces)
        embedded = self._compiler.window.embedded(passages, lines)
        keys, vectors, pieces = cache.encode(embedded, self._progress)
        if self._settings.dimension and not isinstance(encoder, ProjectedEncoder):
            encoder = ProjectedEncoder(encoder, learn_projection(vectors, self._settings.dimension))
            keys, vectors = keys_of(encoder.name, embedded), encoder.shortened(vectors)
        self._rows.write_vectors(vectors, self._settings.dense)
        self._say("writing the dense index", len(texts))
        if isinstance(encoder, ProjectedEncoder):
            encoder.save(self._folder / DENSE)
        if self._settings.dense not in COMPRESSED:  # of codes nothing can be used again
            np.save(self._folder / DENSE / KEYS, keys, allow_pickle=False)
        if pieces is not None:
            PieceIndex.write(self._folder / PIECES, pieces)
        return self._description(encoder, counts)

    def _columns(self) -> tuple[list[str], list[str], list[str]]:
        """Return title, text and document id of every passage."""
        passages = self._compiler.passages
        return [p.title for p in passages], [p.text for p in passages], [p.document_id for p in passages]

    def _write_links(self, titles: list[str], texts: list[str], documents: list[str]) -> dict[str, int]:
        """Write terms and knowledge graph; returns how many there are."""
        both = [f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)]
        terms = TermIndex.build(both, self._progress)
        del both
        terms.save(self._folder / TERMS)
        graph = KnowledgeGraph.build(titles, texts, documents, terms, None, self._progress)
        graph.save(self._folder / GRAPH)
        self._say("writing the links", len(texts))
        return {"passages": len(texts), "terms": len(terms.vocabulary), "links": len(graph.edges)}

    def _say(self, stage: str, passages: int) -> None:
        if self._progress is not None:
            self._progress(stage, passages, passages)

    def _description(self, encoder: Encoder, counts: dict[str, int]) -> Mapping[str, object]:
        indexed = StageRecord("index", {"encoder": encoder.name, "dense": self._settings.dense}, counts)
        return {
            "settings": self._settings.to_json(),
            "compiler": self._compiler.records(indexed),
            "encoder": encoder.name,
            "dimension": encoder.dimension,
            "documents": self._compiler.documents,
            "passages": counts["passages"],
            "serials": counts["passages"],
        }


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What an index is built with.

    Attributes:
        settings: how.
        masker: what is masked.
        context: the line before a passage's text, by name or by a user's function.
        encoder: instead of the one that ``settings`` names; where vectors are to be shorter it may bring its map.
        threads: for encoding; all cores when None.
    """

    settings: IndexSettings
    masker: Masker
    context: ContextName | ContextFunction
    encoder: Encoder | None
    threads: int | None

    def write(
        self,
        corpus: Path | Iterable[Document],
        place: Path,
        warn: Callable[[str], None],
        progress: Progress | None,
        about: Mapping[str, Any],
    ) -> None:
        """Write a whole index at ``place``, whose lock is held, and commit it.

        Args:
            corpus: documents, or the ``graph.txt`` of a knowledge graph.
            place: of the index; what is there is searched until the new one is whole.
            warn: called with what was left out or repaired.
            progress: called with (stage, done, total).
            about: what the manifest says of the corpus.

        Raises:
            CorpusError: when the corpus holds no text.
            IndexFolderError: when a knowledge graph is to be masked or put in context.
            EncoderError: when the encoder cannot be loaded, or other vectors are wanted than a graph's own.
            StorageError: when the disk is full or cannot be written.
        """
        generation = _clean(place)
        taken = [int(path.name[1:7]) for path in (place / SEGMENTS).glob("s[0-9]*") if path.name[1:7].isdecimal()]
        number = max([generation, *taken]) + 1
        folder = place / SEGMENTS / f"s{number:06d}"
        with storing(place):
            folder.mkdir()
            try:
                rows = new_rows(folder, self.settings.store)
                if isinstance(corpus, Path):
                    description = self._facts(corpus, folder, rows, place, warn, progress)
                else:
                    description = self._texts(corpus, folder, rows, place, warn, progress)
                digest = seal(folder, {"dense": self.settings.dense, **rows.about()})
            except BaseException:
                remove(folder)
                raise
        entry = SegmentEntry(folder.name, digest, int(str(description["passages"])))
        commit(place, {**about, **description, "generation": number}, [entry])
        remove_garbage(place, [entry])
        clear_vectors(place)

    def _facts(
        self,
        triples: Path,
        folder: Path,
        rows: SegmentRows,
        place: Path,
        warn: Callable[[str], None],
        progress: Progress | None,
    ) -> Mapping[str, object]:
        if self.masker or self.context != "none":
            raise IndexFolderError("a knowledge graph is indexed as it is: leave out masking and context")
        if self.encoder is not None:
            raise EncoderError("the encoder of a knowledge graph is learned from it: leave out encoder and device")
        if self.settings.dimension:
            raise EncoderError("the encoder of a knowledge graph is learned from it: no other dimension")
        self._check_of_facts()
        build = Build(folder, rows, place, self.settings, CorpusCompiler(self.masker), progress)
        return build.write_facts(Facts.read(triples, warn), triples)

    def _check_of_facts(self) -> None:
        """Raise where a setting is chosen that says how texts are indexed: a knowledge graph has none."""
        default = IndexSettings()
        chosen = [
            field.name
            for field in fields(IndexSettings)
            if field.name not in _OF_FACTS and getattr(self.settings, field.name) != getattr(default, field.name)
        ]
        if chosen:
            raise IndexFolderError(f"a knowledge graph has no text to apply {', '.join(chosen)} to: leave it out")

    def _texts(
        self,
        documents: Iterable[Document],
        folder: Path,
        rows: SegmentRows,
        place: Path,
        warn: Callable[[str], None],
        progress: Progress | None,
    ) -> Mapping[str, object]:
        settings, encoder = self.settings, self.encoder
        encoder = settings.load_encoder(self.threads) if encoder is None else encoder
        if notice := getattr(encoder, "notice", ""):
            warn(notice)
        window = window_of(encoder, settings.chunk_tokens, warn)
        duplicates = DuplicateFilter() if settings.drop_duplicates else None
        compiler = CorpusCompiler(self.masker, settings.chunk_tokens, window, self.context, warn, duplicates)
        build = Build(folder, rows, place, settings, compiler, progress)
        build.write_store(documents)
        parts = build.write_parts(encoder)
        from ..retrievers.corpus._loading import CorpusReader

        if not isinstance(documents, CorpusReader):
            return parts
        # The names of files may be private data too.
        return {**parts, "reading": self.masker.json(documents.report.to_json(), Counter())}


def _clean(place: Path) -> int:
    """Remove what killed writers left, and return the generation of the index that is replaced, 0 for none.

    What a damaged manifest may have named stays until the new index is whole.
    """
    try:
        manifest = read_manifest(place)
    except DamagedIndexError:
        return 0
    except IndexFolderError:
        remove_garbage(place, [])
        return 0
    remove_garbage(place, entries(manifest))
    return int(manifest["generation"])


def graph_of(items: object, warn: Callable[[str], None]) -> Path | None:
    """Return the ``graph.txt`` that a corpus is, if it is one."""
    if not isinstance(items, list | tuple) or not all(isinstance(item, Path | str) for item in items):
        return None  # documents, or what can be walked through once only
    return graph_file([Path(item) for item in items], warn)


def corpus_of(
    corpus: Path | str | Iterable[Path | str] | Iterable[Document],
) -> tuple[Iterator[Document], list[Path]]:
    """Return the documents of a corpus that are given as such, and the paths of those that are to be read.

    Raises:
        CorpusError: when there are both; where documents come first, only once they are walked through.
    """
    items = iter([corpus] if isinstance(corpus, str | Path) else corpus)
    first = next(items, None)
    if first is None or isinstance(first, Document):
        return _only_documents(chain([] if first is None else [first], items)), []
    paths = [Path(first)]
    for item in items:
        if isinstance(item, Document):
            raise CorpusError(f"a corpus is paths or documents, not both: document {item.id!r}")
        paths.append(Path(item))
    return iter(()), paths


def _only_documents(items: Iterable[object]) -> Iterator[Document]:
    for item in items:
        if not isinstance(item, Document):
            raise CorpusError(f"a corpus is paths or documents, not both: {item!r}")
        yield item


def documents_of(
    corpus: Iterable[Path | str] | Iterable[Document],
    warn: Callable[[str], None],
    progress: Progress | None,
    but: Path,
    strict: bool,
    masked: bool,
) -> tuple[CorpusReader | Iterator[Document], Roots]:
    """Read paths, without what lies in the folder ``but``; pass documents through. Also returns the corpus's roots.

    Raises:
        CorpusError: when there is nothing, or both paths and documents; the last is told while they are read.
    """
    items, paths = corpus_of(corpus)
    if paths:
        from ..retrievers.corpus._loading import CorpusReader  # with every reader of files: no search needs them

        roots = Roots().with_paths(paths)
        known = KnownFiles(roots.name_of, partial(roots.marked, always=masked))
        return CorpusReader(paths, warn, strict=strict, progress=progress, but=(but,), known=known), roots
    first = next(items, None)
    if first is None:
        raise CorpusError("no corpus given: name at least one file or folder")
    return _counted(chain([first], items), progress), Roots()


def _counted(documents: Iterable[Document], progress: Progress | None) -> Iterator[Document]:
    for count, document in enumerate(documents, start=1):
        yield document
        if progress is not None and count % 1000 == 0:
            progress("reading documents", count, 0)

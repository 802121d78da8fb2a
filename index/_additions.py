"""What is made of documents that are added: passages, their lines, vectors and word pieces, as the base's were made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import UpdateError
from ..retrievers.compiling._compiler import CorpusCompiler
from ..retrievers.compiling._context import Chunked, ContextFunction, ContextName
from ..retrievers.compiling._masking import Masker
from ..retrievers.compiling._pruning import DuplicateFilter, Entry, KnownPassages
from ..retrievers.compiling._window import Window
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document
from ..retrievers.vectors._vector_cache import VectorCache
from ._corpus_knowledge import CorpusKnowledge, lines_of_additions
from ._segments import Parts
from ._writing import SegmentContent
from .settings import IndexSettings


@dataclass(frozen=True)
class Additions:
    """Makes segments of documents that come.

    Attributes:
        parts: the index.
        settings: how it was built.
        masker: what is masked.
        context: the line before a passage's text.
        encoder: of its vectors.
        vectors: what it encodes by way of, word pieces included.
    """

    parts: Parts
    settings: IndexSettings
    masker: Masker
    context: ContextName | ContextFunction
    encoder: Encoder
    vectors: VectorCache

    def compiled(self, documents: Iterable[Document]) -> list[Chunked]:
        """Mask and chunk; duplicates are still among the passages."""
        return list(self._compiler(self.masker).compile(documents))

    def again(self, removed: Sequence[str]) -> list[Chunked]:
        """Chunk again the documents whose passages were left out for passages of ``removed``, oldest first."""
        store = self.parts.store
        return list(self._compiler(Masker()).compile(map(store.document, behind(self.parts, removed))))

    def content(self, removed: Sequence[str], compiled: Sequence[Chunked], progress: Progress | None) -> SegmentContent:
        """Return the segment of documents that come, once those of ``removed`` are gone."""
        parts = self.parts
        dropped: tuple[Entry, ...] = ()
        marks = None
        if self.settings.drop_duplicates:
            duplicates = DuplicateFilter(_known_passages(parts, removed))
            compiled = [(document, duplicates.pass_through(passages)) for document, passages in compiled]
            dropped, marks = tuple(duplicates.dropped), duplicates.marks
        lines = lines_of_additions(compiled, self.context, CorpusKnowledge(parts, removed))
        flat = [passage for _, passages in compiled for passage in passages]
        embedded = self._window.embedded(flat, lines or [""] * len(flat))
        keys, vectors, pieces = self.vectors.encode(embedded, progress)
        return SegmentContent(compiled, lines, vectors, keys, pieces, None, dropped, marks)

    def _compiler(self, masker: Masker) -> CorpusCompiler:
        return CorpusCompiler(masker, self.settings.chunk_tokens, self._window, self.context)

    @cached_property
    def _window(self) -> Window:
        return Window(self.encoder)


def behind(parts: Parts, removed: Sequence[str]) -> list[str]:
    """Return the documents of which a passage was left out for one of ``removed``, or of another of them, oldest first.

    They are taken out and put in again with what comes, so that what was left out comes back, and every passage that
    is left out repeats one before it: as when an index is built of the documents in their order.
    """
    store, found = parts.store, set[str]()
    new = set(removed) if parts.dropped else set[str]()
    while new:
        known = found | set(removed)
        gone = {passage.id for document in new for passage in store.passages(store.rows_of(document))}
        new = {entry["document"] for entry in parts.dropped if entry["found_as"] in gone} - known
        found |= new
    return [identifier for identifier in store.document_ids() if identifier in found] if found else []


def _known_passages(parts: Parts, removed: Sequence[str]) -> KnownPassages:
    """Return the passages that additions are compared with to leave duplicates out: all but those of ``removed``."""
    alive = parts.alive.copy()
    for identifier in removed:
        alive[parts.store.rows_of(identifier)] = False
    tables, first = [], 0
    for segment in parts.segments:
        if segment.passages is not None and segment.passages.marks is not None:
            tables.append((segment.passages.marks, first))
        first += len(segment)
    return KnownPassages(tables, alive, parts.store.passage)


def context_of(
    settings: IndexSettings, context: ContextFunction | None, what: str = "add"
) -> ContextName | ContextFunction:
    """Return the context of passages that are made now.

    Raises:
        UpdateError: when it is a user's function, which no manifest keeps, and none is given; or when one is given
            and the index has none.
    """
    if settings.context == "function" and context is None:
        raise UpdateError(
            "this index puts passages in context by a function of your own, which it does not keep: pass it again, in"
            f" Python by Index.{what}(..., context=function)"
        )
    if context is not None and settings.context != "function":
        raise UpdateError(
            f"this index was built with the context {settings.context!r}, not by a function: leave context out"
        )
    return settings.context if context is None else context


def pattern_names(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the user's own patterns that an index was masked by."""
    stages = {stage["stage"]: stage["settings"] for stage in manifest.get("compiler", ())}
    return tuple(stages.get("mask", {}).get("patterns", ()))


def masker_of(settings: IndexSettings, manifest: Mapping[str, Any], patterns: Mapping[str, str] | None) -> Masker:
    """Return what masks as the base was masked.

    Raises:
        UpdateError: when the user's own patterns are not those that the manifest names.
        MaskingError: when one cannot be used.
    """
    names, given = pattern_names(manifest), patterns or {}
    if set(names) != set(given):
        raise UpdateError(
            f"this index was masked by patterns of your own named {', '.join(names) or 'nothing'}, which it does not"
            f" keep, and the patterns given are {', '.join(given) or 'none'}: pass those again, every one"
            " (mask_patterns={name: regex}, --mask-pattern NAME=REGEX)"
        )
    return Masker(settings.mask, {name: given[name] for name in names})


def masker_of_masked(settings: IndexSettings, manifest: Mapping[str, Any]) -> Masker:
    """Return the masker of a build from documents that are masked already: it says by which patterns they were."""
    matching_nothing = "(?!)"
    return Masker(settings.mask, dict.fromkeys(pattern_names(manifest), matching_nothing))

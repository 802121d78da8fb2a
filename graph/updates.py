"""Changing an index: what is asked for is checked, worked out, written to the journal, and then seen at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import CorpusError, EncoderError, UpdateError
from ..retrievers.changes import Change
from ..retrievers.compiler import CorpusCompiler, token_counter
from ..retrievers.encoder import embedding_text
from ..retrievers.masking import Masker
from ..retrievers.protocols import Encoder, Progress
from ..retrievers.records import Document, Passage, Vectors
from ..retrievers.snapshot import Snapshot
from .index_settings import IndexSettings
from .live import LiveIndex
from .parts import LiveParts

WORTH_COMPACTING = 0.1
"""Share of the base that has come or gone, from which a compaction is advised."""


@dataclass(frozen=True, slots=True)
class Done:
    """Documents that were added, replaced and deleted, and the passages that came with them."""

    added: int
    replaced: int
    deleted: int
    passages: int


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What a change of an index did.

    Attributes:
        added: documents that are new.
        replaced: documents that took the place of others of their id.
        deleted: documents that are gone.
        passages: passages that are new.
        milliseconds: from the call until searches see the change and a power cut would leave it.
        changed: passages that came or went since the base was built, by this and earlier changes.
        base: passages of the base.
    """

    added: int
    replaced: int
    deleted: int
    passages: int
    milliseconds: float
    changed: int
    base: int

    @property
    def advice(self) -> str | None:
        """What would make searches faster, if anything."""
        if self.changed < WORTH_COMPACTING * self.base:
            return None
        return (
            f"{self.changed:,} passages have come or gone since the {self.base:,} of the base were built:"
            " `trailhound compact` would make searches faster"
        )


def addition(
    live: LiveIndex,
    documents: Sequence[Document],
    replace: bool,
    compiler: CorpusCompiler,
    encoder: Encoder,
    progress: Progress | None,
) -> Done:
    """Add documents to an index: see ``Index.add``."""
    _hold_documents(documents)
    store = live.parts.store
    compiled = list(compiler.compile(documents))
    documents = [document for document, _ in compiled]
    passages = tuple(tuple(some) for _, some in compiled)
    known = set(store.having(document.id for document in documents))
    removed = tuple(document.id for document in documents if document.id in known)
    if removed and not replace:
        raise UpdateError(
            f"document {removed[0]!r} is in the index already{_others(removed)}: nothing was added; replace it"
            " (replace=True, --replace) or leave it out"
        )
    _hold_passages(live, passages, removed)
    texts = [embedding_text(passage.title, passage.text) for some in passages for passage in some]
    vectors = _encoded(encoder, texts, progress)
    live.change(Change(removed, tuple(documents), passages, vectors), progress)
    return Done(len(documents) - len(removed), len(removed), 0, len(texts))


def compiler_of_additions(settings: IndexSettings, manifest: Mapping[str, Any], encoder: Encoder) -> CorpusCompiler:
    """Return what makes passages of added documents as the base's were made.

    Raises:
        UpdateError: when that takes more than the documents and the settings.
    """
    stages = {stage["stage"]: stage["settings"] for stage in manifest.get("compiler", ())}
    needs = {
        f"puts passages in context ({settings.context})": settings.context != "none",
        "has late interaction": settings.late_interaction,
        "has shorter vectors": settings.dimension,
        "leaves duplicates out": settings.drop_duplicates,
        "masks by patterns of your own, which it does not keep": stages.get("mask", {}).get("patterns"),
    }
    for what, wanted in needs.items():
        if wanted:
            raise UpdateError(f"this index {what}: it cannot be changed in place; build it again with the documents")
    counter = None
    if settings.chunk_tokens is not None:
        counter = token_counter(encoder, settings.chunk_tokens, lambda message: None)
    return CorpusCompiler(Masker(settings.mask), settings.chunk_words, settings.chunk_tokens, counter)


def deletion(live: LiveIndex, document_ids: Iterable[str]) -> Done:
    """Remove documents from an index: see ``Index.delete``."""
    removed = tuple(dict.fromkeys(document_ids))
    known = set(live.parts.store.having(removed))
    unknown = [identifier for identifier in removed if identifier not in known]
    if unknown:
        raise UpdateError(
            f"there is no document {unknown[0]!r} in the index{_others(unknown)}: nothing was deleted; leave it out"
        )
    if removed:
        live.change(Change(removed, (), (), np.zeros((0, live.parts.dense.dimension), np.float32)))
    return Done(0, 0, len(removed), 0)


def _hold_documents(documents: Sequence[Document]) -> None:
    """Refuse documents that cannot be stored, and ids that are given twice."""
    seen: set[str] = set()
    for document in documents:
        if document.id in seen:
            raise UpdateError(f"document {document.id!r} is given twice: nothing was added; give one of each")
        seen.add(document.id)
        try:
            for value in (document.id, document.title, document.text, document.source):
                value.encode()
            json.dumps(dict(document.metadata), allow_nan=False).encode()
        except (UnicodeEncodeError, AttributeError, TypeError, ValueError) as error:
            raise CorpusError(
                f"document {document.id!r} cannot be stored ({error}): ids, titles, texts and sources are strings"
                " without lone surrogates, metadata is JSON",
                document.source or None,
            ) from error


def _hold_passages(live: LiveIndex, passages: Sequence[Sequence[Passage]], removed: Sequence[str]) -> None:
    """Refuse passages whose ids name something else already: '<document>#<number>' is taken by passages."""
    store = live.parts.store
    going = set(removed)
    seen: set[str] = set()
    for some in passages:
        for passage in some:
            other = store.passage(store.row_of(passage.id)).document_id if store.has(passage.id) else None
            if passage.id in seen or (other is not None and other not in going):
                raise UpdateError(
                    f"passage {passage.id!r} of document {passage.document_id!r} is in the index already,"
                    f" of document {other or passage.document_id!r}: nothing was added; give the document another id"
                )
            seen.add(passage.id)


def _encoded(encoder: Encoder, texts: Sequence[str], progress: Progress | None) -> Vectors:
    if not texts:
        return np.zeros((0, encoder.dimension), np.float32)
    vectors = np.asarray(encoder.encode(texts, progress), np.float32)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        text = texts[int(bad[0])][:80]
        raise EncoderError(f"{encoder.name} gave a vector that is not finite for {text!r}: check the encoder")
    return vectors


def report(done: Done, snapshot: Snapshot, started: float) -> UpdateReport:
    """Return the report of a change that began at ``started`` and is seen by now."""
    milliseconds = (perf_counter() - started) * 1000
    changed = snapshot.rows - snapshot.base + snapshot.dead
    return UpdateReport(done.added, done.replaced, done.deleted, done.passages, milliseconds, changed, snapshot.base)


def _others(identifiers: Sequence[str]) -> str:
    return f" (and {len(identifiers) - 1} more)" if len(identifiers) > 1 else ""


class KnownVectors:
    """An encoder that has the vectors of some texts at hand; fulfils ``Encoder``.

    Args:
        encoder: encodes all others.
        parts: an index whose added passages are at hand.
        snapshot: how much of it there is.
    """

    def __init__(self, encoder: Encoder, parts: LiveParts, snapshot: Snapshot) -> None:
        self.name = encoder.name
        self.dimension = encoder.dimension
        self._encoder = encoder
        rows = [row for row in range(snapshot.base, snapshot.rows) if snapshot.sees(row)]
        vectors = parts.dense.reconstruct(np.array(rows, np.int64))
        texts = (embedding_text(passage.title, passage.text) for passage in parts.store.passages(rows))
        self._known = dict(zip(texts, vectors, strict=True))

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into float32 [len(texts), dimension]: only those that are not at hand."""
        missing = [text for text in texts if text not in self._known]
        fresh = iter(self._encoder.encode(missing, progress)) if missing else iter(())
        vectors = [self._known[text] if text in self._known else next(fresh) for text in texts]
        return np.array(vectors, np.float32).reshape(len(texts), self.dimension)

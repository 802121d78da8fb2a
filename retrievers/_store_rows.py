"""Rows of the evidence store: their hashes, and the places of sentences as bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from .records import Document, Passage, Spans

_LONGEST_SHORT = 0xFFFF
"""Characters of a text whose places take two bytes each."""


def row_hash(values: tuple[object, ...]) -> bytes:
    """Return 16 bytes of BLAKE2b over the values, each preceded by its length so that none can run into the next."""
    parts: list[bytes] = []
    for value in values:
        if isinstance(value, bytes):
            part = value
        else:
            part = b"" if value is None else str(value).encode("utf-8", "surrogatepass")
        parts += (b"%d:" % (-1 if value is None else len(part)), part)
    return blake2b(b"".join(parts), digest_size=16).digest()


def document_row(document: Document, passages: Sequence[Passage]) -> tuple[Any, ...]:
    """Return what a store holds of a document, from its id to its hash; no text where its one passage has it."""
    alone = len(passages) == 1 and passages[0].text == document.text
    values = (
        document.id,
        document.title,
        None if alone else document.text,
        document.source,
        _json(document.metadata),
        document.markup,
        int(document.atomic),
    )
    return (*values, row_hash(values))


def passage_row(row: int, document_id: str, passage: Passage) -> tuple[Any, ...]:
    """Return what a store holds of a passage, from its title to its hash, which its place and ids are part of."""
    values = (
        passage.title,
        passage.text,
        passage.start,
        passage.end,
        packed(passage),
        passage.source,
        _json(passage.metadata),
        passage.lead,
    )
    return (*values, row_hash((row, passage.id, document_id, *values)))


def packed(passage: Passage) -> bytes:
    """Return the places of a passage's sentences: two bytes a number, four where its text is long."""
    return np.array(passage.sentences, _number_type(passage.text)).tobytes()


def unpacked(sentences: bytes, text: str) -> Spans:
    numbers = iter(np.frombuffer(sentences, _number_type(text)).tolist())
    return tuple(zip(numbers, numbers, strict=True))


def _number_type(text: str) -> str:
    return "<u2" if len(text) <= _LONGEST_SHORT else "<u4"


def _json(metadata: object) -> str:
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True)

"""Rows of the evidence store: their hashes, and the places of sentences as bytes."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from .records import Passage, Spans

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


def packed(passage: Passage) -> bytes:
    """Return the places of a passage's sentences: two bytes a number, four where its text is long."""
    return np.array(passage.sentences, _number_type(passage.text)).tobytes()


def unpacked(sentences: bytes, text: str) -> Spans:
    numbers = iter(np.frombuffer(sentences, _number_type(text)).tolist())
    return tuple(zip(numbers, numbers, strict=True))


def _number_type(text: str) -> str:
    return "<u2" if len(text) <= _LONGEST_SHORT else "<u4"

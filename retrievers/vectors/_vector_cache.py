"""Vectors and word pieces that are there already: of the index that is replaced, and of an interrupted change.

The codes of a compressed segment cannot be reused: codes of codes would drift from the encoder's vectors with every
build. Its passages are encoded again; what an interrupted build of it had encoded is kept as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DatabaseError, EncoderError, IndexFolderError
from .._atomic_file import map_array
from .._folder import SEGMENTS, check_segment, entries, read_manifest
from ..protocols import Encoder, Progress, TokenCounter
from ..records import Vectors
from ._dense import VECTORS
from ._late_interaction import CODES, PIECES, PieceIndex
from ._piece_codes import CodedPieces, PieceEncoder, encode
from ._postgres_dense import PostgresDense
from ._vector_log import KEY_BYTES, Record, VectorLog

KEYS = "keys.npy"
DENSE = "dense"

_NO_CODES = np.zeros((0, 0), np.uint8)

PART = 256
"""Passages that are encoded between two writes to the log: a kill loses one part at most."""


class VectorCache:
    """Vectors, and codes of word pieces, by the content they were made from.

    Args:
        place: where the index is, or will be; what is encoded is kept next to it until :meth:`clear`, so that a
            change that is interrupted goes on where it was.
        encoder: the name of the encoder belongs to every key.
        pieces: keep word pieces too.
        of_index: take over the vectors of the index that is at ``place`` too.

    Raises:
        EncoderError: when word pieces are to be kept that the encoder does not give.
    """

    def __init__(self, place: Path, encoder: Encoder, pieces: bool = False, of_index: bool = True) -> None:
        if pieces and not isinstance(encoder, PieceEncoder):
            raise EncoderError(
                f"{encoder.name} gives no word pieces, and the index keeps them: open it with the encoder it was built"
                " with"
            )
        self._encoder = encoder
        self._pieces = pieces
        self._log = VectorLog(place)
        self._known: dict[bytes, tuple[Vectors, NDArray[np.uint8]]] = {}
        self._used = False
        for record in chain(_of_index(place, encoder) if of_index else (), self._log.read()):
            self._remember(record)

    def encode(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[NDArray[np.uint8], Vectors, CodedPieces | None]:
        """Return the keys, uint8 [n, 16], vectors, float32 [n, d], and word pieces of ``texts``.

        Only what is new is encoded.
        """
        keys = [_key(self._encoder.name, text) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        new_keys, new_texts, done = list(missing), list(missing.values()), 0
        self._used |= len(missing) < len(set(keys))
        for part in _parts(new_texts, self._encoder):

            def report(stage: str, count: int, total: int, before: int = done) -> None:
                if progress is not None:
                    progress(stage, before + count, len(new_texts))

            record = self._encoded(
                _array([new_keys[place] for place in part]), [new_texts[place] for place in part], report
            )
            if len(new_texts) > PART:
                self._log.append(record)
                self._used = True
            self._remember(record)
            done += len(part)
        vectors = np.zeros((len(keys), self._encoder.dimension), np.float32)
        for row, key in enumerate(keys):
            vectors[row] = self._known[key][0]
        return _array(keys), vectors, self._codes(keys) if self._pieces else None

    def _codes(self, keys: Sequence[bytes]) -> CodedPieces:
        """Return the word pieces of texts that are known."""
        parts = [self._known[key][1] for key in keys]
        counts = np.array([len(part) for part in parts], np.int64)
        return CodedPieces(counts, np.concatenate([*parts, np.zeros((0, parts[0].shape[1] if parts else 0), np.uint8)]))

    def clear(self) -> None:
        """Remove what is kept for an interrupted change, where it was this one, which is done now."""
        if self._used:
            self._log.clear()
            self._used = False

    def _encoded(self, keys: NDArray[np.uint8], texts: Sequence[str], report: Progress) -> Record:
        encoder, coded = self._encoder, None
        if self._pieces and isinstance(encoder, PieceEncoder):
            found, pieces = encoder.encode_with_pieces(texts, report)
            coded = encode(pieces)
        else:
            found = encoder.encode(texts, report)
        vectors = np.asarray(found, np.float32)
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(bad):
            text = texts[int(bad[0])][:80]
            raise EncoderError(f"{encoder.name} gave a vector that is not finite for {text!r}: check the encoder")
        return Record(keys, vectors, coded)

    def _remember(self, record: Record) -> None:
        """Take over a record, unless it lacks what is to be kept, or is none of this encoder."""
        keys, vectors = record.keys, record.vectors
        if keys.shape != (len(vectors), KEY_BYTES) or vectors.shape != (len(keys), self._encoder.dimension):
            return
        pieces = [_NO_CODES] * len(keys)
        if self._pieces:
            if record.pieces is None or len(record.pieces) != len(keys):
                return
            pieces = [record.pieces.of(text) for text in range(len(keys))]
        self._known.update(zip([key.tobytes() for key in keys], zip(vectors, pieces, strict=True), strict=True))


def _parts(texts: Sequence[str], encoder: Encoder) -> list[list[int]]:
    """Return places of texts in parts of about one length each, which an encoder reads together without padding.

    The parts come in a mixed order, so that the time that is left can be told from the time that has passed.
    """
    if len(texts) <= PART:
        return [list(range(len(texts)))] if texts else []
    lengths = list(map(encoder.count_tokens if isinstance(encoder, TokenCounter) else len, texts))
    places = sorted(range(len(texts)), key=lengths.__getitem__)
    parts = [places[first : first + PART] for first in range(0, len(places), PART)]
    return [parts[number] for number in np.random.default_rng(0).permutation(len(parts))]


def clear_vectors(place: Path) -> None:
    """Remove what was kept for an interrupted build of the index at ``place``."""
    VectorLog(place).clear()


def keys_of(encoder: str, texts: Sequence[str]) -> NDArray[np.uint8]:
    """Return the keys of texts, uint8 [n, 16], for the encoder of a name."""
    return _array([_key(encoder, text) for text in texts])


def _key(encoder: str, text: str) -> bytes:
    return blake2b(f"{encoder}\0{text}".encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def _array(keys: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), KEY_BYTES)


def _of_index(place: Path, encoder: Encoder) -> Iterator[Record]:
    """Iterate over what each segment of an index of the same encoder holds; nothing where there is none or damage."""
    try:
        manifest = read_manifest(place)
        segments = entries(manifest) if manifest["encoder"] == encoder.name else []
        for entry in segments:
            about = check_segment(place, entry, verify=True)
            files = about["files"]
            folder = place / SEGMENTS / entry.name
            pieces = PieceIndex(folder / PIECES).coded if f"{PIECES}/{CODES}" in files else None
            if {f"{DENSE}/{KEYS}", f"{DENSE}/{VECTORS}"} <= files.keys():  # of codes nothing can be used again
                keys, vectors = (np.asarray(map_array(folder / DENSE / name)) for name in (KEYS, VECTORS))
                yield Record(keys, vectors, pieces)
            elif "store" in about and f"{DENSE}/{KEYS}" in files:
                keys = np.asarray(map_array(folder / DENSE / KEYS))
                yield Record(keys, PostgresDense(folder, about["store"], "exact").vectors, pieces)
    except (IndexFolderError, DatabaseError, OSError, ValueError):
        return  # to be replaced in any case: everything is encoded again

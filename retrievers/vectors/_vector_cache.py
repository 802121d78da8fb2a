"""Vectors that are there already: of the index that is being replaced, and of a build that was interrupted.

The codes of a compressed segment cannot be reused: codes of codes would drift from the encoder's vectors with every
build. Its passages are encoded again; what an interrupted build of it had encoded is kept as ever.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import EncoderError, IndexFolderError
from .._atomic_file import HEADERS, map_array, storing
from .._folder import SEGMENTS, check_segment, entries, read_manifest
from ..protocols import Encoder, Progress
from ..records import Vectors
from ._dense import VECTORS

KEYS = "keys.npy"
DENSE = "dense"

SHARD = 8192
"""Passages that are encoded between two writes to the cache: a minute or two of work."""

_KEY_BYTES = 16
_NOTHING: Vectors = np.zeros((0, 0), np.float32)


class VectorCache:
    """Vectors by the content they were made from.

    Args:
        place: where the index is, or will be; what is encoded is kept in a hidden folder next to it until
            :func:`clear_vectors`, so that an interrupted build goes on where it was.
        encoder: the name of the encoder belongs to every key.
    """

    def __init__(self, place: Path, encoder: Encoder) -> None:
        self._encoder = encoder
        self._folder = _kept(place)
        self._known: dict[bytes, Vectors] = {}
        for keys, vectors in _of_index(place, encoder):
            self._remember(keys, vectors)
        for shard in self._folder.glob("*.npz"):
            self._remember(*_of_shard(shard, encoder.dimension))

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> tuple[NDArray[np.uint8], Vectors]:
        """Return the keys, uint8 [n, 16], and vectors, float32 [n, d], of ``texts``, encoding only what is new."""
        keys = [_key(self._encoder.name, text) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        new_keys, new_texts = list(missing), list(missing.values())
        for first in range(0, len(new_texts), SHARD):

            def report(stage: str, done: int, total: int, first: int = first) -> None:
                if progress is not None:
                    progress(stage, first + done, len(new_texts))

            part = new_keys[first : first + SHARD]
            vectors = self._encoder.encode(new_texts[first : first + SHARD], report)
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(bad):
                text = new_texts[first + bad[0]][:80]
                raise EncoderError(
                    f"{self._encoder.name} gave a vector that is not finite for {text!r}: check the encoder"
                )
            if len(new_texts) > SHARD:
                with storing(self._folder):
                    self._write(part, vectors)
            self._remember(part, vectors)
        vectors = np.zeros((len(keys), self._encoder.dimension), np.float32)
        for row, key in enumerate(keys):
            vectors[row] = self._known[key]
        return _array(keys), vectors

    def _remember(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._known.update(zip(keys, vectors, strict=True))

    def _write(self, keys: Sequence[bytes], vectors: Vectors) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{keys[0].hex()}.npz"
        checksum = np.frombuffer(_checksum(_array(keys), vectors), np.uint8)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        # When another build of the same place has just cleared the folder, this shard is not kept: nothing is lost.
        with suppress(FileNotFoundError):
            with unfinished.open("wb") as file:
                np.savez(file, keys=_array(keys), vectors=vectors, checksum=checksum)
            unfinished.replace(path)


def clear_vectors(place: Path) -> None:
    """Remove what was kept for an interrupted build of the index at ``place``."""
    folder = _kept(place)
    for path in folder.glob("*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # there is none
        folder.rmdir()


def _kept(place: Path) -> Path:
    return place.parent / f".{place.name}.vectors"


def keys_of(encoder: str, texts: Sequence[str]) -> NDArray[np.uint8]:
    """Return the keys of texts, uint8 [n, 16], for the encoder of a name."""
    return _array([_key(encoder, text) for text in texts])


def _key(encoder: str, text: str) -> bytes:
    return blake2b(f"{encoder}\0{text}".encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()


def _array(keys: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), _KEY_BYTES)


def _checksum(keys: NDArray[np.uint8], vectors: Vectors) -> bytes:
    return blake2b(keys.tobytes() + vectors.tobytes(), digest_size=_KEY_BYTES).digest()


def _of_index(place: Path, encoder: Encoder) -> Iterator[tuple[list[bytes], Vectors]]:
    """Iterate over what each segment of an index of the same encoder holds; nothing where there is none or damage."""
    try:
        manifest = read_manifest(place)
        segments = entries(manifest) if manifest["encoder"] == encoder.name else []
        for entry in segments:
            files = check_segment(place, entry, verify=True)["files"]
            folder = place / SEGMENTS / entry.name / DENSE
            if {f"{DENSE}/{KEYS}", f"{DENSE}/{VECTORS}"} <= files.keys():  # of codes nothing can be used again
                keys, vectors = np.asarray(map_array(folder / KEYS)), np.asarray(map_array(folder / VECTORS))
                yield _fitting(keys, vectors, encoder.dimension)
    except (IndexFolderError, OSError, ValueError):
        return  # to be replaced in any case: everything is encoded again


def _of_shard(path: Path, dimension: int) -> tuple[list[bytes], Vectors]:
    """Return what an interrupted build had encoded; nothing when the file is damaged."""
    try:
        with HEADERS, path.open("rb") as file, np.load(file, allow_pickle=False) as shard:
            keys, vectors, checksum = shard["keys"], shard["vectors"], shard["checksum"]
    except (OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return [], _NOTHING
    if _checksum(keys, vectors) != checksum.tobytes():
        return [], _NOTHING
    return _fitting(keys, vectors, dimension)


def _fitting(keys: NDArray[np.uint8], vectors: Vectors, dimension: int) -> tuple[list[bytes], Vectors]:
    """Return keys and vectors where they are of the encoder's dimension, else nothing."""
    if keys.shape != (len(vectors), _KEY_BYTES) or vectors.shape != (len(keys), dimension):
        return [], _NOTHING
    return [key.tobytes() for key in keys], vectors

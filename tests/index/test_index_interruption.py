"""Builds that are interrupted, killed, or run side by side leave one whole index."""

from __future__ import annotations

import copy
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trailhound import Document, Index
from trailhound.retrievers._folder import MANIFEST
from trailhound.retrievers.protocols import Encoder, Progress
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.vectors import _vector_cache as vector_cache


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def numbered(count: int) -> list[Document]:
    return [Document(str(n), f"Town {n}", f"town number {n} has {n} gates", atomic=True) for n in range(count)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "x.index"


@pytest.fixture
def encoder(hashing_encoder: Encoder) -> Any:
    """A stand-in encoder of the test's own, that counts what it encodes."""
    made = copy.copy(hashing_encoder)
    made.encoded = 0  # type: ignore[attr-defined]
    return made


def test_an_interrupted_encoding_goes_on_where_it_was(
    place: Path, encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_cache, "PART", 10)
    encode = encoder.encode

    def break_off(texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        if encoder.encoded >= 30:
            raise KeyboardInterrupt
        return np.asarray(encode(texts, progress))

    encoder.encode = break_off
    with pytest.raises(KeyboardInterrupt):
        Index.build(numbered(45), place, encoder=encoder)
    assert names(place.parent) == [".x.index.vectors"]
    encoder.encode = encode
    index = Index.build(numbered(45), place, encoder=encoder)
    assert encoder.encoded == 45
    assert len(index) == 45
    assert names(place.parent) == ["x.index"]


_BUILDER = """
import sys, zlib
import numpy as np
from trailhound import Document, Index
from trailhound.retrievers.words._terms import analyse

class HashingEncoder:
    name, dimension = "hashing-64", 64

    def encode(self, texts, progress=None):
        vectors = np.zeros((len(texts), 64), np.float32)
        for row, text in enumerate(texts):
            for stem in analyse(text):
                code = zlib.crc32(stem.encode())
                vectors[row, code % 64] += 1 if code >> 31 else -1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

def numbered(count):
    return [Document(str(n), f"Town {n}", f"town number {n} has {n} gates", atomic=True) for n in range(count)]

while True:
    for count in (70, 40):
        print("begun", flush=True)
        Index.build(numbered(count), sys.argv[1], encoder=HashingEncoder())
"""


def build_until_killed(place: Path, begun: int, delay: float) -> None:
    """Run a process that indexes 70 and 40 passages in turn; kill it ``delay`` seconds into its ``begun``-th build."""
    with subprocess.Popen([sys.executable, "-c", _BUILDER, str(place)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(begun):
            assert process.stdout.readline() == b"begun\n"
        time.sleep(delay)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_killed_builds_leave_one_of_two_indexes(place: Path, encoder: Encoder) -> None:
    Index.build(numbered(40), place, encoder=encoder)
    generator = random.Random(1)
    moments = [(2, 0.0), (3, 0.0), *((generator.randint(1, 3), generator.uniform(0, 0.2)) for _ in range(6))]
    counts = set()
    for begun, delay in moments:
        build_until_killed(place, begun, delay)
        index = Index.open(place, encoder=encoder)
        counts.add(len(index))
        towns = [int(passage.title.split()[1]) for passage in index.store]
        assert towns in (list(range(40)), list(range(70)))
        assert len(index.lexical.search(Query("gates"), 5)) == 5
        assert index.dense.search(index.query("town number 5 has 5 gates"), 1).rows.tolist() == [5]
    assert counts == {40, 70}
    Index.build(numbered(20), place, encoder=encoder)
    assert names(place.parent) == ["x.index"]


def test_builders_side_by_side_leave_one_whole_index(place: Path, encoder: Encoder) -> None:
    failures: list[BaseException] = []

    def build(count: int) -> None:
        try:
            for _ in range(4):
                Index.build(numbered(count), place, encoder=encoder)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=build, args=(count,)) for count in (10, 20, 30)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (place / MANIFEST).exists():
            assert len(Index.open(place, encoder=encoder)) in (10, 20, 30)
    assert failures == []
    assert len(Index.open(place, encoder=encoder)) in (10, 20, 30)
    assert names(place.parent) == ["x.index"]

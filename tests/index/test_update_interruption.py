"""Changes that are killed are there wholly or not at all, and never harm the index."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from trailhound import Document, Index
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Query

_WRITER = """
import sys, zlib
import numpy as np
from trailhound import Document, Index
from trailhound.index import updates
from trailhound.retrievers.words._terms import analyse

updates.AT_ONCE = 1  # so that every change is of two segments, which one manifest names

class HashingEncoder:
    name, dimension = "hashing-64", 64

    def encode(self, texts, progress=None):
        vectors = np.zeros((len(texts), 64), np.float32)
        for row, text in enumerate(texts):
            for stem in analyse(text):
                code = zlib.crc32(stem.encode())
                vectors[row, code % 64] += 1 if code >> 31 else -1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)

def twins(number):
    return [Document(name, f"Twin {name}", f"twin {name} has {number} gates", atomic=True) for name in "ab"]

index = Index.open(sys.argv[1], encoder=HashingEncoder())
number = int(index.store.document("a").text.split()[3])
while True:
    number += 1
    index.add(twins(number), replace=True)
    print(number, flush=True)
    if number % 7 == 0:
        index.compact()
"""


def twins(number: int) -> list[Document]:
    return [Document(name, f"Twin {name}", f"twin {name} has {number} gates", atomic=True) for name in "ab"]


def change_until_killed(place: Path, changes: int, delay: float) -> int:
    """Run a process that changes the index; kill it ``delay`` seconds after some changes; returns the last it told."""
    told = -1
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(place)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(changes):
            told = int(process.stdout.readline())
        time.sleep(delay)
        process.kill()
        told = max([told, *map(int, process.stdout.read().split())])
    assert process.returncode == -signal.SIGKILL
    return told


def test_killed_changes_are_whole_or_not_there(tmp_path: Path, hashing_encoder: Encoder) -> None:
    place = tmp_path / "x.index"
    Index.build(twins(0), place, encoder=hashing_encoder)
    generator = random.Random(1)
    for _ in range(6):
        told = change_until_killed(place, generator.randint(1, 6), generator.uniform(0, 0.15))
        index = Index.open(place, encoder=hashing_encoder)
        numbers = [int(document.text.split()[3]) for document in map(index.store.document, "ab")]
        assert numbers[0] == numbers[1]  # both of a change, or neither
        assert told <= numbers[0] <= told + 1  # nothing that was told done is lost
        rows = index.lexical.search(Query(str(numbers[0])), 5).rows.tolist()
        assert rows == sorted(rows) == index.store.rows_of("a") + index.store.rows_of("b")
        assert len(index) == 2
        assert index.dense.search(index.query(f"Twin a. twin a has {numbers[0]} gates"), 1).rows.tolist() == rows[:1]
    index.compact()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.index"]
    assert index.store.document("a").text == f"twin a has {numbers[0]} gates"

"""Interruptions of indexing and of large updates: how many passages are encoded twice, and does the index open?

python benchmarks/interrupted.py --kills 20 --json interrupted.json

A process indexes documents, or adds them to an index, and is stopped at random moments by SIGKILL or SIGINT;
the same command is called again until it is done. The encoder is a stand-in that takes as long for a text as the
built-in one on one core would for a short one, and writes down what it is asked for before it begins. What one
interruption costs is what was asked for and is not kept; what all of them cost is what was asked for more than once.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
from trailhound import Document, Index
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.vectors._vector_log import VectorLog

MOST = 256
SECONDS = 0.001
"""That a text takes."""


class Witness:
    """Hashed words for vectors; every text that it is asked for becomes a line of a file, before it is encoded."""

    name = "witness-32"
    dimension = 32

    def __init__(self, path: Path) -> None:
        self._path = path

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts``, float32 [n, 32]."""
        with self._path.open("a") as file:
            file.writelines(f"{zlib.crc32(text.encode())}\n" for text in texts)
        time.sleep(SECONDS * len(texts))
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def documents(count: int) -> list[Document]:
    """Return documents of many lengths, each of one passage."""
    return [Document(str(n), f"Note {n}", f"note {n} " + "word " * (n * 7 % 60), atomic=True) for n in range(count)]


def work(place: Path, seen: Path, kind: str, count: int) -> None:
    """Index the documents, or add them to the index of one."""
    encoder = Witness(seen)
    if kind == "index":
        Index.build(documents(count), place, encoder=encoder)
    else:
        Index.open(place, encoder=encoder).add(documents(count))


def interrupted(kind: str, count: int, kills: int, random: Random) -> dict[str, object]:
    """Interrupt one command until it was killed often enough, let it finish, and return what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        place, seen = Path(folder) / "x.index", Path(folder) / "seen.txt"
        if kind == "update":
            Index.build([Document("first", "", "the first")], place, encoder=Witness(Path(folder) / "base.txt"))
        seen.touch()
        command = [sys.executable, __file__, "--work", str(place), str(seen), kind, str(count)]
        most, stopped, log = 0, 0, VectorLog(place)
        while True:
            began, kept = len(seen.read_text().split()), log.count()
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
                while process.poll() is None and len(seen.read_text().split()) == began and stopped < kills:
                    time.sleep(0.01)
                if stopped < kills:
                    time.sleep(random.uniform(0, 0.6))
                    process.send_signal(random.choice((signal.SIGKILL, signal.SIGINT)))
            if process.returncode == 0:
                break
            stopped += 1
            asked = len(seen.read_text().split()) - began
            if log.count():  # else it was stopped when all was done
                most = max(most, asked - (log.count() - kept))
        twice = sum(times - 1 for times in Counter(seen.read_text().split()).values())
        index = Index.open(place, encoder=Witness(seen))
        passages = len(index)
    return {
        "what": kind,
        "passages": passages,
        "interruptions": stopped,
        "lost by one, at most": most,
        "encoded twice": twice,
        "holds": most <= MOST and twice <= MOST * stopped and passages == count + (kind == "update"),
    }


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--passages", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.work:
        place, seen, kind, count = parsed.work
        work(Path(place), Path(seen), kind, int(count))
        return
    random = Random(parsed.seed)
    rows = [interrupted(kind, parsed.passages, parsed.kills, random) for kind in ("index", "update")]
    for row in rows:
        print(", ".join(f"{name}: {value}" for name, value in row.items()))
    if parsed.json:
        parsed.json.write_text(json.dumps({"machine": platform.processor(), "rows": rows}, indent=1))
    if not all(row["holds"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

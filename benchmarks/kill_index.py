"""Random SIGKILLs over everything that changes an index: is all that was acknowledged there, and does it open?

python benchmarks/kill_index.py --kills 500 --json kill_index.json

A process changes an index of twins: adds, replaces and deletes them, compacts, and builds the whole index anew; small
segments are merged as they come. It says what it did only after it was acknowledged. It is killed at a random moment,
half of the time within a few milliseconds after an acknowledgement, when the next change is being written. After each
kill the index is opened with every file compared with its hash; it must be the acknowledged state or the one after.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
from trailhound import Document, Index
from trailhound.errors import TrailhoundError
from trailhound.retrievers.protocols import Progress
from trailhound.retrievers.records import Query, Vectors

KEPT = [Document("kept", "Kept", "this one stays", atomic=True)]
State = dict[str, str]


class HashedWords:
    """Hashed words instead of an encoder's vectors: what is killed is the writing, not the encoding."""

    name = "hashed-32"
    dimension = 32

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts``, float32 [n, 32]."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, zlib.crc32(word.encode()) % self.dimension] += 1
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def steps(seed: int) -> Iterator[tuple[str, State]]:
    """Iterate without end over (what is done, the documents that are there afterwards)."""
    random, number = Random(seed), 0
    state: State = {}
    while True:
        number += 1
        names = [f"t{random.randrange(12)}" for _ in range(2)]
        kind = random.choices(("put", "delete", "compact", "build"), (10, 5, 1, 1))[0]
        if kind == "put":
            state = {**state, **{name: f"twin {name} has {number} gates" for name in names}}
        elif kind == "delete":
            state = {name: text for name, text in state.items() if name not in names}
        yield kind, state


def write(place: Path, seed: int, first: int) -> None:
    """Do the steps from ``first`` on, and say each once it is done."""
    index = Index.open(place, encoder=HashedWords())
    before: State = {}
    for number, (kind, state) in enumerate(steps(seed)):
        if number >= first:
            documents = [Document(name, f"Twin {name}", text, atomic=True) for name, text in state.items()]
            if kind == "put":
                index.add([d for d in documents if before.get(d.id) != d.text], replace=True)
            elif kind == "delete":
                index.delete([name for name in before if name not in state])
            elif kind == "compact":
                index.compact()
            else:
                index = Index.build([*KEPT, *documents], place, encoder=HashedWords())
            os.write(1, f"{number}\n".encode())
        before = state


def main() -> None:
    """Kill, check, count; exits with 1 when something was lost or refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.serve:
        serve()
        return
    with tempfile.TemporaryDirectory(prefix="trailhound-kill-") as folder:
        figures = kill_writers(Path(folder) / "x.index", parsed.kills, parsed.seed)
    figures |= {"seed": parsed.seed, "machine": platform.platform()}
    for name, value in figures.items():
        print(f"{name:<36}{value}")
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    raise SystemExit(bool(figures["lost"] or figures["refused"]))


def kill_writers(place: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill a writer again and again; each next one goes on from what is there."""
    random = Random(seed + 1)
    Index.build(KEPT, place, encoder=HashedWords())
    outcomes: Counter[str] = Counter()
    states: list[State] = []
    kinds: list[str] = []
    coming = steps(seed)
    done = 0
    command = [sys.executable, __file__, "--serve"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for kill in range(kills):
        acknowledged = kill_one(server, place, seed, done, random)
        while len(states) <= acknowledged + 2:
            kind, state = next(coming)
            kinds.append(kind)
            states.append(state)
        outcome, done = judge(place, states, max(acknowledged, done - 1))
        outcomes[outcome] += 1
        outcomes[f"killed while: {kinds[min(acknowledged + 1, len(kinds) - 1)]}"] += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{kill + 1}/{kills} {dict(outcomes)}")
    server.communicate()
    left = sorted(path.name for path in place.parent.iterdir() if path.name not in (place.name, "told"))
    found = {name: count for name, count in sorted(outcomes.items()) if name.startswith("killed")}
    counts = {name: outcomes[name] for name in ("lost", "refused", "acknowledged", "one step further")}
    return {"kills": kills, "changes": done, **counts, **found, "left beside the index": left}


def serve() -> None:
    """Fork a writer for every line of stdin, and say its number: imports take a second, and are needed once."""
    for line in sys.stdin:
        place, seed, first, told = line.rstrip("\n").split("\t")
        writer = os.fork()
        if writer == 0:
            os.dup2(os.open(told, os.O_WRONLY), 1)
            write(Path(place), int(seed), int(first))
        print(writer, flush=True)
        os.waitpid(writer, 0)


def kill_one(server: subprocess.Popen[str], place: Path, seed: int, first: int, random: Random) -> int:
    """Let a writer make some changes and kill it; returns the last step that it acknowledged."""
    assert server.stdin is not None
    assert server.stdout is not None
    told = place.parent / "told"
    told.unlink(missing_ok=True)
    os.mkfifo(told)
    server.stdin.write(f"{place}\t{seed}\t{first}\t{told}\n")
    server.stdin.flush()
    writer, acknowledged = int(server.stdout.readline()), first - 1
    with told.open() as lines:
        for _ in range(random.randint(1, 6)):
            acknowledged = int(lines.readline())
        time.sleep(random.uniform(0, 0.01) if random.random() < 0.5 else random.uniform(0, 0.1))
        os.kill(writer, signal.SIGKILL)
        return max([acknowledged, *map(int, lines.read().split())])


def judge(place: Path, states: Sequence[State], acknowledged: int) -> tuple[str, int]:
    """Open what is there; returns what it is, and the step from which to go on."""
    try:
        index = Index.open(place, encoder=HashedWords())
        found = {passage.document_id: passage.text for passage in index.store}
        for name, text in found.items():
            hits = index.lexical.search(Query(text), 5).rows.tolist()
            assert any(passage.document_id == name for passage in index.store.passages(hits))
    except (TrailhoundError, OSError, AssertionError) as error:
        print(f"refused: {error!r}")
        return "refused", acknowledged + 1
    there = {name: text for name, text in found.items() if name != "kept"}
    after = {} if acknowledged < 0 else states[acknowledged]
    if there == after:
        return "acknowledged", acknowledged + 1
    if there == states[acknowledged + 1]:
        return "one step further", acknowledged + 2
    print(f"lost: {there} instead of {after}")
    return "lost", acknowledged + 1


if __name__ == "__main__":
    main()

"""Random SIGKILLs over `trailhound index`: is what is left always one whole index?

python benchmarks/kill_index.py --kills 200 --json kill_index.json

Two small encyclopedias are indexed in turn into one place, with the built-in encoder and their vectors at hand, so
that every build really changes what is there. Each is killed after a delay drawn from the whole duration of a build,
half of the delays from around the instant at which builds were seen to publish. After each kill the index is opened
with every file held against its hash, must be exactly one of the two, and answers a search.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from trailhound import Index
from trailhound.demo.encyclopedia import generate, write_beir
from trailhound.errors import TrailhoundError
from trailhound.retrievers.vectors import vector_cache
from trailhound.retrievers.vectors.encoder import MiniLMEncoder, embedding_text

ARTICLES = 150
TIMED_BUILDS = 3
AROUND_PUBLICATION_S = 0.15


@dataclass(frozen=True)
class Timing:
    """Seconds from the start of the process until the new index was seen, and until the process ended."""

    published: float
    ended: float


def main() -> None:
    """Kill, check, count; exits with 1 when an index was unusable or half-built."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trailhound-kill-") as folder:
        figures = kill_builds(Path(folder), parsed.kills, Random(parsed.seed))
    figures |= {"seed": parsed.seed, "machine": platform.platform()}
    for name, value in figures.items():
        print(f"{name:<36}{value}")
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    raise SystemExit(figures["unusable"] != 0 or figures["half_built"] != 0)


def kill_builds(folder: Path, kills: int, random: Random) -> dict[str, object]:
    """Build and kill in ``folder``; returns what was seen."""
    corpora = [write_corpus(folder / f"corpus-{seed}", seed) for seed in (1, 2)]
    encoder = MiniLMEncoder()
    place = folder / "x.index"
    expected = [contents(Index.build([corpus], place, encoder=encoder)) for corpus in corpora]
    if expected[0] == expected[1]:
        raise SystemExit("the two corpora are equal: nothing can be told apart")
    keep_vectors(folder, corpora, encoder)
    timings = [time_build(corpora[number % 2], place) for number in range(TIMED_BUILDS)]
    outcomes: Counter[str] = Counter()
    killed = attempts = 0
    while killed < kills:  # a build that was through before its kill does not count
        attempts += 1
        if attempts % 25 == 0:  # the machine may have become faster or slower
            timings = [*timings[1:], time_build(corpora[attempts % 2], place)]
        before = contents(Index.open(place, encoder=encoder))
        corpus = corpora[1 - expected.index(before)]
        killed += build_and_kill(corpus, place, draw_delay(random, timings))
        outcome = judge(place, encoder, expected, before)
        outcomes[outcome] += 1
        if outcome in ("unusable", "half_built"):
            kept = Path(tempfile.mkdtemp(prefix=f"kill-{attempts}-")) / "found"
            shutil.copytree(folder, kept, symlinks=True)
            print(f"kept for inspection: {kept}")
            Index.build([corpora[0]], place, encoder=encoder)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{killed}/{kills} {dict(outcomes)}")
    left = count_left_overs(folder)
    time_build(corpora[0], place)
    return {
        "kills_of_a_running_build": killed,
        "builds_through_before_their_kill": attempts - killed,
        "unusable": outcomes["unusable"],
        "half_built": outcomes["half_built"],
        "previous_index": outcomes["previous"],
        "new_index": outcomes["new"],
        "left_overs_before_next_build": left,
        "left_overs_after_next_build": count_left_overs(folder),
        "seconds_to_publication": round(statistics.median(timing.published for timing in timings), 2),
        "seconds_to_end": round(statistics.median(timing.ended for timing in timings), 2),
    }


def write_corpus(folder: Path, seed: int) -> Path:
    """Write an encyclopedia."""
    write_beir(generate(articles=ARTICLES, questions=20, seed=seed), folder)
    return folder / "corpus.jsonl"


def contents(index: Index) -> list[tuple[str, str]]:
    """Return id and text of every passage; each is held against its hash."""
    return [(passage.id, passage.text) for passage in index.store]


def keep_vectors(folder: Path, corpora: list[Path], encoder: MiniLMEncoder) -> None:
    """Make the vectors of both corpora as an interrupted build keeps them, to be put beside the index."""
    texts = []
    for corpus in corpora:
        index = Index.build([corpus], folder / "texts.index", encoder=encoder)
        texts += [embedding_text(passage.title, passage.text) for passage in index.store]
    vector_cache.SHARD = len(texts) // 2  # only what takes several shards is kept
    vector_cache.VectorCache(folder / "kept", encoder).encode(texts)


def start(corpus: Path, place: Path) -> subprocess.Popen[bytes]:
    """Start a build by the command line, with the vectors at hand: a build that was through has cleared them."""
    if not (cache := place.parent / f".{place.name}.vectors").exists():
        shutil.copytree(place.parent / ".kept.vectors", cache)
    command = [sys.executable, "-m", "trailhound", "index", str(corpus), "--out", str(place)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def time_build(corpus: Path, place: Path) -> Timing:
    """Let one build run through."""
    before = (place / "manifest.json").stat().st_ino
    process = start(corpus, place)
    began = time.monotonic()
    published = 0.0
    while process.poll() is None:
        if not published and (place / "manifest.json").stat().st_ino != before:
            published = time.monotonic() - began
        time.sleep(0.002)
    ended = time.monotonic() - began
    _, complaint = process.communicate()
    if process.returncode:
        raise SystemExit(f"a build that nobody killed failed: {complaint.decode(errors='replace')}")
    return Timing(published or ended, ended)


def draw_delay(random: Random, timings: list[Timing]) -> float:
    """Draw seconds from the whole duration of a build, half of the time from around its publication."""
    if random.random() < 0.5:
        return random.uniform(0, 1.1 * max(timing.ended for timing in timings))
    published = random.choice(timings).published
    return max(0.0, published + random.uniform(-AROUND_PUBLICATION_S, AROUND_PUBLICATION_S))


def build_and_kill(corpus: Path, place: Path, delay: float) -> bool:
    """Start a build, kill it after ``delay`` seconds; returns whether it was still running."""
    process = start(corpus, place)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def judge(place: Path, encoder: MiniLMEncoder, expected: list[list[tuple[str, str]]], before: object) -> str:
    """Open what is at ``place``, compare and search it."""
    try:
        index = Index.open(place, encoder=encoder)
        found = contents(index)
        _, text = found[len(found) // 2]
        query = index.query(text)
        first = [index.sub_indexes[name].search(query, 3).rows.tolist() for name in ("lexical", "dense")]
    except (TrailhoundError, OSError) as error:
        print(f"unusable: {error}")
        return "unusable"
    if found not in expected or any(len(found) // 2 not in rows for rows in first):
        print("half-built: what was found is neither of the two corpora")
        return "half_built"
    return "previous" if found == before else "new"


def count_left_overs(folder: Path) -> int:
    """Count hidden folders of builds beside the index."""
    return sum(1 for path in folder.iterdir() if path.name.startswith(".x.index.building-"))


if __name__ == "__main__":
    main()

"""Machines that are lost: nodes of a Ray cluster are killed at random while it indexes, searches and adds documents.

    python benchmarks/ray_kills.py --kills 20

The cluster is on this machine: a head, which stays, and two nodes of one CPU, of which one is killed by SIGKILL at a
random moment and replaced. The corpus is invented, the encoder is the built-in one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import ray
from ray.cluster_utils import Cluster
from trailhound import Document, Index, SearchAgent, ShardedIndex
from trailhound.demo._encyclopedia import Encyclopedia, generate
from trailhound.errors import ShardError, TrailhoundError
from trailhound.retrievers._thread_limits import computing_on

T = TypeVar("T")

SHARDS = 4
NODES = 2
LIMIT = 10
SYSTEM = "hybrid"
_MEMORY = 150_000_000
_SETTLED = 300.0
"""Seconds in which lost shards come back, on a busy machine."""


@dataclass(frozen=True)
class Outcome:
    """What became of a part of the benchmark.

    Attributes:
        what: was done meanwhile.
        kills: nodes that were killed.
        done: how often it was done.
        failed: how often it was refused with an error.
        partial: results that named a shard that was away.
        wrong: results that were neither partial nor those of a cluster in which nothing is killed.
        lost: documents that were acknowledged and are not there.
        seconds: it took.
    """

    what: str
    kills: int
    done: int
    failed: int
    partial: int
    wrong: int
    lost: int
    seconds: float

    def __str__(self) -> str:
        """Return a row of a table."""
        numbers = (self.kills, self.done, self.failed, self.partial, self.wrong, self.lost)
        return f"| {self.what} | {' | '.join(map(str, numbers))} | {self.seconds:.0f} s |"


class Machines:
    """A cluster whose nodes are killed and replaced.

    Args:
        seed: of the moments.
    """

    def __init__(self, seed: int) -> None:
        about: dict[str, Any] = {"num_cpus": 0, "object_store_memory": _MEMORY, "include_dashboard": False}
        self._cluster = Cluster(initialize_head=True, head_node_args=about)
        self._nodes = [self._new() for _ in range(NODES)]
        self._random = Random(seed)
        self.kills = 0
        ray.init(self._cluster.address, log_to_driver=False)

    def kill(self, shortest: float, longest: float) -> None:
        """Wait for a random time, then kill a node and start another."""
        time.sleep(self._random.uniform(shortest, longest))
        node = self._nodes.pop(self._random.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        self.kills += 1
        self._nodes.append(self._new())

    def beside(self, kills: int, shortest: float, longest: float, work: Callable[[Callable[[], bool]], T]) -> T:
        """Kill so many nodes while something works in a thread, which is told whether more will be killed."""
        over = threading.Event()
        with ThreadPoolExecutor(1) as threads:
            working = threads.submit(work, lambda: not over.is_set())
            try:
                for _ in range(kills):  # Ray starts nodes from the main thread alone
                    self.kill(shortest, longest)
            finally:
                over.set()
            return working.result()

    def close(self) -> None:
        """End the cluster."""
        ray.shutdown()
        self._cluster.shutdown()

    def _new(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)


def rankings(index: ShardedIndex, corpus: Encyclopedia) -> list[list[tuple[str, float]]]:
    """Return what is found for every question when every shard answers."""
    agent = SearchAgent(index, system=SYSTEM)
    return [settled(agent, question.text) for question in corpus.questions]


def listed(agent: SearchAgent, question: str) -> tuple[list[tuple[str, float]], bool]:
    """Return what is found for a question, and whether all shards answered."""
    result = agent.search(question, LIMIT)
    return [(found.passage.id, round(found.score, 5)) for found in result.evidence], not result.unreachable


def settled(agent: SearchAgent, question: str) -> list[tuple[str, float]]:
    """Return what is found for a question once every shard answers."""
    until = time.perf_counter() + _SETTLED
    while time.perf_counter() < until:
        with suppress(ShardError):
            found, whole = listed(agent, question)
            if whole:
                return found
        time.sleep(0.5)
    raise SystemExit(f"the shards do not answer {_SETTLED:g} s after the last kill")


def indexing(
    machines: Machines, corpus: Encyclopedia, place: Path, wanted: ShardedIndex, kills: int, seldom: float
) -> Outcome:
    """Build again and again while nodes are killed, and hold every result against one that nothing interrupted."""
    expected, before, began = rankings(wanted, corpus), machines.kills, time.perf_counter()

    def builds(more: Callable[[], bool]) -> list[Path | None]:
        made: list[Path | None] = []
        while more():
            folder = place / f"build-{len(made)}"
            try:
                build(corpus, folder)
            except TrailhoundError as error:
                print(f"a build failed: {error}", file=sys.stderr)
                made.append(None)
            else:
                made.append(folder)
        return made

    made = machines.beside(kills, 0.0, seldom, builds)
    wrong = 0
    for folder in filter(None, made):
        with ShardedIndex(folder) as index:
            sizes = (index.about.documents, len(index)) == (wanted.about.documents, len(wanted))
            wrong += not sizes or rankings(index, corpus) != expected
    seconds = time.perf_counter() - began
    return Outcome("builds", machines.kills - before, len(made), made.count(None), 0, wrong, 0, seconds)


def build(corpus: Encyclopedia, place: Path) -> None:
    """Build a sharded index on the cluster."""
    ShardedIndex.build(corpus.documents, place, SHARDS, on_ray=True).close()


def searching(
    machines: Machines, corpus: Encyclopedia, place: Path, replicas: int, kills: int, seldom: float
) -> Outcome:
    """Search on while nodes are killed."""
    began, before = time.perf_counter(), machines.kills
    with ShardedIndex(place, on_ray=True, replicas=replicas) as index:
        agent, expected = SearchAgent(index, system=SYSTEM), rankings(index, corpus)

        def search(more: Callable[[], bool]) -> tuple[int, int, int, int]:
            done = failed = partial = wrong = 0
            while more():
                number = done % len(corpus.questions)
                done += 1
                try:
                    found, whole = listed(agent, corpus.questions[number].text)
                except ShardError as error:
                    print(f"a search was refused: {error}", file=sys.stderr)
                    failed += 1
                    continue
                partial += not whole
                wrong += whole and found != expected[number]
            return done, failed, partial, wrong

        done, failed, partial, wrong = machines.beside(kills, seldom / 2, seldom, search)
        wrong += sum(found != right for found, right in zip(rankings(index, corpus), expected, strict=True))
    what = f"searches of {replicas} replica{'s' if replicas > 1 else ''}"
    return Outcome(what, machines.kills - before, done, failed, partial, wrong, 0, time.perf_counter() - began)


def adding(machines: Machines, place: Path, replicas: int, kills: int, seldom: float) -> Outcome:
    """Add one document after the other while nodes are killed, and look for all that were acknowledged."""
    acknowledged: list[str] = []
    began, before = time.perf_counter(), machines.kills

    def add(more: Callable[[], bool]) -> int:
        number = 0
        while more():
            number += 1
            new = Document(f"added-{number}", f"Addition {number}", f"Number {number} of what was added meanwhile.")
            with suppress(ShardError):
                index.add([new], replace=True)
                acknowledged.append(new.id)
        return number

    with ShardedIndex(place, on_ray=True, replicas=replicas) as index:
        number = machines.beside(kills, seldom / 2, seldom, add)
    held: set[str] = set()
    for name in index.about.shards:
        with Index.open(place / name) as shard:  # which compares every file with its hash
            held.update(shard.store.document_ids())
    lost, refused = len({*acknowledged} - held), number - len(acknowledged)
    kills = machines.kills - before
    return Outcome("additions", kills, number, refused, 0, 0, lost, time.perf_counter() - began)


def measure(kills: int, articles: int, seldom: float, seed: int) -> Iterator[Outcome]:
    """Yield what became of builds, searches and additions, of which each has so many nodes killed."""
    corpus = generate(articles=articles, questions=30, seed=3)
    machines = Machines(seed)
    try:
        with tempfile.TemporaryDirectory() as folder, computing_on(1):
            place = Path(folder)
            ShardedIndex.build(corpus.documents, place / "whole", SHARDS).close()
            yield searching(machines, corpus, place / "whole", 2, kills, seldom)
            yield adding(machines, Path(shutil.copytree(place / "whole", place / "changed")), 2, kills, seldom)
            with ShardedIndex(place / "whole") as wanted:
                yield indexing(machines, corpus, place, wanted, kills, seldom)
            yield searching(machines, corpus, place / "whole", 1, kills, seldom)
    finally:
        machines.close()


def main(arguments: Sequence[str]) -> None:
    """Print a row for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="nodes, in each part (default: 20)")
    parser.add_argument("--articles", type=int, default=600, help="of the corpus (default: 600)")
    parser.add_argument("--seldom", type=float, default=12.0, help="seconds between two kills at most (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parsed = parser.parse_args(arguments)
    print("| while | nodes killed | times | refused | named a shard | wrong | acknowledged and lost | took |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for outcome in measure(parsed.kills, parsed.articles, parsed.seldom, parsed.seed):
        print(outcome, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What shards cost together: measured parts, put together by a discrete-event simulation, and a load that tests it.

    python benchmarks/scale_simulation.py --corpus ../shared/data/2wiki --questions ../shared/data/2wiki \\
        --json scale.json

For one, two and four shards in actors of Ray, one client alone tells the parts of a hybrid search: its round trips,
CPU of the client, how much of it is spent outside of Python's lock, CPU of every shard and of what carries messages,
and the time in which nothing computes; and what Ray takes while nobody searches. The simulation knows these, the cores,
and that the threads of a process compute in turns. It foretells searches a second and their time for several clients,
which are then let loose. All is on one machine, which should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil
import simpy
from table import markdown
from trailhound import IndexSettings, SearchAgent, ShardedIndex
from trailhound.retrievers._thread_limits import computing_on
from trailhound.retrievers.protocols import query_vectors
from trailhound.retrievers.questions._labelled import load_questions

LIMIT = 10

IDLE = 5
"""Seconds in which nobody searches, and Ray is watched."""

SLICE = sys.getswitchinterval() * 1000
"""Milliseconds after which a thread that computes gives Python's lock to others, and its core."""

TICK = 10.0
"""Milliseconds between two times that Ray's processes compute of themselves."""


@dataclass(frozen=True)
class Parts:
    """What a search takes, in milliseconds.

    Attributes:
        rounds: round trips.
        client: CPU of the thread that searches, under Python's lock.
        receiving: CPU of the threads of its process that receive answers, under the lock too.
        unlocked: CPU of it outside of the lock, such as encoding.
        shards: CPU of every shard.
        carrying: CPU of all other processes of the cluster that searches are the cause of.
        idle: time in which nothing computes.
        beside: CPU that those take anyway, as a share of a core.
        shape: how long each search takes, as a share of the mean.
    """

    rounds: float
    client: float
    receiving: float
    unlocked: float
    shards: tuple[float, ...]
    carrying: float
    idle: float
    beside: float
    shape: tuple[float, ...]


@dataclass(frozen=True)
class Load:
    """Searches a second, and the milliseconds of each: mean and 95th percentile."""

    rate: float
    mean: float
    p95: float

    @classmethod
    def of(cls, milliseconds: Sequence[float], seconds: float) -> Load:
        """Return the figures of so many searches in so many seconds."""
        return cls(
            len(milliseconds) / seconds, statistics.fmean(milliseconds), statistics.quantiles(milliseconds, n=20)[18]
        )


class Machine:
    """A model of the machine: its cores, and the lock of every process.

    Args:
        world: in which time passes.
        cores: of the machine.
        processes: the client, and every shard.
    """

    def __init__(self, world: simpy.Environment, cores: int, processes: int) -> None:
        self._world = world
        self._cores = simpy.Resource(world, cores)
        self._locks = [simpy.Resource(world, 1) for _ in range(processes)]

    def compute(self, milliseconds: float, process: int | None = None) -> Iterator[Any]:
        """Compute on a core for so long; under the lock of a process, or without."""
        while milliseconds > 0:
            now = min(milliseconds, SLICE)
            milliseconds -= now
            if process is None:
                yield from self._on_core(now)
            else:
                with self._locks[process].request() as turn:
                    yield turn
                    yield from self._on_core(now)

    def _on_core(self, milliseconds: float) -> Iterator[Any]:
        with self._cores.request() as mine:
            yield mine
            yield self._world.timeout(milliseconds)


def simulated(parts: Parts, clients: int, cores: int, searches: int = 4000) -> Load:
    """Let clients search in a model of the machine, each again as soon as it is answered."""
    world, draw, taken = simpy.Environment(), Random(0), list[float]()
    machine = Machine(world, cores, len(parts.shards) + 1)
    rounds = max(round(parts.rounds), 1)

    def client() -> Iterator[Any]:
        while len(taken) < searches:
            began, length = world.now, draw.choice(parts.shape)
            yield world.process(machine.compute(length * parts.unlocked))
            for _ in range(rounds):
                yield world.process(machine.compute(length * parts.client / rounds, 0))
                yield world.process(machine.compute(length * parts.carrying / rounds))
                yield world.timeout(parts.idle / rounds)
                share = length / rounds
                yield world.all_of([world.process(answer(number, share)) for number in range(len(parts.shards))])
            taken.append(world.now - began)

    def answer(shard: int, share: float) -> Iterator[Any]:
        yield world.process(machine.compute(share * parts.shards[shard], shard + 1))
        yield world.process(machine.compute(share * parts.receiving / len(parts.shards), 0))

    def beside() -> Iterator[Any]:
        while True:
            yield world.process(machine.compute(parts.beside * TICK))
            yield world.timeout(TICK * max(1 - parts.beside, 0.0))

    asking = [world.process(client()) for _ in range(clients)]
    world.process(beside())
    world.run(until=world.all_of(asking))
    return Load.of(taken, world.now / 1000)


def measured_parts(index: ShardedIndex, questions: Sequence[str]) -> Parts:
    """Search with one client alone, and see which processes compute."""
    agent = SearchAgent(index, system="hybrid")
    for question in questions:  # files that are read again are in memory
        _timed(agent, question)
    rounds = statistics.fmean(_rounds(index, agent, question) for question in questions[:20])
    before, began = _cpu_of_others(), time.perf_counter()
    time.sleep(IDLE)
    took = 1000 * (time.perf_counter() - began)
    beside = sum(cpu - before.get(process, 0.0) for process, cpu in _cpu_of_others().items()) / took
    before, own, mine, began = _cpu_of_others(), time.process_time(), time.thread_time(), time.perf_counter()
    milliseconds = [_timed(agent, question) for question in questions]
    whole, own = 1000 * (time.perf_counter() - began), 1000 * (time.process_time() - own)
    mine = 1000 * (time.thread_time() - mine)
    others = {process: cpu - before.get(process, 0.0) for process, cpu in _cpu_of_others().items()}
    shards = sorted((cpu for (_, is_shard), cpu in others.items() if is_shard), reverse=True)[: len(index.shards)]
    carrying = max(sum(others.values()) - sum(shards) - beside * whole, 0.0)
    unlocked, my_part = time.process_time(), time.thread_time()
    for question in questions:
        query_vectors(index.encoder, [question])
    unlocked, my_part = 1000 * (time.process_time() - unlocked), 1000 * (time.thread_time() - my_part)
    count, mean = len(questions), statistics.fmean(milliseconds)
    side_by_side = max(max(shards), sum(shards) / (os.cpu_count() or 1))
    idle = max(whole - own - carrying - side_by_side, 0.0)
    return Parts(
        rounds,
        (mine - my_part) / count,
        max(own - unlocked - (mine - my_part), 0.0) / count,
        unlocked / count,
        tuple(cpu / count for cpu in shards),
        carrying / count,
        idle / count,
        beside,
        tuple(one / mean for one in milliseconds),
    )


def _rounds(index: ShardedIndex, agent: SearchAgent, question: str) -> int:
    """Return in how many round trips a search asks the first shard; most ask all."""
    shard: Any = index.shards[0]
    calls = shard.calls
    agent.search(question, LIMIT)
    return int(shard.calls - calls)


def _cpu_of_others() -> dict[tuple[int, bool], float]:
    """Return the milliseconds of CPU of the cluster's processes, by number and whether it is a shard."""
    used = {}
    for process in psutil.Process().children(recursive=True):
        try:
            times, name = process.cpu_times(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        used[process.pid, "ShardServer" in name] = 1000 * (times.user + times.system)
    return used


def _timed(agent: SearchAgent, question: str) -> float:
    began = time.perf_counter()
    agent.search(question, LIMIT)
    return 1000 * (time.perf_counter() - began)


def loaded(index: ShardedIndex, questions: Sequence[str], clients: int, seconds: float) -> Load:
    """Let clients search for so long, each again as soon as it is answered."""
    taken: list[float] = []
    agent = SearchAgent(index, system="hybrid")
    until = time.perf_counter() + seconds

    def client(place: int) -> None:
        while time.perf_counter() < until:
            taken.append(_timed(agent, questions[place % len(questions)]))
            place += clients

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load.of(taken, time.perf_counter() - began)


def main() -> None:
    """Measure, simulate, load, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--folder", type=Path, help="where the sharded indexes are kept, for another run")
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    questions = [one.text for one in load_questions(parsed.questions, parsed.split)[0]][:200]
    cores, found = os.cpu_count() or 1, []
    from trailhound.retrievers._ray_cluster import connect

    with tempfile.TemporaryDirectory() as passing, computing_on(1):
        folder = parsed.folder or Path(passing)
        settings = IndexSettings(late_interaction=False)
        for shards in parsed.shards:
            ShardedIndex.build(parsed.corpus, folder / str(shards), shards, settings=settings).close()
        connect("local")
        for shards in parsed.shards:
            with ShardedIndex(folder / str(shards), on_ray=True) as index:
                parts = measured_parts(index, questions)
                print({**asdict(parts), "shape": "..."}, flush=True)
                for clients in parsed.clients:
                    told, was = simulated(parts, clients, cores), loaded(index, questions, clients, parsed.seconds)
                    about = {"shards": shards, "clients": clients}
                    found.append({**about, "parts": asdict(parts), "simulated": asdict(told), "measured": asdict(was)})
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(found, indent=1), "utf-8")
    headings = ["shards", "clients"]
    headings += [
        f"{figure}, {how}" for figure in ("searches/s", "mean ms", "p95 ms") for how in ("simulated", "measured")
    ]
    rows = []
    for one in found:
        pairs = [(one["simulated"][name], one["measured"][name]) for name in ("rate", "mean", "p95")]
        rows.append([one["shards"], one["clients"], *(f"{value:.1f}" for pair in pairs for value in pair)])
    print(markdown(headings, rows))


if __name__ == "__main__":
    main()

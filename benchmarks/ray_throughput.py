"""How many searches a second one replica and two replicas of the server answer, behind Ray Serve.

    python benchmarks/ray_throughput.py 2wiki.index --questions ../shared/data/2wiki --split dev

Each replica has one thread. Every replica has four clients, which ask again as soon as they are answered; the rounds of
one and of two replicas take turns. The clients and Ray's proxy compute on the same machine, and what each takes is
printed.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
from trailhound.retrievers.questions._labelled import load_questions

from serving import Client

CLIENTS = 4
"""Of each replica."""

KINDS = {"replicas": "ServeReplica", "proxy": "ProxyActor"}
"""What a process of Ray Serve is, by what its command line has."""


def measured(index: Path, replicas: int, questions: list[str], seconds: float) -> tuple[float, dict[str, float]]:
    """Serve by so many replicas; returns the searches a second and the milliseconds of CPU of each, by what it is."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "trailhound", "serve", str(index), "--port", str(port), "--threads", "1"]
    server = subprocess.Popen([*command, "--ray", "local", "--replicas", str(replicas)], stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        for question in questions[:50]:  # every replica has loaded what it needs
            Client(port).found(question)
        before, own = _cpu(server.pid), time.process_time()
        rate = _rate(port, CLIENTS * replicas, questions, seconds)
        spent = {"clients": time.process_time() - own}
        for key, cpu in _cpu(server.pid).items():
            spent[key[1]] = spent.get(key[1], 0.0) + cpu - before.get(key, 0.0)
        return rate, {kind: 1000 * cpu / (rate * seconds) for kind, cpu in spent.items()}
    finally:
        server.terminate()
        server.wait(120)


def _cpu(server: int) -> dict[tuple[int, str], float]:
    """Return the seconds of CPU of a server's processes, by number and what each is."""
    used = {}
    for process in psutil.Process(server).children(recursive=True):
        with suppress(psutil.Error):
            times, line = process.cpu_times(), " ".join(process.cmdline())
            kind = next((kind for kind, name in KINDS.items() if name in line), "the rest of Ray")
            used[process.pid, kind] = times.user + times.system
    return used


def _rate(port: int, clients: int, questions: list[str], seconds: float) -> float:
    answered = [0] * clients
    until = time.monotonic() + seconds

    def asking(number: int) -> None:
        client, place = Client(port), number
        while time.monotonic() < until:
            client.found(questions[place % len(questions)])
            answered[number] += 1
            place += clients

    threads = [threading.Thread(target=asking, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answered) / seconds


def _wait(port: int) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        with suppress(OSError):
            Client(port)("GET", "/v1/workspaces")
            return
        time.sleep(0.5)
    raise SystemExit("the server has not answered for three minutes")


def main() -> None:
    """Serve an index by one and by two replicas, in turns, and print the rates."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parsed = parser.parse_args()
    questions = [one.text for one in load_questions(parsed.questions, parsed.split)[0]][:200]
    rates: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "served"
        shutil.copytree(parsed.index, index)
        for _ in range(parsed.rounds):
            for replicas, found in rates.items():
                rate, spent = measured(index, replicas, questions, parsed.seconds)
                found.append(rate)
                each = ", ".join(f"{kind} {cpu:.1f}" for kind, cpu in sorted(spent.items()))
                print(f"{replicas} replicas: {rate:.1f} searches/s; ms of CPU of a search: {each}", flush=True)
    one, two = (statistics.median(found) for found in rates.values())
    print(f"medians: {one:.1f} and {two:.1f} searches/s, {two / one:.2f} times")


if __name__ == "__main__":
    main()

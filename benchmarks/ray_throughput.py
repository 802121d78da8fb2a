"""How many searches a second one replica and two replicas of the server answer, behind Ray Serve.

    python benchmarks/ray_throughput.py 2wiki.index --questions ../shared/data/2wiki --split dev

Each replica has one thread. Every replica has four clients, which ask again as soon as they are answered; the rounds of
one and of two replicas take turns. The clients and Ray's proxy compute on the same machine.
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

from trailhound.retrievers.questions._labelled import load_questions

from serving import Client

CLIENTS = 4
"""Of each replica."""


def measured(index: Path, replicas: int, questions: list[str], seconds: float) -> float:
    """Serve by so many replicas, and return how many searches a second they answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "trailhound", "serve", str(index), "--port", str(port), "--threads", "1"]
    server = subprocess.Popen([*command, "--ray", "local", "--replicas", str(replicas)], stderr=subprocess.DEVNULL)
    try:
        _wait(port)
        for question in questions[:50]:  # every replica has loaded what it needs
            Client(port).found(question)
        return _rate(port, CLIENTS * replicas, questions, seconds)
    finally:
        server.terminate()
        server.wait(120)


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
                found.append(measured(index, replicas, questions, parsed.seconds))
                print(f"{replicas} replicas: {found[-1]:.1f} searches/s", flush=True)
    one, two = (statistics.median(found) for found in rates.values())
    print(f"medians: {one:.1f} and {two:.1f} searches/s, {two / one:.2f} times")


if __name__ == "__main__":
    main()

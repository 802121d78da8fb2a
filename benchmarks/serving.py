"""A server under load: errors, wrong answers, waiting against queueing's bound, and memory, with additions beside.

python benchmarks/serving.py INDEX --questions corpora/2wiki --split dev --clients 8 64 --seconds 60 --json serving.json
python benchmarks/serving.py INDEX --questions corpora/2wiki --split dev --clients 8 --queries 20000 --json memory.json

A copy of the index is served by ``trailhound serve``. One client alone tells how long a search takes, before and after
each load. So many clients that each ask again at once wait for service time x clients / threads, which is the bound.
Wrong is a result of another question, one that has not among its first five what came first before the load, or one
that does not find a document whose job is done. Additions shift BM25 a little, so the rest of a ranking may move.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any

import psutil
from trailhound.retrievers.questions._labelled import load_questions

_EVERY = 2.0
"""Seconds between two additions, and between two looks at the memory."""


class Client:
    """A client that keeps its connection."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=300)

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        """Ask, and return the JSON that is answered."""
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise OSError(f"{answer.status}: {content[:200]!r}")
        return json.loads(content)

    def found(self, question: str) -> list[str]:
        """Return the ids of the passages that are found, best first."""
        result = self("POST", "/v1/workspaces/served/search", {"question": question})
        if result["question"] != question:
            raise ValueError(f"the result is one of {result['question']!r}")
        return [one["passage"]["id"] for one in result["evidence"]]


@dataclass(frozen=True)
class Alone:
    """What a search of one client alone takes: milliseconds of the clock, and of the server's CPU."""

    milliseconds: float
    cpu_ms: float


@dataclass
class Load:
    """What a load showed."""

    milliseconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    wrong: int = 0
    additions: int = 0
    memory: list[tuple[int, float]] = field(default_factory=list)
    cpu_ms: float = 0.0

    def ask(self, client: Client, question: str, first: str) -> None:
        """Ask a question, and take down how it went."""
        began = time.perf_counter()
        try:
            found = client.found(question)
        except ValueError:
            self.wrong += 1
        except OSError as error:
            self.errors.append(str(error))
        else:
            self.milliseconds.append(1000 * (time.perf_counter() - began))
            self.wrong += first not in found[:5]


def loaded(
    server: psutil.Process, port: int, questions: list[tuple[str, str]], clients: int, seconds: float, queries: int
) -> Load:
    """Let clients ask for so long, or so many questions, while documents are added."""
    load, stop, until = Load(), threading.Event(), time.monotonic() + seconds

    def over() -> bool:
        return len(load.milliseconds) >= queries if queries else time.monotonic() > until

    def asking(number: int) -> None:
        client, place = Client(port), number
        while not over():
            load.ask(client, *questions[place % len(questions)])
            place += clients

    def adding() -> None:
        client = Client(port)
        while not stop.wait(_EVERY):
            processes = [server, *server.children(recursive=True)]
            used = sum(process.memory_info().rss for process in processes) / 2**20
            load.memory.append((len(load.milliseconds), used))
            with suppress(OSError):
                _add(client, load)

    before = _cpu(server)
    threads = [threading.Thread(target=asking, args=(number,)) for number in range(clients)]
    beside = threading.Thread(target=adding)
    for thread in (*threads, beside):
        thread.start()
    for thread in threads:
        thread.join()
    load.cpu_ms = (_cpu(server) - before) / max(len(load.milliseconds), 1)
    stop.set()
    beside.join()
    return load


def _cpu(server: psutil.Process) -> float:
    """Return the milliseconds of CPU that a server has used."""
    used = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return 1000 * sum(one.user + one.system for one in used)


def _add(client: Client, load: Load) -> None:
    """Add a document, and look for it once its job is done."""
    name = f"addition-{time.time_ns()}"
    about = {"id": name, "title": name, "text": f"The {name} was brought by a client. It is a single document."}
    job = client("POST", "/v1/workspaces/served/documents", [about])
    while job["ended"] is None:
        time.sleep(0.05)
        job = client("GET", f"/v1/jobs/{job['id']}")
    load.additions += 1
    if f"{name}#0" not in client.found(f"Who brought the {name}?"):
        load.wrong += 1


def figures(load: Load, clients: int, threads: int, alone: list[Alone]) -> dict[str, Any]:
    """Return the figures of a load, with what one client saw before and after it."""
    service = mean(one.milliseconds for one in alone)
    bound = service * clients / threads
    cuts = quantiles(load.milliseconds, n=20)
    used = [memory for asked, memory in load.memory if asked >= len(load.milliseconds) / 10]
    return {
        "clients": clients,
        "searches": len(load.milliseconds),
        "additions": load.additions,
        "errors": len(load.errors),
        "first_error": load.errors[0] if load.errors else None,
        "wrong": load.wrong,
        "alone_ms": service,
        "alone_cpu_ms": mean(one.cpu_ms for one in alone),
        "cpu_ms": load.cpu_ms,
        "p50_ms": cuts[9],
        "p95_ms": cuts[18],
        "bound_ms": bound,
        "p95_to_bound": cuts[18] / bound,
        "memory_mb_first": used[0] if used else None,
        "memory_mb_last": used[-1] if used else None,
    }


def main() -> None:
    """Serve, load, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", required=True)
    parser.add_argument("--clients", type=int, nargs="+", default=[8, 64])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="of each worker")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--queries", type=int, default=0, help="ask so many instead, whatever it takes")
    parser.add_argument("--distinct", type=int, default=100, help="different questions")
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    texts = [one.text for one in load_questions(parsed.questions, parsed.split)[0][: parsed.distinct]]
    rows = []
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        place = shutil.copytree(parsed.index, Path(folder) / "served.index")
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        line = [sys.executable, "-m", "trailhound", "serve", str(place), "--port", str(port)]
        line += ["--workers", str(parsed.workers), "--threads", str(parsed.threads)]
        process = subprocess.Popen(line)
        try:
            _wait(port)
            client = Client(port)
            questions = [(text, client.found(text)[0]) for text in texts]
            server = psutil.Process(process.pid)
            alone = _alone(server, port, texts)
            for clients in parsed.clients:
                load = loaded(server, port, questions, clients, parsed.seconds, parsed.queries)
                after = _alone(server, port, texts)
                rows.append(figures(load, clients, parsed.workers * parsed.threads, [alone, after]))
                print("  ".join(f"{name} {_shown(value)}" for name, value in rows[-1].items()), flush=True)
                alone = after
        finally:
            process.terminate()
            process.wait()
    if parsed.json is not None:
        parsed.json.write_text(json.dumps(rows, indent=1), "utf-8")


def _wait(port: int) -> None:
    while True:
        try:
            Client(port)("GET", "/health/ready")
            return
        except OSError:
            time.sleep(0.2)


def _alone(server: psutil.Process, port: int, texts: list[str]) -> Alone:
    """Ask some questions from one client alone."""
    client, found, before = Client(port), [], _cpu(server)
    for text in texts[:50]:
        began = time.perf_counter()
        client.found(text)
        found.append(1000 * (time.perf_counter() - began))
    return Alone(median(found), (_cpu(server) - before) / len(found))


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()

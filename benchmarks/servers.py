"""Do servers that fork answer as one process does, and how soon? gunicorn, uvicorn, Celery, a pool, a DataLoader.

python benchmarks/servers.py INDEX --questions corpora/2wiki --split dev --json servers.json

The programs are those of docs/embedding.md, started as it says. Each is asked the same questions by four clients at
once, and every answer is compared with that of an agent in this process. The first answer of a process is told apart:
there a forked one makes anew what it could not take along. Servers whose packages are missing are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from trailhound import SearchAgent
from trailhound.retrievers.questions._labelled import load_questions

GUIDE = Path(__file__).parents[1] / "docs" / "embedding.md"
CLIENTS = 4
_PATIENCE = 60.0
"""Seconds after which a server counts as one that hangs."""

Answer = dict[str, Any]
"""``found``, the ids of passages; ``process``; ``seconds``."""

_POOL = """
import json, os, sys, time
from multiprocessing import get_context
import pool

def timed(question):
    begun = time.perf_counter()
    return {"found": pool.search(question), "process": os.getpid(), "seconds": time.perf_counter() - begun}

questions = json.load(sys.stdin)
with get_context("fork").Pool(2) as workers:
    answers = workers.map(timed, questions, 1)
assert pool.search_all(questions) == [answer["found"] for answer in answers]
json.dump(answers, sys.stdout)
"""
_LOADER = """
import json, os, sys, time
import loader

class Timed(loader.Retrieved):
    def __getitem__(self, number):
        begun = time.perf_counter()
        found = super().__getitem__(number)
        return {"found": found, "process": os.getpid(), "seconds": time.perf_counter() - begun}

questions = json.load(sys.stdin)
answers = list(loader.DataLoader(Timed(questions), batch_size=None, num_workers=2))
assert loader.search_all(questions) == [answer["found"] for answer in answers]
json.dump(answers, sys.stdout)
"""
_CELERY = """
import json, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from celery import Celery

asking = Celery("asking", broker=os.environ["MY_BROKER"], backend=os.environ["MY_BACKEND"])

def ask(question):
    begun = time.perf_counter()
    answer = asking.send_task("tasks.search", [question]).get(timeout=60, interval=0.01)
    return answer | {"seconds": time.perf_counter() - begun}

asking.send_task("celery.accumulate", ["the worker has started"]).get(timeout=60)
with ThreadPoolExecutor(4) as pool:
    json.dump(list(pool.map(ask, json.load(sys.stdin))), sys.stdout)
"""


def programs() -> tuple[dict[str, str], list[list[str]]]:
    """Return the files of the guide by name, and its commands."""
    text = GUIDE.read_text("utf-8")
    files = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.DOTALL))
    return files, [shlex.split(line)[1:] for line in re.findall(r"```\n(python -m .*)\n```", text)]


@contextmanager
def running(name: str, folder: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of the guide until the block ends, then stop it as an operator would."""
    command = next(command for command in programs()[1] if command[1] == name)
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([sys.executable, *command, *more], cwd=folder, stdout=log, stderr=log) as server:
        try:
            yield server
            server.send_signal(signal.SIGTERM)
            server.wait(_PATIENCE)
        except BaseException:
            print((folder / "log").read_text("utf-8", "replace")[-3000:], file=sys.stderr)
            raise
        finally:
            server.kill()


def over_http(name: str, folder: Path, questions: list[str]) -> list[Answer]:
    """Start a server of the guide on a free port, and ask it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    place = ["--bind", f"127.0.0.1:{port}"] if name == "gunicorn" else ["--port", str(port)]

    def ask(question: str) -> Answer:
        begun = time.perf_counter()
        with urlopen(f"http://127.0.0.1:{port}/?question={quote(question)}", timeout=_PATIENCE) as reply:
            answer: Answer = json.load(reply)
        return answer | {"seconds": time.perf_counter() - begun}

    with running(name, folder, *place) as server:
        _wait_for(port, server)
        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(ask, questions))


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise RuntimeError("the server does not listen")


def by_program(program: str, folder: Path, questions: list[str]) -> list[Answer]:
    """Ask in a Python program, which reads the questions and writes the answers."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
        timeout=5 * _PATIENCE,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    answers: list[Answer] = json.loads(done.stdout)
    return answers


def by_celery(folder: Path, questions: list[str]) -> list[Answer]:
    """Start a worker over a broker that is a folder, and ask it."""
    (folder / "data_in").mkdir()
    (folder / "data_out").symlink_to("data_in")
    (folder / "results").mkdir()
    os.environ |= {"MY_BROKER": "filesystem://", "MY_BACKEND": (folder / "results").as_uri()}
    with running("celery", folder):
        return by_program(_CELERY, folder, questions)


SERVERS: dict[str, tuple[tuple[str, ...], Callable[[Path, list[str]], list[Answer]]]] = {
    "pool": ((), lambda folder, questions: by_program(_POOL, folder, questions)),
    "loader": (("torch",), lambda folder, questions: by_program(_LOADER, folder, questions)),
    "gunicorn": (("gunicorn",), lambda folder, questions: over_http("gunicorn", folder, questions)),
    "uvicorn": (("uvicorn", "fastapi"), lambda folder, questions: over_http("uvicorn", folder, questions)),
    "celery": (("celery",), by_celery),
}
"""The packages that each needs, and how it is asked."""


def figures(answers: list[Answer], wanted: list[list[str]]) -> dict[str, float]:
    """Return what is told of a server."""
    first: dict[int, float] = {}
    for answer in answers:
        first.setdefault(answer["process"], answer["seconds"])
    return {
        "processes": len(first),
        "wrong": sum(answer["found"] != found for answer, found in zip(answers, wanted, strict=True)),
        "first_ms": 1000 * max(first.values()),
        "median_ms": 1000 * median(answer["seconds"] for answer in answers),
        "slowest_ms": 1000 * max(answer["seconds"] for answer in answers),
    }


def main() -> None:
    """Ask every server, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--questions", type=Path, required=True, help="a folder of questions")
    parser.add_argument("--split", required=True)
    parser.add_argument("--asked", type=int, default=40)
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    questions = [question.text for question in load_questions(parsed.questions, parsed.split)[0][: parsed.asked]]
    os.environ["MY_INDEX"] = str(parsed.index.absolute())
    with SearchAgent(parsed.index) as agent:
        wanted = [[evidence.passage.id for evidence in agent.search(question).evidence] for question in questions]
    rows = {}
    for name in parsed.only:
        packages, ask = SERVERS[name]
        if missing := [package for package in packages if find_spec(package) is None]:
            print(f"{name:<9} left out: {', '.join(missing)} is not installed")
            continue
        with tempfile.TemporaryDirectory() as place:
            for file, code in programs()[0].items():
                (Path(place) / file).write_text(code, "utf-8")
            rows[name] = figures(ask(Path(place), questions), wanted)
        print(
            "{:<9} {processes} processes  {wrong} wrong  first {first_ms:6.0f} ms  median {median_ms:6.0f} ms"
            "  slowest {slowest_ms:6.0f} ms".format(name, **rows[name])
        )
    if parsed.json is not None:
        about = {"cores": os.cpu_count(), "machine": platform.platform(), "clients": CLIENTS}
        parsed.json.write_text(json.dumps({**about, "servers": rows}, indent=2) + "\n", "utf-8")
    raise SystemExit(any(row["wrong"] for row in rows.values()))


if __name__ == "__main__":
    main()

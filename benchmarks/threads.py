"""What a search costs in worker threads against the main thread, in CPU, with a neighbour that is busy.

python benchmarks/threads.py INDEX --questions corpora/2wiki --split dev --json threads.json

Every pass asks the same questions. The main thread searches before and after each number of threads, and its mean is
what they are compared with, so that a machine that grows slower meanwhile is not taken for the library. The environment
says nothing about threads, whatever the caller's says, and a neighbour computes all the while.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import mean

from trailhound import SearchAgent
from trailhound.retrievers.questions._labelled import load_questions

THREADS = (1, 2, 8)
_SAYS_SO = "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"
_NEIGHBOUR = "while True: sum(range(100_000))"


def cpu(agent: SearchAgent, questions: list[str], threads: int) -> float:
    """Return milliseconds of the process's CPU to a search; in the main thread where ``threads`` is 0."""

    def search() -> None:
        for question in questions:
            agent.search(question)

    before = time.process_time()
    workers = [threading.Thread(target=search) for _ in range(threads)]
    for worker in workers:
        worker.start()
    if not workers:
        search()
    for worker in workers:
        worker.join()
    return 1000 * (time.process_time() - before) / (max(threads, 1) * len(questions))


def measure(agent: SearchAgent, questions: list[str], passes: int) -> list[dict[str, float]]:
    """Return the figures for each number of threads, after a pass that warms everything up."""
    agent.search_many(questions)
    cpu(agent, questions, 0)
    rows = []
    for threads in THREADS:
        main, workers = [cpu(agent, questions, 0)], []
        for _ in range(passes):
            workers.append(cpu(agent, questions, threads))
            main.append(cpu(agent, questions, 0))
        row = {"threads": threads, "main_ms": mean(main), "worker_ms": mean(workers)}
        rows.append(row | {"ratio": row["worker_ms"] / row["main_ms"]})
    return rows


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--questions", type=Path, required=True, help="a folder of questions")
    parser.add_argument("--split", required=True)
    parser.add_argument("--system", help="default: the policy that ships")
    parser.add_argument("--asked", type=int, default=20, help="questions of a pass")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parsed = parser.parse_args()
    if any(name in os.environ for name in _SAYS_SO):
        free = {name: value for name, value in os.environ.items() if name not in _SAYS_SO}
        os.execve(sys.executable, [sys.executable, *sys.argv], free)
    questions = [question.text for question in load_questions(parsed.questions, parsed.split)[0][: parsed.asked]]
    agent = SearchAgent(parsed.index, system=parsed.system)
    with subprocess.Popen([sys.executable, "-c", _NEIGHBOUR]) as neighbour:
        try:
            rows = measure(agent, questions, parsed.passes)
        finally:
            neighbour.kill()
    for row in rows:
        print("{threads:>2} threads {worker_ms:8.1f} ms  main {main_ms:8.1f} ms  {ratio:5.2f} times".format(**row))
    if parsed.json is not None:
        about = {"system": agent.answered_by, "cores": os.cpu_count(), "machine": platform.platform()}
        parsed.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()

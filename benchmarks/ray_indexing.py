"""What indexing on Ray costs: CPU of all processes of the cluster, against one process that builds one index.

    python benchmarks/ray_indexing.py --corpus ../shared/data/2wiki

Counted are the processes that a command starts, Ray's own among them, their imports included. The cluster has two cores
and ends with the build.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

ON_RAY = """
import sys
import ray
from trailhound import ShardedIndex
ray.init("local", num_cpus=2, object_store_memory=150_000_000, include_dashboard=False, log_to_driver=False)
ShardedIndex.build(sys.argv[1], sys.argv[2], int(sys.argv[3]), on_ray=True).close()
"""

HERE = """
import sys
from trailhound import Index, ShardedIndex
if int(sys.argv[3]) == 1:
    Index.build(sys.argv[1], sys.argv[2], threads=1).close()
else:
    ShardedIndex.build(sys.argv[1], sys.argv[2], int(sys.argv[3]), threads=1).close()
"""

_OFTEN = 0.1
"""Seconds between two looks at the processes."""


def kind_of(process: psutil.Process) -> str:
    """Return what a process is for."""
    line = " ".join(process.cmdline())
    names = ("gcs_server", "raylet", "log_monitor", "dashboard", "Dashboard", "runtime_env", "RuntimeEnv", "ray::")
    return next((name for name in names if name in line), process.name()).lower()


def cpu_of(*arguments: str) -> tuple[float, float, dict[str, float]]:
    """Return the seconds of CPU and of time that Python and all it starts take, and the CPU by kind of process."""
    began = time.perf_counter()
    running = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    me = psutil.Process(running.pid)
    seen: dict[tuple[int, float], tuple[str, float]] = {}
    while running.poll() is None:
        try:
            processes = [me, *me.children(recursive=True)]
        except psutil.NoSuchProcess:
            break
        for process in processes:
            try:
                times = process.cpu_times()
                key = process.pid, process.create_time()
                seen[key] = (kind_of(process), times.user + times.system)
            except psutil.NoSuchProcess:
                continue
        time.sleep(_OFTEN)
    if running.wait():
        raise SystemExit(f"failed: {arguments}")
    kinds: dict[str, float] = {}
    for name, seconds in seen.values():
        kinds[name] = kinds.get(name, 0.0) + seconds
    return sum(kinds.values()), time.perf_counter() - began, kinds


def main(arguments: Sequence[str]) -> None:
    """Build the corpus here and on Ray, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=2, help="on Ray (default: 2)")
    parsed = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        base = 0.0
        for name, script, shards in (
            ("one process, one index", HERE, 1),
            (f"one process, {parsed.shards} shards", HERE, parsed.shards),
            (f"Ray, {parsed.shards} shards", ON_RAY, parsed.shards),
        ):
            cpu, seconds, kinds = cpu_of("-c", script, str(parsed.corpus), f"{folder}/{name}", str(shards))
            base = base or cpu
            largest = sorted(kinds.items(), key=lambda kind: -kind[1])[:6]
            parts = ", ".join(f"{kind} {used:.1f}" for kind, used in largest)
            print(f"{name}: {cpu:.1f} s of CPU, {cpu / base:.2f} times, in {seconds:.0f} s ({parts})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

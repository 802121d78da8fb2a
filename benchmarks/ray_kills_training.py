"""Trainings on a Ray cluster whose workers and machines are killed: do all come to the weights of an undisturbed one?

    python benchmarks/ray_kills_training.py --kills 20

A small policy is trained once with two processes and without Ray. Then it is trained again and again by two workers on
a cluster of two nodes of this machine. Once in each training a worker's process is killed, or a whole node, which a new
one replaces up to three seconds later. Before which round that happens is random, from before the first to before the
last; the kill comes at a random moment of about as long as a round takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import psutil
from ray.cluster_utils import Cluster
from trailhound.demo._encyclopedia import generate, write_beir

RECIPE = {
    "max_candidates": 20,
    "width": 8,
    "question_width": 4,
    "imitation_epochs": 3,
    "imitation_lanes": 6,
    "ppo_iterations": 5,
    "ppo_lanes": 5,
    "ppo_steps": 8,
    "ppo_passes": 1,
    "minibatch": 16,
    "paths_per_question": 1,
    "ranker_steps": 10,
    "made_beside": 0,
    "patience": 9,
}
ROUNDS = RECIPE["imitation_epochs"] + RECIPE["ppo_iterations"]
SAME = ("policy.safetensors", "policy.json", "log.jsonl", "run.json")
"""What a run writes that does not say how long it took."""


def begin(*arguments: object) -> subprocess.Popen[str]:
    """Begin one command of the package."""
    command = [sys.executable, "-m", "trailhound", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def end(command: subprocess.Popen[str]) -> str:
    """Wait for a command, which must succeed; returns what it warned of."""
    _, said = command.communicate()
    if command.returncode:
        raise SystemExit(f"failed: {said}")
    return said


def training(house: Path) -> list[object]:
    """Make a corpus and its index; returns the command that trains on it, without its folder."""
    write_beir(generate(articles=64, questions=24, seed=5), house / "corpus")
    end(begin("index", house / "corpus", "--out", house / "index", "--quiet"))
    settings = [part for name, value in RECIPE.items() for part in ("--set", f"{name}={value}")]
    sources = ["--index", house / "index", "--questions", house / "corpus", "--split", "train"]
    return ["train", *sources, "--from", "none", "--workers", 2, "--quiet", *settings]


def rounds(out: Path) -> int:
    """Return how many rounds a run has logged."""
    log = out / "log.jsonl"
    return len(log.read_text("utf-8").splitlines()) if log.exists() else 0


def worker_processes(node: Any) -> list[psutil.Process]:
    """Return the processes of a node that train."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    return [child for child in raylet.children(recursive=True) if "_Worker" in " ".join(child.cmdline())]


class Nodes:
    """The cluster that trainings run on: two nodes of a CPU each, and a head of none."""

    def __init__(self) -> None:
        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray would give workers 15, and a busy machine no time
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.address = self._cluster.address
        self._nodes: list[Any] = []
        self.add()
        self.add()

    def add(self) -> None:
        """Add a node."""
        self._nodes.append(self._cluster.add_node(num_cpus=1, object_store_memory=100_000_000))

    def wait_for_worker(self, training: subprocess.Popen[str]) -> bool:
        """Wait until a worker is there; returns whether there will be one."""
        while not any(map(worker_processes, self._nodes)):
            if training.poll() is not None:
                return False
            time.sleep(0.05)
        return True

    def kill(self, whole: bool, random: Random) -> None:
        """Kill a worker's process, or a whole node, and let another come a little later."""
        there = [node for node in self._nodes if worker_processes(node)]
        node = random.choice(there or self._nodes)
        if not whole:
            for process in worker_processes(node):
                process.kill()
            return
        self._nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)
        time.sleep(random.uniform(0, 3))
        self.add()

    def close(self) -> None:
        """End all of them."""
        self._cluster.shutdown()


def main() -> None:
    """Train, kill, compare and print the table; exits with 1 when a training came to other weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="default: 20")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parsed = parser.parse_args()
    random = Random(parsed.seed)
    with tempfile.TemporaryDirectory(prefix="trailhound-kills-") as folder:
        command = training(Path(folder))
        whole, undisturbed = Path(folder) / "whole", Path(folder) / "undisturbed"
        end(begin(*command, "--out", whole))
        nodes = Nodes()
        try:
            going = begin(*command, "--ray", nodes.address, "--out", undisturbed)
            nodes.wait_for_worker(going)
            started = time.perf_counter()
            end(going)
            longest = time.perf_counter() - started
            print(f"undisturbed {longest:.1f} s, same files: {'yes' if same(undisturbed, whole) else 'NO'}")
            print("| kill | of a | after s | rounds done | begun again | seconds | same files |")
            print("|---|---|---|---|---|---|---|")
            different = sum(
                not disturbed(nodes, command, Path(folder) / str(kill), whole, kill, random, longest)
                for kill in range(1, parsed.kills + 1)
            )
        finally:
            nodes.close()
    print(f"{parsed.kills} kills, {different} trainings with other weights")
    sys.exit(bool(different))


def disturbed(
    nodes: Nodes, command: list[object], out: Path, whole: Path, kill: int, random: Random, longest: float
) -> bool:
    """Train, and kill once meanwhile; returns whether the run is the undisturbed one, and prints a row of the table."""
    started = time.perf_counter()
    going = begin(*command, "--ray", nodes.address, "--out", out)
    nodes.wait_for_worker(going)
    wanted = random.randrange(ROUNDS)
    while rounds(out) < wanted and going.poll() is None:
        time.sleep(0.02)
    time.sleep(random.uniform(0, longest / ROUNDS))
    done, after = rounds(out), time.perf_counter() - started
    nodes.kill(kill % 2 == 0, random)
    again = end(going).count("begin again")
    equal = same(out, whole)
    figures = f"{after:.1f} | {done} | {again} | {time.perf_counter() - started:.1f}"
    print(f"| {kill} | {'worker' if kill % 2 else 'node'} | {figures} | {'yes' if equal else 'NO'} |", flush=True)
    return equal


def same(one: Path, other: Path) -> bool:
    """Return whether two runs wrote the same."""
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in SAME)


if __name__ == "__main__":
    main()

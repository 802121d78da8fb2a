"""Quality on real questions: every recipe, three seeds, beside the fixed systems, by the command line as a user would.

    python benchmarks/quality.py --data ../shared/data --work runs/quality --json runs/quality.json
    python benchmarks/quality.py --sets 2wiki --seeds 0 1 2

Indexes and policies are kept in --work and used again. Prints a table in Markdown and writes every figure as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SYSTEMS = ("lexical", "dense", "hybrid", "ppr")


@dataclass(frozen=True)
class Setting:
    """What to learn from, what to measure on: (corpus folder, split)."""

    recipe: str
    train: tuple[str, ...]
    validation: str | None
    corpus: str
    split: str = "dev"


SETTINGS = {
    "2wiki": Setting("2wiki", ("2wiki-train",), "2wiki-train:validation", "2wiki"),
    "exhaustive": Setting("exhaustive", ("2wiki-train",), "2wiki-train:validation", "2wiki"),
    "hotpotqa": Setting("hotpotqa", ("hotpotqa",), None, "hotpotqa"),
    "musique": Setting("musique", ("musique", "hotpotqa", "2wiki-train"), None, "musique"),
}


def run(arguments: list[str]) -> tuple[float, float]:
    """Run one trailhound command; returns its seconds and its peak memory in GiB."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "trailhound", *arguments, "--quiet"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"trailhound {' '.join(arguments)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 2**20


def index(data: Path, work: Path, corpus: str) -> Path:
    """Index a corpus, unless it is there."""
    place = work / f"{corpus}.index"
    if not place.exists():
        run(["index", str(data / corpus), "--out", str(place)])
    return place


def evaluate(data: Path, work: Path, setting: Setting, label: str, arguments: list[str]) -> dict[str, float]:
    """Evaluate one system on the setting's questions."""
    figures = work / f"{label}.json"
    common = ["--index", str(index(data, work, setting.corpus)), "--questions", str(data / setting.corpus)]
    run(["evaluate", *common, "--split", setting.split, "--json", str(figures), *arguments])
    return json.loads(figures.read_text())


def measure(data: Path, work: Path, name: str, seeds: list[int]) -> dict[str, list[dict[str, float]]]:
    """Train one policy per seed and evaluate it, greedily and exhaustively, and the fixed systems once."""
    setting = SETTINGS[name]
    results = {system: [evaluate(data, work, setting, f"{name}-{system}", ["--system", system])] for system in SYSTEMS}
    results |= {"policy": [], "the policy, exhaustive": []}
    for seed in seeds:
        out = work / f"{name}-{seed}"
        sources = [
            part
            for corpus in setting.train
            for part in ("--index", str(index(data, work, corpus)), "--questions", str(data / corpus))
        ]
        validation = ["--validation", str(data / setting.validation)] if setting.validation else []
        recipe = ["--recipe", setting.recipe, "--seed", str(seed), "--out", str(out)]
        seconds, gibibytes = run(["train", *sources, "--split", "train", *validation, *recipe])
        figures = evaluate(data, work, setting, f"{name}-policy-{seed}", ["--policy", str(out)])
        results["policy"].append(figures | {"train_seconds": seconds, "train_gib": gibibytes})
        arguments = ["--policy", str(out), "--system", "exhaustive"]
        results["the policy, exhaustive"].append(evaluate(data, work, setting, f"{name}-exhaustive-{seed}", arguments))
    return results


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """Return mean and spread (standard deviation over seeds) as a Markdown table."""
    shown = ("recall@2", "recall@5", "all_recall@5", "recall@10", "calls_mean", "latency_ms_p50", "latency_ms_p95")
    shown += ("train_seconds", "train_gib")
    lines = [f"| system | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    for system, runs in results.items():
        cells = [_cell(name, [figures[name] for figures in runs if name in figures]) for name in shown]
        lines.append(f"| {system} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(name: str, values: list[float]) -> str:
    if not values:
        return ""
    scale = 100 if "@" in name else 1
    digits = 0 if name == "train_seconds" else 2
    mean = f"{scale * statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {scale * statistics.stdev(values):.{digits}f}"


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("runs/quality"))
    parser.add_argument("--sets", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    everything = {}
    for name in parsed.sets:
        everything[name] = measure(parsed.data, parsed.work, name, parsed.seeds)
        print(f"\n{name}, seeds {' '.join(map(str, parsed.seeds))}\n\n{table(everything[name])}", flush=True)
        if parsed.json:
            parsed.json.write_text(json.dumps(everything, indent=2) + "\n")


if __name__ == "__main__":
    main()

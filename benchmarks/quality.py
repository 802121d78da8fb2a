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


TEXTS = ("entailmentbank", "hotpotqa", "musique", "scifact", "2wiki-train")
"""Every train split there is."""


@dataclass(frozen=True)
class Setting:
    """What to learn from, what to measure on; ``tuned`` are the train splits that the hop encoder is tuned on."""

    recipe: str
    train: tuple[str, ...]
    corpus: str
    validation: str | None = None
    tuned: tuple[str, ...] = ()
    split: str = "dev"


def _without(name: str) -> tuple[str, ...]:
    return tuple(text for text in TEXTS if text != name)


SETTINGS = {
    "2wiki": Setting("2wiki", ("2wiki-train",), "2wiki", "2wiki-train:validation"),
    "exhaustive": Setting("exhaustive", ("2wiki-train",), "2wiki", "2wiki-train:validation"),
    "hotpotqa": Setting("hotpotqa", ("hotpotqa",), "hotpotqa", tuned=TEXTS),
    "musique": Setting("musique", ("musique", "hotpotqa", "2wiki-train"), "musique", tuned=TEXTS),
    "entailmentbank": Setting("entailmentbank", ("entailmentbank",), "entailmentbank", tuned=TEXTS),
    "2wiki-unseen": Setting("shipped", _without("2wiki-train"), "2wiki", tuned=_without("2wiki-train")),
    "hotpotqa-unseen": Setting("shipped", _without("hotpotqa"), "hotpotqa", tuned=_without("hotpotqa")),
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


def sources(data: Path, work: Path, names: tuple[str, ...]) -> list[str]:
    """Return the arguments that name train splits."""
    return [
        part for name in names for part in ("--index", str(index(data, work, name)), "--questions", str(data / name))
    ]


def hop_encoder(data: Path, work: Path, names: tuple[str, ...]) -> list[str]:
    """Tune a hop encoder on train splits, unless it is there; returns the arguments that name it."""
    if not names:
        return []
    left_out = "-".join(name for name in TEXTS if name not in names)
    place = work / f"hop-{'without-' + left_out if left_out else 'all'}"
    run(
        [
            "tune",
            *sources(data, work, names),
            "--split",
            "train",
            "--epochs",
            "3",
            "--threads",
            "1",
            "--out",
            str(place),
        ]
    )
    return ["--hop-encoder", str(place)]


def evaluate(data: Path, work: Path, setting: Setting, label: str, arguments: list[str]) -> dict[str, float]:
    """Evaluate one system on the setting's questions."""
    figures = work / f"{label}.json"
    common = ["--index", str(index(data, work, setting.corpus)), "--questions", str(data / setting.corpus)]
    run(["evaluate", *common, "--split", setting.split, "--json", str(figures), *arguments])
    return json.loads(figures.read_text())


def measure(
    data: Path, work: Path, name: str, seeds: list[int], extra: list[str], alone: bool, hop: str | None = None
) -> dict[str, list[dict[str, float]]]:
    """Train one policy per seed and evaluate it; unless ``alone``, also exhaustively, and the fixed systems once.

    ``hop`` is a hop encoder to use where the setting wants one, in place of tuning it.
    """
    setting = SETTINGS[name]
    fixed = () if alone else SYSTEMS
    results = {system: [evaluate(data, work, setting, f"{name}-{system}", ["--system", system])] for system in fixed}
    results |= {"policy": [], "the policy, exhaustive": []}
    for seed in seeds:
        out = work / f"{name}{''.join(extra).replace('--set', '-')}-{seed}"
        learn = [*sources(data, work, setting.train), "--split", "train"]
        learn += ["--hop-encoder", hop] if hop and setting.tuned else hop_encoder(data, work, setting.tuned)
        validation = ["--validation", str(data / setting.validation)] if setting.validation else []
        recipe = ["--recipe", setting.recipe, "--seed", str(seed), "--out", str(out)]
        seconds, gibibytes = run(["train", *learn, *validation, *recipe, *extra])
        figures = evaluate(data, work, setting, f"{out.name}-policy", ["--policy", str(out)])
        results["policy"].append(figures | {"train_seconds": seconds, "train_gib": gibibytes})
        if not alone:
            arguments = ["--policy", str(out), "--system", "exhaustive"]
            results["the policy, exhaustive"].append(evaluate(data, work, setting, f"{out.name}-exhaustive", arguments))
    return results


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """Return mean and spread (standard deviation over seeds) as a Markdown table."""
    shown = (
        "recall@2",
        "recall@5",
        "all_recall@5",
        "recall@20",
        "return_mean",
        "calls_mean",
        "latency_ms_p50",
        "latency_ms_p95",
    )
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
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="for an ablation: of every recipe"
    )
    parser.add_argument(
        "--alone", action="store_true", help="measure the policy alone, without what it is compared with"
    )
    parser.add_argument("--hop-encoder", default=None, metavar="DIR|shipped", help="use this one, do not tune one")
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    everything = {}
    extra = [part for setting in parsed.set for part in ("--set", setting)]
    for name in parsed.sets:
        everything[name] = measure(
            parsed.data, parsed.work, name, parsed.seeds, extra, parsed.alone, parsed.hop_encoder
        )
        print(f"\n{name}, seeds {' '.join(map(str, parsed.seeds))}\n\n{table(everything[name])}", flush=True)
        if parsed.json:
            parsed.json.write_text(json.dumps(everything, indent=2) + "\n")


if __name__ == "__main__":
    main()

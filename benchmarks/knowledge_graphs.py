"""Reasoning over knowledge graphs: five graphs, three seeds, and what the parts are worth, by the command line.

    python benchmarks/knowledge_graphs.py --data ../shared/data/kg --work runs/kg --json runs/kg/figures.json
    python benchmarks/knowledge_graphs.py --graphs umls --variants policy rounds=0 --seeds 0

Indexes and policies are kept in --work and used again. Prints Markdown tables and writes every figure as JSON.

Where test.txt is kept back, rankings cannot be filtered by the facts in it: they stand among the entities that count as
wrong. The last column says what a perfect ranking would reach under these circumstances: every fact that is not
here is taken to be as likely to answer one question as another that has as many answers.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from quality import run

KEPT_BACK = {"umls": 661, "kinship": 1074}
"""Facts of MINERVA's test.txt, where the entities that answer one question are many."""


@dataclass(frozen=True)
class Setting:
    """A recipe and what differs from it."""

    recipe: str
    settings: tuple[str, ...] = ()


GRAPHS = {
    "umls": Setting("kg"),
    "kinship": Setting("kg"),
    "countries_S1": Setting("kg-rules", ("known_dropout=0.0", "epoch_questions=5000", "imitation_epochs=3")),
    "countries_S2": Setting("kg-rules"),
    "countries_S3": Setting("kg-rules", ("known_dropout=0.5", "fact_dropout=0.2")),
}
VARIANTS = ("policy", "rounds=0", "embedding=false", "embedding=true", "dense")
SHOWN = ("hits@1", "hits@3", "hits@10", "mrr")


def index(data: Path, work: Path, graph: str) -> Path:
    """Index a graph, unless it is there."""
    place = work / f"{graph}.index"
    if not place.exists():
        run(["index", str(data / graph), "--out", str(place), "--threads", "1"])
    return place


def measure(data: Path, work: Path, graph: str, variant: str, seed: int) -> dict[str, float]:
    """Train one policy and evaluate it; the dense sub-index alone needs no training."""
    setting, label = GRAPHS[graph], f"{graph}-{variant}-{seed}"
    common = ["--index", str(index(data, work, graph)), "--questions", str(data / graph)]
    figures, seconds = work / f"{label}.json", 0.0
    system = ["--system", "dense"] if variant == "dense" else ["--policy", str(work / label)]
    if variant != "dense":
        settings = [*setting.settings, *([variant] if "=" in variant else [])]
        recipe = ["--recipe", setting.recipe, *(part for text in settings for part in ("--set", text))]
        arguments = ["train", *common, "--split", "train", *recipe, "--seed", str(seed), "--out", str(work / label)]
        seconds, _ = run(arguments)
    if not figures.exists():
        run(["evaluate", *common, "--split", "dev", "--json", str(figures), *system])
    return json.loads(figures.read_text()) | {"train_seconds": seconds}


def ceiling(data: Path, graph: str) -> dict[str, float] | None:
    """Estimate hits@1 and mrr of a ranking with all true answers before all others, while some are not known to be."""
    if graph not in KEPT_BACK:
        return None
    names = {path.name: path.read_text().splitlines() for path in (data / graph).glob("*.txt")}
    relations = {line.split("\t")[1] for line in names["graph.txt"]}
    facts = {tuple(line.split("\t")) for lines in names.values() for line in lines}
    facts = {fact for fact in facts if not (fact[1].startswith("_") and fact[1][1:] in relations)}
    answers = Counter(fact[:2] for fact in facts)
    asked = [answers[tuple(line.split("\t")[:2])] for line in names["dev.txt"]]
    missing = KEPT_BACK[graph] / (KEPT_BACK[graph] + len(facts))
    unknown = np.random.default_rng(0).negative_binomial(asked, 1 - missing, size=(400, len(asked)))
    harmonic = np.concatenate(([0.0], np.cumsum(1 / np.arange(1, unknown.max() + 2))))
    first, reciprocal = 1 / (1 + unknown), harmonic[unknown + 1] / (1 + unknown)
    return {"hits@1": float(first.mean()), "mrr": float(reciprocal.mean())}


def row(graph: str, variant: str, runs: list[dict[str, float]], best: dict[str, float] | None) -> str:
    """Return one line of the table: mean and standard deviation over seeds."""
    cells = [_cell([100 * figures[name] for figures in runs]) for name in SHOWN]
    cells += [
        _cell([figures["latency_ms_p50"] for figures in runs]),
        _cell([figures["train_seconds"] for figures in runs]),
    ]
    cells.append("" if best is None else f"{100 * best['hits@1']:.1f} / {100 * best['mrr']:.1f}")
    return f"| {graph} | {variant} | {' | '.join(cells)} |"


def _cell(values: list[float]) -> str:
    mean = f"{statistics.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.1f}"


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/kg"))
    parser.add_argument("--work", type=Path, default=Path("runs/kg"))
    parser.add_argument("--graphs", nargs="+", choices=tuple(GRAPHS), default=list(GRAPHS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["policy", "rounds=0", "dense"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    everything: dict[str, list[dict[str, float]]] = {}
    print(f"| graph | variant | {' | '.join(SHOWN)} | ms a question | training s | perfect ranking, hits@1 / mrr |")
    print("|---" * (len(SHOWN) + 5) + "|")
    for graph in parsed.graphs:
        best = ceiling(parsed.data, graph)
        for variant in parsed.variants:
            seeds = parsed.seeds[:1] if variant == "dense" else parsed.seeds
            runs = [measure(parsed.data, parsed.work, graph, variant, seed) for seed in seeds]
            everything[f"{graph} {variant}"] = runs
            print(row(graph, variant, runs, best), flush=True)
            if parsed.json:
                parsed.json.write_text(json.dumps(everything, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Reasoning over knowledge graphs: five graphs, three seeds, and what the parts are worth, by the command line.

    python benchmarks/knowledge_graphs.py --data ../shared/data/kg --work runs/kg --json runs/kg/figures.json
    python benchmarks/knowledge_graphs.py --graphs umls --variants policy rounds=0 --seeds 0

Indexes and policies are kept in --work and used again. Prints Markdown tables and writes every figure as JSON.

Where test.txt is kept back, rankings cannot be filtered by the facts in it: they stand among the entities that count as
wrong. The last columns say what a perfect ranking would reach under these circumstances: every fact that is not
here is taken to be as likely to answer one question as another that has as many answers.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from inputs import arguments, evaluated, index_folder, parse, run
from table import Column, by_system, show, write

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
SHOWN = tuple(Column(name, digits=1, scale=100) for name in ("hits@1", "hits@3", "hits@10", "mrr"))
SHOWN += (Column("latency_ms_p50", "ms a question", 1), Column("train_seconds", "training s", 1))
SHOWN += tuple(Column(f"perfect {name}", digits=1, scale=100) for name in ("hits@1", "mrr"))


def measure(parsed: argparse.Namespace, graph: str, variant: str, seed: int) -> dict[str, float]:
    """Train one policy and evaluate it; the dense sub-index alone needs no training."""
    setting, label = GRAPHS[graph], f"{graph}-{variant}-{seed}"
    index, questions, seconds = index_folder(parsed, graph), parsed.data / graph, 0.0
    system = ["--system", "dense"] if variant == "dense" else ["--policy", parsed.work / label]
    if variant != "dense":
        changed = [*setting.settings, *([variant] if "=" in variant else [])]
        recipe = ["--recipe", setting.recipe, *(part for text in changed for part in ("--set", text))]
        over = ["--index", index, "--questions", questions, "--split", "train"]
        seconds, _ = run(["train", *over, *recipe, "--seed", seed, "--out", parsed.work / label])
    figures = evaluated(parsed.work / f"{label}.json", index, questions, "dev", system)
    return figures | {"train_seconds": seconds} | ceiling(parsed.data, graph)


def ceiling(data: Path, graph: str) -> dict[str, float]:
    """Estimate hits@1 and mrr of a ranking with all true answers before all others, while some are not known to be."""
    if graph not in KEPT_BACK:
        return {}
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
    return {"perfect hits@1": float(first.mean()), "perfect mrr": float(reciprocal.mean())}


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(
        __doc__, "data", "indexes", "work", "seeds", data=Path("../shared/data/kg"), work=Path("runs/kg")
    )
    parser.add_argument("--graphs", nargs="+", choices=tuple(GRAPHS), default=list(GRAPHS))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["policy", "rounds=0", "dense"])
    parsed = parse(parser)
    everything: dict[str, list[dict[str, float]]] = {}
    for graph in parsed.graphs:
        for variant in parsed.variants:
            seeds = parsed.seeds[:1] if variant == "dense" else parsed.seeds
            everything[f"{graph} {variant}"] = [measure(parsed, graph, variant, seed) for seed in seeds]
            write(everything, parsed)
    show("link prediction", by_system(everything, SHOWN, "graph, variant"), parsed)


if __name__ == "__main__":
    main()

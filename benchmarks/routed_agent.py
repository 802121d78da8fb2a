"""The whole agent within the shards of a router, against searching everything: recall, calls, and passages in reach.

    python benchmarks/routed_agent.py --index hotpotqa.index --questions ../shared/data/hotpotqa --work runs/routed
    python benchmarks/routed_agent.py --index w.index --questions w --shards 8 --seeds 0 --policy runs/w
    python benchmarks/routed_agent.py --index hotpotqa.index --questions ../shared/data/hotpotqa --train hotpotqa \\
        --set imitation_epochs=3 --set ppo_iterations=6 --work runs/routed

Tunes one router for each seed on the train split (kept in --work and used again), and evaluates the same policy on the
dev split with all shards and within those of --shard-mass. With --train RECIPE two policies are trained for each seed,
one with the router and one without, alike otherwise. The share of passages is that of the shards that are searched for
a question; the policy's hops and the titles that a question names are look-ups, and score nothing; docids compare some
nine in a hundred passages and centroids more where they are asked for (HotpotQA).
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from inputs import anew, arguments, evaluated, parse, run, settings
from table import Column, by_system, show, write
from trailhound import Index
from trailhound.retrievers.questions._labelled import load_questions

SHOWN = ("recall@2", "recall@5", "all_recall@5", "recall@20")
SHOWN += tuple(Column(name, digits=3) for name in ("return_mean", "calls_mean", "calls_docid_mean"))
SHOWN = (Column("share", "share of passages", 3), *SHOWN, "latency_ms_p50")


def evaluate(parsed: argparse.Namespace, label: str, policy: Path | None, extra: list[object]) -> dict[str, float]:
    """Evaluate a policy on the split, unless it was."""
    chosen = ["--policy", policy] if policy else []
    figures = parsed.work / f"{label}.json"
    return evaluated(figures, parsed.index, parsed.questions, parsed.split, [*chosen, *extra])


def tuned_router(parsed: argparse.Namespace, seed: int) -> Path:
    """Tune a router on the train split, unless it is there; returns its folder."""
    router: Path = parsed.work / f"router-{parsed.shards}-{seed}"
    if not (router / "prefixes.json").exists():
        over = ["--index", parsed.index, "--questions", parsed.questions, "--split", "train"]
        run(["tune-router", *over, "--shards", parsed.shards, "--seed", seed, "--out", router])
    return router


def trained(parsed: argparse.Namespace, kind: str, seed: int, extra: list[object]) -> Path:
    """Train a policy on the train split, unless it is there; returns its folder."""
    place: Path = parsed.work / f"{kind}-{seed}"
    over = ["--index", parsed.index, "--questions", parsed.learn or parsed.questions, "--split", "train"]
    recipe = [*anew(parsed.train), "--hop-encoder", "shipped", "--set", "reader_epochs=0", "--seed", seed]
    if not (place / "metrics.json").exists():
        run(["train", *over, *recipe, *settings(parsed), *extra, "--out", place])
    return place


def share_searched(parsed: argparse.Namespace, router: Path) -> float:
    """Return the mean share of passages in the shards that are searched for a dev question."""
    index = Index.open(parsed.index, threads=1, router=router, shard_mass=parsed.shard_mass)
    routing = index.routing
    if routing is None:
        raise SystemExit("the index was opened without its router")
    questions, _ = load_questions(parsed.questions, parsed.split, lambda message: None)
    searched = [routing.passages_searched(index.query(question.text)) for question in questions]
    return statistics.mean(searched) / len(index)


def measure(parsed: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return the figures of every row, one for each seed."""
    within = f"{parsed.shard_mass} of {parsed.shards} shards' mass"
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in parsed.seeds:
        router = tuned_router(parsed, seed)
        routed = ["--router", router, "--shard-mass", parsed.shard_mass]
        share = {"share": share_searched(parsed, router)}
        policies = {"policy": parsed.policy}
        if parsed.train:
            kinds: dict[str, list[object]] = {"without": [], "with": routed}
            policies = {f"trained {kind} it": trained(parsed, kind, seed, extra) for kind, extra in kinds.items()}
        for label, policy in policies.items():
            name = f"-{policy.name}" if parsed.train and policy else ""
            if label != "trained with it" and (parsed.train or not rows.get(f"all shards, {label}")):
                everything = evaluate(parsed, f"all{name}", policy, [])
                rows.setdefault(f"all shards, {label}", []).append(everything | {"share": 1.0})
            inside = evaluate(parsed, f"{router.name}{name}", policy, routed)
            rows.setdefault(f"{within}, {label}", []).append(inside | share)
    return rows


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(
        __doc__, "index", "questions", "split", "work", "policy", "set", "seeds", work=Path("runs/routed")
    )
    parser.add_argument("--train", default=None, metavar="RECIPE", help="train policies with and without the router")
    parser.add_argument("--learn", type=Path, metavar="DIR", help="what they learn from (default: --questions)")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--shard-mass", type=float, default=0.9)
    parsed = parse(parser)
    results = measure(parsed)
    show(f"{parsed.questions.name}, {parsed.split}", by_system(results, SHOWN, "searched"), parsed)
    write(results, parsed)


if __name__ == "__main__":
    main()

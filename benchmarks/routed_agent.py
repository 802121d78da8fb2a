"""The whole agent within the shards of a router, against searching everything: recall, calls, and passages in reach.

    python benchmarks/routed_agent.py --index hotpotqa.index --questions ../shared/data/hotpotqa --work runs/routed
    python benchmarks/routed_agent.py --index w.index --questions w --shards 8 --most 2 --seeds 0 --policy runs/w
    python benchmarks/routed_agent.py --index hotpotqa.index --questions ../shared/data/hotpotqa --train hotpotqa \\
        --set imitation_epochs=3 --set ppo_iterations=6 --work runs/routed

Tunes one router for each seed on the train split (kept in --work and used again), and evaluates the same policy on the
dev split with all shards and with --most of them. With --train RECIPE two policies are trained for each seed, one with
the router and one without, alike otherwise. The share of passages is that of the shards that are searched for a
question; the policy's hops and the titles that a question names are look-ups, and score nothing; docids compare some
nine in a hundred passages and centroids more where they are asked for (HotpotQA).
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from quality import run
from trailhound import Index
from trailhound.retrievers.questions.labelled import load_questions

SHOWN = ("recall@2", "recall@5", "all_recall@5", "recall@20", "return_mean", "calls_mean", "calls_docid_mean")
SHOWN += ("latency_ms_p50",)


def evaluated(parsed: argparse.Namespace, label: str, policy: Path | None, extra: list[str]) -> dict[str, float]:
    """Evaluate a policy on the dev split, unless it was."""
    figures = parsed.work / f"{label}.json"
    if not figures.exists():
        chosen = ["--policy", str(policy)] if policy else []
        over = ["--index", str(parsed.index), "--questions", str(parsed.questions), "--split", parsed.split]
        run(["evaluate", *over, *chosen, "--json", str(figures), *extra])
    read: dict[str, float] = json.loads(figures.read_text())
    return read


def tuned_router(parsed: argparse.Namespace, seed: int) -> Path:
    """Tune a router on the train split, unless it is there; returns its folder."""
    router: Path = parsed.work / f"router-{parsed.shards}-{seed}"
    if not (router / "prefixes.json").exists():
        over = ["--index", str(parsed.index), "--questions", str(parsed.questions), "--split", "train"]
        run(["tune-router", *over, "--shards", str(parsed.shards), "--seed", str(seed), "--out", str(router)])
    return router


def trained(parsed: argparse.Namespace, kind: str, seed: int, extra: list[str]) -> Path:
    """Train a policy on the train split, unless it is there; returns its folder."""
    place: Path = parsed.work / f"{kind}-{seed}"
    over = ["--index", str(parsed.index), "--questions", str(parsed.learn or parsed.questions), "--split", "train"]
    recipe = ["--recipe", parsed.train, "--hop-encoder", "shipped", "--set", "reader_epochs=0", "--seed", str(seed)]
    if not (place / "metrics.json").exists():
        changed = [part for one in parsed.set for part in ("--set", one)]
        run(["train", *over, *recipe, *changed, *extra, "--out", str(place)])
    return place


def share_searched(parsed: argparse.Namespace, router: Path) -> float:
    """Return the mean share of passages in the shards that are searched for a dev question."""
    index = Index.open(parsed.index, threads=1, router=router, shards=parsed.most)
    routing = index.routing
    if routing is None:
        raise SystemExit("the index was opened without its router")
    questions, _ = load_questions(parsed.questions, parsed.split, lambda message: None)
    searched = [routing.passages_searched(index.query(question.text)) for question in questions]
    return statistics.mean(searched) / len(index)


def measure(parsed: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return the figures of every row, one for each seed."""
    within = f"{parsed.most} of {parsed.shards}"
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in parsed.seeds:
        router = tuned_router(parsed, seed)
        routed = ["--router", str(router), "--shards", str(parsed.most)]
        share = {"share": share_searched(parsed, router)}
        policies = {"policy": parsed.policy}
        if parsed.train:
            kinds: dict[str, list[str]] = {"without": [], "with": routed}
            policies = {f"trained {kind} it": trained(parsed, kind, seed, extra) for kind, extra in kinds.items()}
        for label, policy in policies.items():
            name = f"-{policy.name}" if parsed.train and policy else ""
            if label != "trained with it" and (parsed.train or not rows.get(f"all shards, {label}")):
                everything = evaluated(parsed, f"all{name}", policy, [])
                rows.setdefault(f"all shards, {label}", []).append(everything | {"share": 1.0})
            inside = evaluated(parsed, f"{router.name}{name}", policy, routed)
            rows.setdefault(f"{within}, {label}", []).append(inside | share)
    return rows


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", default="dev", help="to measure on; routers learn from train")
    parser.add_argument("--work", type=Path, default=Path("runs/routed"))
    parser.add_argument("--policy", type=Path, default=None, help="default: the one that ships")
    parser.add_argument("--train", default=None, metavar="RECIPE", help="train policies with and without the router")
    parser.add_argument(
        "--learn", type=Path, default=None, metavar="DIR", help="what they learn from (default: --questions)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="of the recipe")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--most", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    print(f"| searched | share of passages | {' | '.join(SHOWN)} |\n{'|---' * (len(SHOWN) + 2)}|")
    for label, runs in measure(parsed).items():
        cells = []
        for name in ("share", *SHOWN):
            values = [figures[name] * (100 if "@" in name else 1) for figures in runs]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.3f}{spread}")
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

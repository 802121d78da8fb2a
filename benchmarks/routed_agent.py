"""The whole agent within the shards of a router, against searching everything: recall, and passages in reach.

    python benchmarks/routed_agent.py --index hotpotqa.index --questions ../shared/data/hotpotqa --work runs/routed
    python benchmarks/routed_agent.py --index w.index --questions w --shards 8 --most 2 --seeds 0 --policy runs/w

Tunes one router for each seed on the train split (kept in --work and used again), and evaluates the same policy on the
dev split with all shards and with --most of them. The share of passages is that of the shards that are searched for a
question; the policy's hops and the titles that a question names are look-ups, and score nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from quality import run
from trailhound import Index
from trailhound.retrievers.questions import load_questions

SHOWN = ("recall@2", "recall@5", "all_recall@5", "recall@20", "calls_mean", "latency_ms_p50")


def evaluated(parsed: argparse.Namespace, label: str, extra: list[str]) -> dict[str, float]:
    """Evaluate the policy on the dev split, unless it was."""
    figures = parsed.work / f"{label}.json"
    if not figures.exists():
        policy = ["--policy", str(parsed.policy)] if parsed.policy else []
        over = ["--index", str(parsed.index), "--questions", str(parsed.questions), "--split", parsed.split]
        run(["evaluate", *over, *policy, "--json", str(figures), *extra])
    read: dict[str, float] = json.loads(figures.read_text())
    return read


def tuned_router(parsed: argparse.Namespace, seed: int) -> Path:
    """Tune a router on the train split, unless it is there; returns its folder."""
    router: Path = parsed.work / f"router-{parsed.shards}-{seed}"
    if not (router / "prefixes.json").exists():
        over = ["--index", str(parsed.index), "--questions", str(parsed.questions), "--split", "train"]
        run(["tune-router", *over, "--shards", str(parsed.shards), "--seed", str(seed), "--out", str(router)])
    return router


def share_searched(parsed: argparse.Namespace, router: Path) -> float:
    """Return the mean share of passages in the shards that are searched for a dev question."""
    index = Index.open(parsed.index, threads=1, router=router, shards=parsed.most)
    routing = index.routing
    if routing is None:
        raise SystemExit("the index was opened without its router")
    questions, _ = load_questions(parsed.questions, parsed.split, lambda message: None)
    searched = [routing.passages_searched(index.query(question.text)) for question in questions]
    return statistics.mean(searched) / len(index)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--split", default="dev", help="to measure on; routers learn from train")
    parser.add_argument("--work", type=Path, default=Path("runs/routed"))
    parser.add_argument("--policy", type=Path, default=None, help="default: the one that ships")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--most", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parsed = parser.parse_args()
    parsed.work.mkdir(parents=True, exist_ok=True)
    rows = {"all shards": [evaluated(parsed, "all", []) | {"share": 1.0}], f"{parsed.most} of {parsed.shards}": []}
    for seed in parsed.seeds:
        router = tuned_router(parsed, seed)
        figures = evaluated(parsed, router.name, ["--router", str(router), "--shards", str(parsed.most)])
        rows[f"{parsed.most} of {parsed.shards}"].append(figures | {"share": share_searched(parsed, router)})
    print(f"| searched | share of passages | {' | '.join(SHOWN)} |\n{'|---' * (len(SHOWN) + 2)}|")
    for label, runs in rows.items():
        cells = []
        for name in ("share", *SHOWN):
            values = [figures[name] * (100 if "@" in name else 1) for figures in runs]
            spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.2f}{spread}")
        print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

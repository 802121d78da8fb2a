"""The shard router, and search within the shards it chooses: what it keeps, and what it saves.

    python benchmarks/router.py --data ../shared/data --indexes INDEXES --work runs/router --json runs/router.json

Trains a router of 8 shards on a train split and on pairs made from the passages, and measures it on dev: the share of
supporting passages that lie in the first shards; recall@5 of each sub-index within the likeliest shards beside all of
them. `--choose` measures on a held-out fifth of the train questions instead of dev: so the settings were chosen.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from inputs import open_index, parse
from router_runs import arguments, corpus_of, labelled, made, mentions
from table import Figures, by_figure, report, show
from trailhound.index.index import Index
from trailhound.learning.router._examples import Examples, joined
from trailhound.learning.router._training import RouterSettings, make_router, measured
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.records import Hits
from trailhound.retrievers.router._router import Router
from trailhound.retrievers.router._shards import WithinShards, build_lexical_shards, dense_shards

PAGE = 20
"""Passages of each ranking that the hybrid fuses."""


def recall(hits: list[Hits], examples: Examples, limit: int = 5) -> float:
    """Return the mean share of a question's supporting passages among the first ``limit``."""
    shares = []
    for found, wanted in zip(hits, examples.wanted, strict=True):
        supporting = wanted[wanted >= 0]
        shares.append(np.isin(supporting, found.rows[:limit]).mean())
    return float(np.mean(shares))


def searched(router: Router, index: Index, examples: Examples, folder: Path) -> dict[str, float]:
    """Return recall@5 of the sub-indexes over all shards and within the likeliest shards, and the passages in reach."""
    passages = ((passage.title, passage.text) for passage in index.store)
    lexical = build_lexical_shards(folder, passages, router.partition)
    dense = dense_shards(router.corpus.vectors, router.partition)
    found: dict[str, list[Hits]] = {name: [] for name in ("lexical", "dense", "hybrid")}
    everything: dict[str, list[Hits]] = {name: [] for name in found}
    reached, clock = [], {"all": 0.0, "routed": 0.0}
    for query, clues in zip(examples.queries, examples.clues, strict=True):
        start = time.perf_counter()
        whole = [index.lexical.search(query, PAGE), index.dense.search(query, PAGE)]
        clock["all"] += time.perf_counter() - start
        start = time.perf_counter()
        chosen = router.shards(clues).numbers
        parts = [WithinShards([shards[n] for n in chosen]).search(query, PAGE) for shards in (lexical, dense)]
        clock["routed"] += time.perf_counter() - start
        reached.append(router.partition.sizes[chosen].sum() / len(index))
        for kind, rankings in ((everything, whole), (found, parts)):
            kind["lexical"].append(rankings[0])
            kind["dense"].append(rankings[1])
            kind["hybrid"].append(reciprocal_rank_fusion(rankings, PAGE))
    figures = {"share of passages": float(np.mean(reached))}
    for name in found:
        figures[f"{name} all"] = recall(everything[name], examples)
        figures[f"{name} routed"] = recall(found[name], examples)
    return figures | {f"ms {name}": 1000 * total / len(examples) for name, total in clock.items()}


def measure(parsed: argparse.Namespace, index: Index, seed: int) -> dict[str, float]:
    """Train with a seed, and measure."""
    corpus = corpus_of(index)
    train = labelled(index, corpus, parsed.data / parsed.set, "train", parsed.work)
    if parsed.choose:
        train, test = train.parted(0.2, np.random.default_rng(1000 + seed))
    else:
        test = labelled(index, corpus, parsed.data / parsed.set, "dev", parsed.work)
    examples = joined(train, made(index, corpus, parsed.made, parsed.work)) if parsed.made else train
    start = time.process_time()
    result = make_router(corpus, examples, RouterSettings(parsed.shards), seed, mentions(index))
    seconds = time.process_time() - start
    figures = measured(result.router, test)
    folder = parsed.work / f"{parsed.set}-lexical-{seed}-{parsed.shards}-{time.time_ns()}"
    figures |= searched(result.router, index, test, folder)
    return figures | {"training s": seconds}


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "runs/router", 2000)
    parser.add_argument("--set", default="hotpotqa")
    parser.add_argument("--shards", type=int, default=8)
    parsed = parse(parser)
    index = open_index(parsed, parsed.set)
    results: list[Figures] = []
    for seed in parsed.seeds:
        results.append(measure(parsed, index, seed))
        report(f"seed {seed}: {results[-1]}", results, parsed)
    show(f"{parsed.set}, {parsed.shards} shards", by_figure(results), parsed)


if __name__ == "__main__":
    main()

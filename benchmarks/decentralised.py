"""Decentralised routers: do 2, 4 or 8 that were trained apart find what one central router finds?

    python benchmarks/decentralised.py --data ../shared/data --indexes INDEXES --work runs/apart --json runs/apart.json

Every router knows the passages of its own part, its own statistics, and the pairs of its own passages; nothing is
shared but the encoder. Asked together, their calibrated scores are merged. Each system as a whole follows 64 nodes.
Hits@1 and recall@5 of the docids on dev, and the share of supporting passages in the first two of eight shards:
those of the one router, or one or more of every member. `--choose` measures on a held-out quarter of the train
questions in place of dev: so the method was chosen.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import torch
from docid_decoder import figures
from router import corpus_of, labelled, made
from trailhound.graph.index import Index
from trailhound.retrievers.balanced import balanced_clusters
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.ensemble import Member, RouterEnsemble, local_corpus, local_examples
from trailhound.retrievers.router.examples import Examples, joined
from trailhound.retrievers.router.making import RouterSettings, make_router

LIMIT = 20
SHARDS = 8
"""Of all members together."""


def trained(corpus: Corpus, titles: list[str], train: Examples, count: int, seed: int) -> list[Member]:
    """Train so many routers apart."""
    part, _ = balanced_clusters(corpus.vectors, count, np.random.default_rng(seed))
    settings = RouterSettings(max(1, SHARDS // count), held_out=0.2)
    members = []
    for number in range(count):
        rows = np.flatnonzero(part == number)
        own = local_corpus(corpus, titles, rows)
        pairs = local_examples(train, rows, own)
        if pairs is None:
            raise SystemExit(f"part {number} has no pairs: give more with --made")
        members.append(Member(rows, make_router(own, pairs, settings, SHARDS * seed + number).router))
    return members


def measure(ensemble: RouterEnsemble, test: Examples) -> dict[str, float]:
    """Return what routers find together."""
    found, compared, reached = [], [], []
    for query, wanted in zip(test.queries, test.wanted, strict=True):
        hits, passages = ensemble.docids_counted(query, LIMIT)
        found.append(np.pad(hits.rows, (0, LIMIT - len(hits)), constant_values=-2))
        compared.append(passages)
        shards = ensemble.partition.shard[wanted[wanted >= 0]]
        reached.append(np.isin(shards, ensemble.shards(query, 2).numbers).mean())
    share = float(np.mean(compared)) / len(ensemble.partition.shard)
    return figures(np.array(found), test, "docid") | {"shards@2": float(np.mean(reached)), "compared": share}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--indexes", type=Path, required=True, help="where SET.index lie")
    parser.add_argument("--work", type=Path, default=Path("runs/apart"))
    parser.add_argument("--set", default="hotpotqa")
    parser.add_argument("--members", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--made", type=int, default=500, help="pairs made from passages")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--choose", action="store_true", help="measure on held-out train questions")
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    parsed.work.mkdir(parents=True, exist_ok=True)
    index = Index.open(parsed.indexes / f"{parsed.set}.index", threads=1, verify=False)
    corpus, (titles, _) = corpus_of(index), index.store.columns()
    folder = parsed.data / parsed.set
    train = labelled(index, corpus, folder, "train", parsed.work)
    if parsed.choose:
        train, test = train.parted(0.25, np.random.default_rng(77))
    else:
        test = labelled(index, corpus, folder, "dev", parsed.work)
    if parsed.made:
        train = joined(train, made(index, corpus, parsed.made, parsed.work))
    everything: dict[int, list[dict[str, float]]] = {members: [] for members in parsed.members}
    for seed in parsed.seeds:
        for count in parsed.members:
            members = trained(corpus, titles, train, count, seed)
            everything[count].append(measure(RouterEnsemble(members, len(corpus)), test))
            print(f"{count} routers, seed {seed}: {everything[count][-1]}", flush=True)
            if parsed.json:
                parsed.json.write_text(json.dumps(everything, indent=2) + "\n")
    names = list(everything[parsed.members[0]][0])
    print(f"\n{parsed.set}, seeds {parsed.seeds}\n\n| routers | {' | '.join(names)} |\n{'|---' * (len(names) + 1)}|")
    for members, results in everything.items():
        cells = []
        for name in names:
            values = [result[name] for result in results]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.4f} ± {spread:.4f}")
        print(f"| {members} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

"""Decentralised routers: do 2, 4 or 8 that were trained apart find what one central router finds?

    python benchmarks/decentralised.py --data ../shared/data --indexes INDEXES --work runs/apart --json runs/apart.json

Every router knows the passages of its own shard, its own statistics, and the pairs of its own passages; nothing is
shared but the encoder. Asked together, their calibrated scores are merged. Each system as a whole follows --beam nodes.
Hits@1 and recall@5 on dev.
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
from trailhound.retrievers.router.ensemble import RouterEnsemble, local_corpus, local_examples, train_member
from trailhound.retrievers.router.examples import Examples, joined

LIMIT = 20


def measure(
    corpus: Corpus, titles: list[str], train: Examples, test: Examples, members: int, beam: int, seed: int
) -> dict[str, float]:
    """Train so many routers apart, and measure them together."""
    rng = np.random.default_rng(seed)
    shard, _ = balanced_clusters(corpus.vectors, members, rng)
    trained = []
    for number in range(members):
        rows = np.flatnonzero(shard == number)
        own = local_corpus(corpus, titles, rows)
        pairs = local_examples(train, rows, own)
        if pairs is None:
            raise SystemExit(f"shard {number} has no pairs: give more with --made")
        trained.append(train_member(own, rows, pairs, seed))
    ensemble = RouterEnsemble(trained, max(8, beam // members))
    found, compared = [], []
    for query in test.queries:
        hits, passages = ensemble.search_counted(query, LIMIT)
        found.append(np.pad(hits.rows, (0, LIMIT - len(hits)), constant_values=-2))
        compared.append(passages)
    return figures(np.array(found), test, "docid") | {"compared": float(np.mean(compared)) / len(corpus)}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--indexes", type=Path, required=True, help="where SET.index lie")
    parser.add_argument("--work", type=Path, default=Path("runs/apart"))
    parser.add_argument("--set", default="hotpotqa")
    parser.add_argument("--members", nargs="+", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--beam", type=int, default=64, help="nodes followed by all members together")
    parser.add_argument("--made", type=int, default=1000, help="pairs made from passages")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path, default=None)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    parsed.work.mkdir(parents=True, exist_ok=True)
    index = Index.open(parsed.indexes / f"{parsed.set}.index", threads=1, verify=False)
    corpus, (titles, _) = corpus_of(index), index.store.columns()
    folder = parsed.data / parsed.set
    train = labelled(index, corpus, folder, "train", parsed.work)
    if parsed.made:
        train = joined(train, made(index, corpus, parsed.made, parsed.work))
    test = labelled(index, corpus, folder, "dev", parsed.work)
    everything: dict[int, list[dict[str, float]]] = {members: [] for members in parsed.members}
    for seed in parsed.seeds:
        for members in parsed.members:
            everything[members].append(measure(corpus, titles, train, test, members, parsed.beam, seed))
            print(f"{members} routers, seed {seed}: {everything[members][-1]}", flush=True)
            if parsed.json:
                parsed.json.write_text(json.dumps(everything, indent=2) + "\n")
    names = list(everything[parsed.members[0]][0])
    print(
        f"\n{parsed.set} dev, seeds {parsed.seeds}\n\n| routers | {' | '.join(names)} |\n{'|---' * (len(names) + 1)}|"
    )
    for members, results in everything.items():
        cells = []
        for name in names:
            values = [result[name] for result in results]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.mean(values):.4f} ± {spread:.4f}")
        print(f"| {members} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

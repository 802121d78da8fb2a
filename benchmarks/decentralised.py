"""Decentralised routers: do 2, 4 or 8 that were trained apart find what one central router finds?

    python benchmarks/decentralised.py --data ../shared/data --indexes INDEXES --work runs/apart --json runs/apart.json

Every router knows the passages of its own part, its own statistics, and the pairs of its own passages; nothing is
shared but the encoder. Asked together, their calibrated scores are merged. Each system as a whole follows 64 nodes.
Hits@1 and recall@5 of the docids on dev, and the share of supporting passages in the first two of eight shards:
those of the one router, or one or more of every member. `--choose` measures on a held-out quarter of the train
questions instead of dev: so the method was chosen.
"""

from __future__ import annotations

import numpy as np
from docid_decoder import figures
from inputs import open_index, parse
from router_runs import arguments, corpus_of, labelled, made
from table import Figures, by_system, report, show
from trailhound.learning.router._examples import Examples, joined, local_examples
from trailhound.learning.router._training import RouterSettings, make_router
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._clusters import balanced_clusters
from trailhound.retrievers.router._ensemble import Member, RouterEnsemble, local_corpus

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
        clues = ensemble.clues(query)
        hits = ensemble.docids(clues, LIMIT)
        found.append(np.pad(hits.rows, (0, LIMIT - len(hits)), constant_values=-2))
        compared.append(clues.compared)
        shards = ensemble.partition.shard[wanted[wanted >= 0]]
        reached.append(np.isin(shards, ensemble.shards(clues, 1).numbers[:2]).mean())
    share = float(np.mean(compared)) / len(ensemble.partition.shard)
    return figures(np.array(found), test, "docid") | {"shards@2": float(np.mean(reached)), "compared": share}


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "runs/apart", 500)
    parser.add_argument("--set", default="hotpotqa")
    parser.add_argument("--members", nargs="+", type=int, default=[1, 2, 4, 8])
    parsed = parse(parser)
    index = open_index(parsed, parsed.set)
    corpus, (titles, _) = corpus_of(index), index.store.columns()
    folder = parsed.data / parsed.set
    train = labelled(index, corpus, folder, "train", parsed.work)
    if parsed.choose:
        train, test = train.parted(0.25, np.random.default_rng(77))
    else:
        test = labelled(index, corpus, folder, "dev", parsed.work)
    if parsed.made:
        train = joined(train, made(index, corpus, parsed.made, parsed.work))
    everything: dict[int, list[Figures]] = {members: [] for members in parsed.members}
    for seed in parsed.seeds:
        for count in parsed.members:
            members = trained(corpus, titles, train, count, seed)
            everything[count].append(measure(RouterEnsemble(members, len(corpus)), test))
            report(f"{count} routers, seed {seed}: {everything[count][-1]}", everything, parsed)
    show(parsed.set, by_system(everything, heading="routers"), parsed)


if __name__ == "__main__":
    main()

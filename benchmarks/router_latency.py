"""What the weight of latency does to a router: evidence in the shards it asks, against the passages that they hold.

    python benchmarks/router_latency.py --index hotpotqa.index --questions ../shared/data/hotpotqa --slack 1.15
    python benchmarks/router_latency.py --index hotpotqa.index --questions ../shared/data/hotpotqa --slack 3

Parts the corpus once (`trailhound tune-router --slack`), trains a shard network on the train questions' labels for each
weight (`--latency`), and measures on dev: the share of supporting passages in the first 1, 2 and 3 shards, and of all
passages there, which is what a search within them compares.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from trailhound.graph.edges import Relation
from trailhound.graph.index import Index
from trailhound.graph.router_folder import corpus_of, settled
from trailhound.retrievers.docid_pairs import labelled_pairs
from trailhound.retrievers.questions import load_questions
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.examples import Examples, encoded, examples_of
from trailhound.retrievers.router.network import ShardNetwork
from trailhound.retrievers.router.shards import ShardStatistics, partition
from trailhound.retrievers.router.training import RouterTraining, shard_inputs, shard_targets, train_shards


def examples(index: Index, corpus: Corpus, folder: Path, split: str) -> Examples:
    """Return the questions of a split."""
    questions, qrels = load_questions(folder, split, lambda message: None)
    pairs = labelled_pairs(questions, qrels, index.store.row_of)
    return examples_of(pairs, encoded(pairs, index.encoder), corpus)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--slack", type=float, default=1.15)
    parser.add_argument("--weights", type=float, nargs="+", default=[0, 0.1, 0.3, 1, 3, 10])
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    index = Index.open(parsed.index, threads=1, verify=False)
    corpus, edges = corpus_of(settled(index)), settled(index).graph.edges
    linked = edges.relation == Relation.TITLE_MENTION
    links = edges.source[linked], edges.target[linked]
    rng = np.random.default_rng(parsed.seed)
    parts = partition(corpus.vectors, parsed.shards, rng, links, slack=parsed.slack)
    shares, statistics = parts.sizes / len(corpus), ShardStatistics(corpus, parts)
    print(f"shards hold {', '.join(f'{100 * share:.1f}' for share in sorted(shares))} % of the passages\n", flush=True)
    train, dev = (examples(index, corpus, parsed.questions, split) for split in ("train", "dev"))
    known, vectors = shard_inputs(statistics, dev.clues)
    targets = shard_targets(parts, dev)
    print("| weight | supporting passages in the first 1 / 2 / 3 | passages there, % |\n|---|---|---|")
    for weight in parsed.weights:
        torch.manual_seed(parsed.seed)
        network = ShardNetwork(corpus.vectors.shape[1], parsed.shards)
        training = RouterTraining(latency=weight)
        train_shards(network, statistics, parts, train, training, np.random.default_rng(parsed.seed))
        with torch.no_grad():
            order = np.argsort(-network(vectors, known).numpy(), axis=1, kind="stable")[:, :3]
        covered = np.take_along_axis(targets, order, axis=1).cumsum(axis=1).mean(axis=0)
        held = shares[order].cumsum(axis=1).mean(axis=0)
        cells = [" / ".join(f"{100 * value:.1f}" for value in row) for row in (covered, held)]
        print(f"| {weight:g} | {cells[0]} | {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()

"""What the weight of latency does to a router: evidence in the shards it asks, against the passages that they hold.

    python benchmarks/router_latency.py --index hotpotqa.index --questions ../shared/data/hotpotqa

Trains a shard network on the train questions' labels for each weight (`RouterTraining.latency`), and measures on dev:
the share of supporting passages in the first 1, 2 and 3 shards, and of all passages there, which is what a search
within them compares. First over 8 shards that are not equal: sixteen are made, and joined to shards of 1, 1, 1, 1, 2,
2, 4 and 4 of them. Then over the 8 that `trailhound tune-router` makes, which nearly are; and over these, what is
searched where only as many are asked as the router needs to be so sure (`Router.shards(mass=)`, at most 4).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from trailhound.graph.edges import Relation
from trailhound.index.index import Index
from trailhound.learning.router.docid_pairs import labelled_pairs
from trailhound.learning.router.examples import Examples, encoded, examples_of
from trailhound.learning.router.router_folder import corpus_of, settled
from trailhound.learning.router.training import RouterTraining, shard_targets, train_shards
from trailhound.retrievers.questions.labelled import load_questions
from trailhound.retrievers.router.calibration import fit_temperature, softmax
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.network import ShardNetwork, shard_inputs
from trailhound.retrievers.router.shards import REGIONS, Partition, ShardStatistics, partition

JOINED = (0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7)
"""Which shard each of sixteen goes into."""


def examples(index: Index, corpus: Corpus, folder: Path, split: str) -> Examples:
    """Return the questions of a split."""
    questions, qrels = load_questions(folder, split, lambda message: None)
    pairs = labelled_pairs(questions, qrels, index.store.row_of)
    return examples_of(pairs, encoded(pairs, index.encoder), corpus)


def joined(parts: Partition) -> Partition:
    """Return shards that are joined from sixteen."""
    of = np.array(JOINED)
    groups = [np.flatnonzero(of == number) for number in range(of.max() + 1)]
    regions = [parts.regions[group].reshape(-1, parts.regions.shape[2])[:: len(group)][:REGIONS] for group in groups]
    return Partition(
        of[parts.shard], np.stack([parts.centroids[group].mean(axis=0) for group in groups]), np.stack(regions)
    )


class Trained:
    """A shard network over some shards, and what it says of the dev questions."""

    def __init__(
        self, parts: Partition, statistics: ShardStatistics, train: Examples, dev: Examples, weight: float, seed: int
    ) -> None:
        torch.manual_seed(seed)
        left, held_out = train.parted(0.1, np.random.default_rng(seed))
        network = ShardNetwork(parts.centroids.shape[1], len(parts))
        training = RouterTraining(latency=weight)
        train_shards(network, statistics, parts, left, training, np.random.default_rng(seed))
        scores = []
        for some in (held_out, dev):
            known, vectors = shard_inputs(statistics, some.clues)
            with torch.no_grad():
                scores.append(network(vectors, known).numpy())
        self.shares = softmax(scores[1], fit_temperature(scores[0], shard_targets(parts, held_out)))
        self._order = np.argsort(-self.shares, axis=1, kind="stable")
        self._right = np.take_along_axis(shard_targets(parts, dev), self._order, axis=1)
        self._held = (parts.sizes / parts.sizes.sum())[self._order]

    def first(self, most: int) -> tuple[float, float]:
        """Return the share of evidence and of passages in the first shards, in hundredths."""
        return self._within(np.arange(self._order.shape[1]) < most)

    def as_sure(self, mass: float, most: int) -> tuple[float, float]:
        """Return them for as many shards as add up to ``mass``, at most ``most``."""
        ordered = np.take_along_axis(self.shares, self._order, axis=1)
        before = ordered.cumsum(axis=1) - ordered
        return self._within((before < mass) & (np.arange(ordered.shape[1]) < most))

    def _within(self, asked: NDArray[np.bool_]) -> tuple[float, float]:
        evidence, passages = (100 * float((of * asked).sum(axis=1).mean()) for of in (self._right, self._held))
        return evidence, passages


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--weights", type=float, nargs="+", default=[0, 0.1, 0.3, 1, 3])
    parser.add_argument("--seed", type=int, default=0)
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    index = Index.open(parsed.index, threads=1, verify=False)
    corpus, edges = corpus_of(settled(index)), settled(index).graph.edges
    linked = edges.relation == Relation.TITLE_MENTION
    links = edges.source[linked], edges.target[linked]
    train, dev = (examples(index, corpus, parsed.questions, split) for split in ("train", "dev"))
    for sixteen in (True, False):
        parts = partition(corpus.vectors, 16 if sixteen else 8, np.random.default_rng(parsed.seed), links)
        parts = joined(parts) if sixteen else parts
        statistics = ShardStatistics(corpus, parts)
        sizes = ", ".join(f"{100 * size / len(corpus):.1f}" for size in sorted(parts.sizes))
        print(f"\nshards hold {sizes} % of the passages\n\n| weight | evidence | passages |\n|---|---|---|", flush=True)
        trained = {weight: Trained(parts, statistics, train, dev, weight, parsed.seed) for weight in parsed.weights}
        for weight, router in trained.items():
            pairs = [router.first(most) for most in (1, 2, 3)]
            cells = [" / ".join(f"{pair[k]:.1f}" for pair in pairs) for k in (0, 1)]
            print(f"| {weight:g} | {cells[0]} | {cells[1]} |", flush=True)
    print("\n| as sure as | evidence | passages |\n|---|---|---|")
    for mass in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
        evidence, passages = trained[parsed.weights[0]].as_sure(mass, 4)
        print(f"| {mass} | {evidence:.1f} | {passages:.1f} |", flush=True)


if __name__ == "__main__":
    main()

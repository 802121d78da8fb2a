"""Shards learned from what a policy's searches earn, beside those learned from labels.

    python benchmarks/earned_router.py --index hotpotqa.index --questions ../shared/data/hotpotqa --work runs/routed
    python benchmarks/earned_router.py ... --most 1 2 --learn ../shared/data/hotpotqa --seeds 0 1 2 --json earned.json

Takes the partitions of the routers that `routed_agent.py` keeps in --work (one for each seed, tuned when it is not
there), and trains the shard network of each anew from the same questions and made pairs: from their labels, and from
what the searches of --policy earn (`trailhound tune-router --policy`), by likelihood and by expected reward. The policy
then searches the dev questions within the first --most shards. `earned` is the share of what its searches of the dev
questions earn in shards, when it searches everything, that lies in the first --most.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from inputs import arguments, parse
from routed_agent import tuned_router
from table import Column, by_system, report, show
from trailhound.agent.policy_file import LoadedPolicy, load_policy
from trailhound.agent.systems import shipped_policy
from trailhound.envs.question_set import QuestionSet
from trailhound.index.index import Index
from trailhound.learning.policy.validation import validate
from trailhound.learning.router.docid_pairs import labelled_pairs, made_pairs
from trailhound.learning.router.examples import Examples, examples_of
from trailhound.learning.router.router_folder import corpus_of, settled
from trailhound.learning.router.router_rewards import Earning, of_labels, policy_earnings
from trailhound.learning.router.training import RouterTraining, shard_targets, train_shards
from trailhound.learning.training_questions import TrainingSource
from trailhound.retrievers.questions.labelled import load_questions
from trailhound.retrievers.records import Vectors
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.network import ShardNetwork, shard_inputs
from trailhound.retrievers.router.router import Router

SHOWN = (Column("earned", digits=3), "recall@5", "all_recall@5", Column("return", digits=3), Column("calls", digits=3))
KINDS = {
    "labels, likelihood": ("labels", RouterTraining()),
    "earned, likelihood": ("earned", RouterTraining()),
    "earned, reward": ("earned", RouterTraining(objective="reward")),
}


def trained(router: Router, examples: Examples, training: RouterTraining, seed: int) -> ShardNetwork:
    """Train a shard network over a router's partition."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ShardNetwork(router.corpus.vectors.shape[1], len(router.partition))
        train_shards(network, router.statistics, router.partition, examples, training, np.random.default_rng(seed))
    return network


def lessons(parsed: argparse.Namespace, index: Index, policy: LoadedPolicy) -> tuple[dict[str, list[Earning]], Vectors]:
    """Return what there is to learn from the same queries by labels and by earnings, and the queries' vectors."""
    source = TrainingSource(index, parsed.learn, "train")
    earned = policy_earnings(source, policy, lambda message: None)
    questions, qrels = load_questions(parsed.learn, "train", lambda message: None)
    labelled = of_labels(labelled_pairs(questions, qrels, index.store.row_of))
    made = of_labels(made_pairs(list(index.store), index.terms, np.random.default_rng(0), parsed.made))
    both = {"labels": labelled + made, "earned": earned + made}
    queries = [[lesson.pair.query for lesson in one] for one in both.values()]
    if queries[0] != queries[1]:
        raise SystemExit("labels and earnings are of different questions")
    needing = [sum(lesson.in_shards) for lesson in earned]
    print(f"of {len(earned)} questions {sum(map(bool, needing))} earn in shards, {statistics.mean(needing):.3f} each")
    return both, index.encoder.encode(queries[0])


def as_examples(learned: Sequence[Earning], vectors: Vectors, corpus: Corpus) -> Examples:
    """Return lessons as a router's examples."""
    pairs = [lesson.pair for lesson in learned]
    return examples_of(
        pairs, vectors, corpus, [lesson.rewards for lesson in learned], [lesson.in_shards for lesson in learned]
    )


def searched(index: Index, parsed: argparse.Namespace, policy: LoadedPolicy) -> dict[str, float]:
    """Search the dev questions with the policy in an index that has a router."""
    hop = policy.hop_encoder(threads=1)
    questions = QuestionSet.load(index, parsed.questions, "dev", policy.settings, lambda message: None, hop)
    worlds = [questions.world(number) for number in range(len(questions))]
    return validate(policy.network, policy.settings, worlds)


def covered(router: Router, dev: Examples, most: int) -> float:
    """Return the share of what is earned in shards that lies in the first ``most``."""
    known, vectors = shard_inputs(router.statistics, dev.clues)
    with torch.no_grad():
        order = np.argsort(-router.networks.shards(vectors, known).numpy(), axis=1, kind="stable")[:, :most]
    earned = dev.in_shards.sum(axis=1)
    shares = np.take_along_axis(shard_targets(router.partition, dev), order, axis=1).sum(axis=1)
    return float((shares * earned).sum() / earned.sum())


def measure(parsed: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Return the policy's figures by how the shards were learned, one for each seed."""
    policy = load_policy(parsed.policy or shipped_policy() or Path())
    index = Index.open(parsed.index, threads=1, verify=False)
    both, vectors = lessons(parsed, index, policy)
    corpus = corpus_of(settled(index))
    at_stake = policy_earnings(TrainingSource(index, parsed.questions, "dev"), policy, lambda message: None)
    dev = as_examples(at_stake, index.encoder.encode([lesson.pair.query for lesson in at_stake]), corpus)
    examples = {name: as_examples(learned, vectors, corpus) for name, learned in both.items()}
    results: dict[str, list[dict[str, float]]] = {}
    for seed in parsed.seeds:
        folder = tuned_router(parsed, seed)
        for most in parsed.most:
            routed = Index.open(parsed.index, encoder=index.encoder, verify=False, router=folder, shards=most)
            routing = routed.routing
            if routing is None:
                raise SystemExit("the index was opened without its router")
            for kind, (source, training) in KINDS.items():
                network = trained(routing.router, examples[source], training, seed)
                routing.router.networks = replace(routing.router.networks, shards=network)
                figures = {"earned": covered(routing.router, dev, most)}
                if not parsed.unsearched:
                    figures |= searched(routed, parsed, policy)
                results.setdefault(f"{most} of {parsed.shards}, {kind}", []).append(figures)
                report(f"seed {seed}, {most} shards, {kind}: {figures}", results, parsed)
    return results


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "index", "questions", "work", "policy", "seeds", work=Path("runs/routed"))
    parser.add_argument(
        "--learn", type=Path, metavar="DIR", help="whose train split is learned from (default: --questions)"
    )
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--most", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--made", type=int, default=1000)
    parser.add_argument("--unsearched", action="store_true", help="say what the shards hold alone, without searching")
    parsed = parse(parser)
    parsed.learn = parsed.learn or parsed.questions
    results = measure(parsed)
    shown = SHOWN[:1] if parsed.unsearched else SHOWN
    show(parsed.questions.name, by_system(results, shown, "searched, router"), parsed)


if __name__ == "__main__":
    main()

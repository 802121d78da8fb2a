"""Recall when a part of the shards is asked, and the judge that comes with the package.

    python benchmarks/shard_routing.py --indexes indexes --data ../shared/data
    python benchmarks/shard_routing.py --indexes indexes --data ../shared/data --train

``indexes`` has an index of every set, ``indexes/2wiki.index`` and so on. Its passages are parted here as a build would,
and the fixed system *hybrid* ranks those of the shards that are asked (an eighth, a quarter, three eighths and a half
of them) with the scores of the whole. Each set is routed over by judges that were trained on the training questions of
all others (*learned*), with three seeds of partition and judge, and by the judge that comes with the package, which
knows training questions of it (*shipped*). With --train the judge that comes with the package is written, trained on
all of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from trailhound import Index
from trailhound.agent._fixed_systems import DEPTH
from trailhound.graph._edges import Relation
from trailhound.learning.router._judge_training import JudgedQuestions, train_judge
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.questions._label_targets import settle_labels
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Hits, Query, Rows, Vectors
from trailhound.retrievers.router._clues import named_by
from trailhound.retrievers.router._clusters import smoothed
from trailhound.retrievers.router._shard_judge import SHIPPED, KnownOfShards, ShardJudge, shipped_judge
from trailhound.retrievers.words._terms import TermHashes, TermIndex, term_hashes
from trailhound.sharding._building import shard_of
from trailhound.sharding._regions import Regions, drawn_rows
from trailhound.sharding._topics import SMOOTHING, TopicPartition

TESTED = {
    "2wiki": "dev",
    "hotpotqa": "dev",
    "musique": "dev",
    "entailmentbank": "dev",
    "scifact": "train",
    "techdocs": "dev",
    "medical": "dev",
    "tools": "dev",
    "finance-tables": "dev",
    "excerpts": "dev",
    "code-search": "dev",
    "bright-leetcode": "dev",
}
"""Sets and the split of each that is routed over."""

TRAINED = ("2wiki-train", *(name for name in TESTED if name != "2wiki"))
"""Sets whose training questions judges learn from."""

MOST = 300
"""Questions of a split."""

SEEDS = (0, 1, 2)
ASKED = (0.125, 0.25, 0.375, 0.5)
"""Shares of the shards."""

MASSES = (0.8, 0.9, 0.95)
_DEEP = 1500
_FOUND = 5


@dataclass
class Asked:
    """A question over one index: what it should find, and what the whole index says."""

    query: Query
    gold: list[Rows]
    lexical: Rows
    dense: Rows
    identified: Rows
    terms: TermHashes
    named: tuple[Rows, NDArray[np.float32]]

    def found(self, inside: NDArray[np.bool_]) -> Rows:
        """Return the first five of *hybrid* among some passages, bool [N]."""
        lists = [rows[inside[rows]][:DEPTH] for rows in (self.lexical, self.dense, self.identified)]
        hits = [Hits(rows, np.zeros(len(rows), np.float32)) for rows in lists]
        return reciprocal_rank_fusion(hits, _FOUND).rows

    def recall(self, inside: NDArray[np.bool_]) -> float:
        """Return R@5."""
        found = self.found(inside)
        return float(np.mean([np.isin(found, rows).any() for rows in self.gold]))


class Whole:
    """One index, and what of it a partition is made of."""

    def __init__(self, folder: Path) -> None:
        self.index = Index.open(folder, threads=1, verify=False)
        parts = self.index.parts.base
        self.vectors = parts.dense.reconstruct(np.arange(len(parts.store)))
        numbers: dict[str, int] = {}
        self.document = np.array([numbers.setdefault(name, len(numbers)) for name in parts.document_of])
        self.documents = list(numbers)
        self.weights = np.bincount(self.document).astype(np.float64)
        self.entity, self.terms = parts.entity, parts.terms
        self.titles = TermIndex.build(list(parts.title_of))

    @cached_property
    def placed_by(self) -> Vectors:
        """The vectors that documents are placed by: of first passages, drawn to those that they mention."""
        first = np.unique(self.document, return_index=True)[1]
        edges = self.index.graph.edges
        linked = edges.relation == Relation.TITLE_MENTION
        links = self.document[edges.source[linked]], self.document[edges.target[linked]]
        return smoothed(self.vectors[first], *links, SMOOTHING)

    def parted(self, partition: str, shards: int, seed: int) -> Parted:
        """Return the passages in shards."""
        rng = np.random.default_rng(seed)
        if partition == "hash":
            place = np.array([shard_of(f"{seed}{name}" if seed else name, shards) for name in self.documents])
        else:
            learned = TopicPartition.learned(self.placed_by, self.weights, shards, rng)
            place = learned.placed(self.placed_by, self.weights)
        shard = place[self.document]
        drawn = [self.vectors[drawn_rows(np.flatnonzero(shard == number), rng)] for number in range(shards)]
        return Parted(self, shard, Regions.among(drawn, rng).centroids)

    def asked(self, data: Path, split: str) -> list[Asked]:
        """Return labelled questions of a split."""
        questions, qrels = load_questions(data, split, lambda message: None)
        labels = settle_labels(self.index.store, qrels)
        kept = [question for question in questions if labels.gold(question.id)]
        order = np.random.default_rng(0).permutation(len(kept))[:MOST]
        kept = [kept[place] for place in sorted(order.tolist())]
        return [
            self._asked(query, [np.array(target.rows) for target in labels.gold(question.id)])
            for question, query in zip(kept, self.index.queries([one.text for one in kept]), strict=True)
        ]

    def _asked(self, query: Query, gold: list[Rows]) -> Asked:
        lexical = self.index.lexical.search(query, _DEEP).rows
        dense = np.argsort(-(self.vectors @ query.vector), kind="stable")[:_DEEP]
        rows = {row for mention in self.entity.identified(query.text) for row in mention.rows}
        identified = [*(row for row in lexical.tolist() if row in rows), *sorted(rows.difference(lexical.tolist()))]
        named = named_by(query.text, self.entity)
        return Asked(query, gold, lexical, dense, np.array(identified, np.int64), term_hashes(query.text), named)


@dataclass
class Parted:
    """The passages of an index in shards."""

    whole: Whole
    shard: NDArray[np.int64]
    regions: Vectors
    _counts: dict[str, tuple[TermHashes, NDArray[np.float32]]] = field(default_factory=dict)

    def clues(self, asked: Asked) -> NDArray[np.float32]:
        """Return what is known of the shards for a question."""
        assert asked.query.vector is not None
        sizes = np.bincount(self.shard, minlength=len(self.regions)).astype(np.float32)
        counts, in_titles = (self._frequencies(name, asked.terms) for name in ("terms", "titles"))
        rows, specificity = asked.named
        known = KnownOfShards(sizes, counts, in_titles, self.shard[rows], specificity)
        return known.clues(self.regions, asked.query.vector)

    def _frequencies(self, name: str, terms: TermHashes) -> NDArray[np.float32]:
        index: TermIndex = getattr(self.whole, name)
        if name not in self._counts:
            counts = np.zeros((len(index.vocabulary) + 1, len(self.regions)), np.float32)
            owner = np.repeat(self.shard, np.diff(index.offsets))
            np.add.at(counts, (np.searchsorted(index.vocabulary, index.hashes), owner), 1)
            self._counts[name] = (index.vocabulary, counts)
        vocabulary, counts = self._counts[name]
        place = np.searchsorted(vocabulary, terms)
        known = np.isin(terms, vocabulary)
        return counts[np.where(known, place, len(vocabulary))]

    def judged(self, questions: Sequence[Asked]) -> JudgedQuestions:
        """Return what a judge learns from: half by labels, half by where the first five of all shards lie."""
        targets = np.zeros((len(questions), len(self.regions)), np.float32)
        for place, asked in enumerate(questions):
            labelled = np.zeros(len(self.regions))
            for rows in asked.gold:
                labelled[np.unique(self.shard[rows])] += 1 / len(np.unique(self.shard[rows]))
            found = self.shard[asked.found(np.ones(len(self.shard), np.bool_))]
            targets[place] += labelled / labelled.sum() / 2
            targets[place] += np.bincount(found, minlength=len(self.regions)) / len(found) / 2
        return JudgedQuestions(np.stack([self.clues(asked) for asked in questions]), targets)

    def recall(self, questions: Sequence[Asked], chosen: Sequence[Rows]) -> float:
        """Return the mean R@5 where only the shards ``chosen`` for each question are asked."""
        return 100 * float(
            np.mean([a.recall(np.isin(self.shard, some)) for a, some in zip(questions, chosen, strict=True)])
        )


def order_of(scores: NDArray[np.float32]) -> list[Rows]:
    """Return the shards of every question, best first."""
    return list(np.argsort(-scores, axis=1, kind="stable"))


def by_mass(probabilities: NDArray[np.float32], mass: float) -> list[Rows]:
    """Return the shards of every question until they hold a mass."""
    chosen = []
    for order, mine in zip(order_of(probabilities), probabilities, strict=True):
        chosen.append(order[: int((np.cumsum(mine[order]) < mass).sum()) + 1])
    return chosen


def measure(name: str, parted: Parted, questions: Sequence[Asked], judge: ShardJudge) -> dict[str, list[float]]:
    """Return recall by router and number of shards asked; by mass also how many were asked on average."""
    clues = np.stack([parted.clues(asked) for asked in questions])
    learned = np.stack([judge.probabilities(one) for one in clues])
    routers = {"nearest region": clues[:, :, 8], "regions": clues[:, :, 11] + 1e-3 * clues[:, :, 8]}
    shipped = np.stack([shipped_judge().probabilities(one) for one in clues])
    routers |= {"words": clues[:, :, 3], "learned": learned, "shipped": shipped}
    everything = [np.arange(len(parted.regions))] * len(questions)
    found = {"all": [parted.recall(questions, everything)]}
    for router, scores in routers.items():
        order = order_of(scores)
        numbers = [max(1, round(share * len(parted.regions))) for share in ASKED]
        found[router] = [parted.recall(questions, [one[:asked] for one in order]) for asked in numbers]
    for mass in MASSES:
        chosen = by_mass(learned, mass)
        found[f"mass {mass}"] = [parted.recall(questions, chosen), float(np.mean([len(one) for one in chosen]))]
    return found


def examples(whole: Whole, questions: Sequence[Asked]) -> list[JudgedQuestions]:
    """Return what judges learn from one set: by topics in 8 shards twice, in 4 and 16, and by hash."""
    ways = [("topics", 8, 10), ("topics", 8, 11), ("topics", 4, 12), ("topics", 16, 13), ("hash", 8, 14)]
    return [whole.parted(*way).judged(questions) for way in ways]


def show(name: str, partition: str, runs: Sequence[Mapping[str, Sequence[float]]]) -> None:
    """Print mean and spread over the seeds."""
    for router in runs[0]:
        values = np.array([run[router] for run in runs])
        cells = [f"{m:5.1f} ± {s:3.1f}" for m, s in zip(values.mean(axis=0), np.ptp(values, axis=0) / 2, strict=True)]
        print(f"{name:16}{partition:8}{router:16}{'   '.join(cells)}", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Measure every set, or train the judge that comes with the package."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--indexes", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", action="store_true", help="write the judge that comes with the package")
    parser.add_argument("--shards", type=int, default=8, help="(default: 8)")
    parser.add_argument("--sets", nargs="+", default=list(TESTED), help="to measure (default: all)")
    parsed = parser.parse_args(arguments)
    learned: dict[str, list[JudgedQuestions]] = {}
    for name in TRAINED:
        whole = Whole(parsed.indexes / f"{name}.index")
        learned[name] = examples(whole, whole.asked(parsed.data / name, "train"))
    if parsed.train:
        SHIPPED.parent.mkdir(exist_ok=True)
        judge = train_judge([one for several in learned.values() for one in several], 0)
        judge.save(SHIPPED, {"trained on": list(TRAINED)})
        return
    for name in parsed.sets:
        whole = Whole(parsed.indexes / f"{name}.index")
        questions = whole.asked(parsed.data / name, TESTED[name])
        others = [one for other in TRAINED if not other.startswith(name) for one in learned[other]]
        judges = [train_judge(others, seed) for seed in SEEDS]
        for partition in ("hash", "topics"):
            parts = [whole.parted(partition, parsed.shards, seed) for seed in SEEDS]
            runs = [measure(name, one, questions, judge) for one, judge in zip(parts, judges, strict=True)]
            show(name, partition, runs)


if __name__ == "__main__":
    main(sys.argv[1:])

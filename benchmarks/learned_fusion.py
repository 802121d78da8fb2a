"""Learned fusion against reciprocal rank fusion: SciFact, five folds over its train questions.

    python benchmarks/learned_fusion.py --index scifact.index --data ../shared/data --json fusion.json

Of each fold, the weights of the fusion are learned listwise from the other four; then lexical, dense, reciprocal rank
fusion and learned fusion are measured on it, over the same rankings. The folds are those of scifact_folds.py, the depth
is 50, and nothing is chosen on the fold that is measured. Prints means over all questions, and over seeds for what is
learned. Sub-indexes may be added to the two: with entity, say, ``--names lexical dense entity``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from inputs import arguments, folds, parse
from table import Column, column, markdown, show, spread, write
from torch import Tensor
from trailhound import Index
from trailhound.learning.queries._evidence_likelihood import DEPTH, fitted
from trailhound.measuring._judged import Judging
from trailhound.measuring._metrics import evaluate_run, mean
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.differentiable.learned_fusion import LearnedFusion, fusion_features
from trailhound.retrievers.differentiable.objectives import OBJECTIVES
from trailhound.retrievers.protocols import query_vectors
from trailhound.retrievers.questions._label_targets import SettledLabels, settle_labels
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Hits, Query

FOLDS = 5
SHOWN = (*map(column, ("ndcg@10", "recall@5", "recall@10")), Column("mrr", scale=100))


@dataclass(frozen=True)
class Asked:
    """A question with its rankings and its labels; relevance is of the candidates, float32 [n]."""

    id: str
    rankings: dict[str, Hits]
    features: Tensor
    relevance: Tensor


def ask(index: Index, data: Path, names: list[str]) -> tuple[list[Asked], SettledLabels]:
    """Ask every sub-index every question."""
    questions, qrels = load_questions(data / "scifact", "train")
    labels = settle_labels(index.store, qrels)
    vectors = query_vectors(index.encoder, [question.text for question in questions])
    asked = []
    for question, vector in zip(questions, vectors, strict=True):
        query = Query(question.text, vector)
        rankings = {name: index.sub_indexes[name].search(query, DEPTH) for name in names}
        rows, features = fusion_features([rankings[name] for name in names])
        gold = {row for target in labels.gold(question.id) for row in target.rows}
        relevance = torch.tensor([float(row in gold) for row in rows.tolist()])
        asked.append(Asked(question.id, rankings, torch.from_numpy(features), relevance))
    return asked, labels


def learn(questions: list[Asked], names: list[str], objective: str, seed: int) -> LearnedFusion:
    """Learn the weights from the questions whose evidence is among the candidates."""
    loss = OBJECTIVES[objective]

    def of(fusion: LearnedFusion, question: Asked) -> Tensor:
        return loss(fusion(question.features).unsqueeze(0), question.relevance.unsqueeze(0), None)

    known = [question for question in questions if question.relevance.any()]
    return fitted(LearnedFusion(names), known, of, np.random.default_rng(seed))


def figures(index: Index, labels: SettledLabels, found: dict[str, Hits]) -> dict[str, dict[str, float]]:
    """Measure rankings, question by question."""
    judging = Judging(labels, {})
    run = {}
    for question, hits in found.items():
        named = judging.names(question, index.store.passages(hits.rows.tolist()))
        run[question] = {name: 1 / (place + 1) for place, names in enumerate(named) for name in names}
    return evaluate_run({question: labels.qrels[question] for question in found}, run)


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "index", "data", "seeds")
    parser.add_argument("--names", nargs="+", default=["lexical", "dense"])
    parser.add_argument("--objectives", nargs="+", default=["listwise"], choices=sorted(OBJECTIVES))
    parsed = parse(parser)
    index = Index.open(parsed.index, threads=1)
    asked, labels = ask(index, parsed.data, parsed.names)
    by_id = {question.id: question for question in asked}
    parts = [[by_id[name] for name in part] for part in folds(list(by_id), FOLDS)]
    results: dict[str, list[dict[str, dict[str, float]]]] = {}
    for name in parsed.names:
        results[name] = [figures(index, labels, {q.id: q.rankings[name] for q in asked})]
    fused = {q.id: reciprocal_rank_fusion(list(q.rankings.values()), DEPTH) for q in asked}
    results["reciprocal rank fusion"] = [figures(index, labels, fused)]
    weights = []
    for objective in parsed.objectives:
        for seed in parsed.seeds:
            found: dict[str, Hits] = {}
            for held_out in range(FOLDS):
                others = [q for fold in range(FOLDS) if fold != held_out for q in parts[fold]]
                fusion = learn(others, parsed.names, objective, seed)
                weights.append({"objective": objective, "fold": held_out, "seed": seed, **describe(fusion)})
                found |= {q.id: fusion.fuse(q.rankings, DEPTH) for q in parts[held_out]}
            results.setdefault(f"learned fusion, {objective}", []).append(figures(index, labels, found))
    means = {label: [mean(one) for one in measured] for label, measured in results.items()}
    by_fold = {
        label: [mean({q.id: measured[0][q.id] for q in part})["ndcg@10"] for part in parts]
        for label, measured in results.items()
    }
    rows = [
        [label, *(one.cell(runs) for one in SHOWN), ", ".join(spread([value], 1, 100) for value in by_fold[label])]
        for label, runs in means.items()
    ]
    table = markdown(["system", *(one.name for one in SHOWN), "nDCG@10 by fold"], rows)
    show(f"SciFact, {FOLDS} folds over {len(asked)} questions, {', '.join(parsed.names)}", table, parsed)
    write({"figures": means, "by_fold": by_fold, "weights": weights}, parsed)


def describe(fusion: LearnedFusion) -> dict[str, object]:
    """Return what was learned."""
    return {"weights": fusion.weights.tolist(), "temperature": fusion.log_temperature.exp().item()}


if __name__ == "__main__":
    main()

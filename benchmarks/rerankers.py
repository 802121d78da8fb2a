"""What re-rankers add to hybrid search: SciFact (held-out part of its train questions) and HotpotQA dev.

    python benchmarks/rerankers.py --data ../shared/data --indexes runs/quality

Of each set, 500 train questions, drawn by seed 0, are learned from: three quarters of them fit the weights, a quarter
decides whether they are used. Measured on HotpotQA's dev split and on the 309 train questions of SciFact that were not
drawn. Re-ranks the first 20 of the fused lexical and dense rankings. The linear re-rankers are also fitted without one
of their features after the other (on the same questions). Prints a
table in Markdown; milliseconds are the mean processor time of a question, on one thread, so that a busy machine does
not count.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from time import process_time

import numpy as np
from inputs import arguments, label_lines, open_index, parse, write_split
from numpy.typing import NDArray
from table import Column, by_system, show, write
from trailhound import Index, TrainingSource
from trailhound.agent._reranking import NAMES, features_of
from trailhound.learning.reranker import RankedQuestion, decide, fit, listed_as, questions_ranked_by
from trailhound.measuring._metrics import evaluate_run, mean
from trailhound.retrievers.records import Query

FIGURES = ("recall@2", "recall@5", "ndcg@10", Column("CPU ms", digits=0))
LEARNED = 500
HELD_OUT = 0.25

Scores = Sequence[NDArray[np.float64]]
"""Of each question's candidates."""


def split(data: Path, folder: Path) -> None:
    """Write the splits ``fit`` and ``test`` of a data set into ``folder``."""
    labels = label_lines(data, "train")
    questions = sorted({line.split("\t")[0] for line in labels})
    random.Random(0).shuffle(questions)
    chosen = set(questions[:LEARNED])
    has_dev = (data / "qrels" / "dev.tsv").exists()
    test = label_lines(data, "dev") if has_dev else [line for line in labels if line.split("\t")[0] not in chosen]
    write_split(data, folder, {"fit": [line for line in labels if line.split("\t")[0] in chosen], "test": test})


def figures(questions: Sequence[RankedQuestion], scores: Scores) -> dict[str, float]:
    """Measure the candidates of every question in the order of their scores."""
    run, qrels = {}, {}
    for number, (question, own) in enumerate(zip(questions, scores, strict=True)):
        passages = list(question.candidates.values())
        order = np.argsort(-own, kind="stable").tolist()
        run[str(number)] = {passages[place].id: 1 / rank for rank, place in enumerate(order, start=1)}
        qrels[str(number)] = {passage.id: 1 for passage in question.gold.values()}
    return mean(evaluate_run(qrels, run))


class Measured:
    """The lines of one set, as they come."""

    def __init__(self, name: str, questions: Sequence[RankedQuestion], search_ms: float) -> None:
        self._name = name
        self._questions = questions
        self.figures: dict[str, dict[str, float]] = {}
        self.add("hybrid search", [question.as_found().scores for question in questions], search_ms)

    def add(self, system: str, scores: Scores, milliseconds: float | None = None) -> None:
        """Measure one system and print its figures."""
        found = figures(self._questions, scores)
        self.figures[system] = found | ({} if milliseconds is None else {"CPU ms": milliseconds})
        print(f"{self._name}, {system}: {self.figures[system]}", flush=True)


def add_linear(
    measured: Measured, kind: str, index: Index, learned: list[RankedQuestion], asked: list[RankedQuestion]
) -> None:
    """Measure a linear re-ranker, and what is left of it without each of its features."""
    features, names = features_of(kind, index), NAMES[kind]
    listed = [listed_as(question, features) for question in learned]
    started = process_time()
    seen = [features(Query(one.view.text), one.as_found()) for one in asked]
    spent = 1000 * (process_time() - started) / len(asked)
    kept, fitted, _ = decide(listed, kind, HELD_OUT, 0)
    used = "" if (kept == fitted).all() else ", not used"
    measured.add(f"{kind} ({written(names, fitted)}{used})", [values @ kept for values in seen], spent)
    for left_out in (None, *range(1, len(names))):
        some = [k for k in range(len(names)) if k != left_out]
        weights = np.zeros(len(names))
        weights[some] = fit([question.with_features(some) for question in listed], len(some))
        what = "fitted on all 500" if left_out is None else f"without {names[left_out]}"
        measured.add(f"{kind}, {what} ({written(names, weights)})", [values @ weights for values in seen])


def written(names: Sequence[str], weights: NDArray[np.float64]) -> str:
    """Write weights down."""
    return ", ".join(f"{name} {weight:.2f}" for name, weight in zip(names, weights, strict=True))


def main() -> None:
    """Measure what the command line names."""
    parser = arguments(__doc__, "data", "indexes", "work", work=Path("runs/rerankers"))
    parser.add_argument("--sets", nargs="+", default=["hotpotqa", "scifact"])
    parser.add_argument("--most", type=int, default=10**6, help="questions to measure on, of each set")
    parsed = parse(parser)
    results = {}
    for name in parsed.sets:
        folder = parsed.work / name
        split(parsed.data / name, folder)
        index = open_index(parsed, name)
        started = process_time()
        asked = questions_ranked_by(TrainingSource(index, folder, "test"), "hybrid")
        measured = Measured(name, asked[: parsed.most], 1000 * (process_time() - started) / len(asked))
        learned = questions_ranked_by(TrainingSource(index, folder, "fit"), "hybrid")
        for kind in NAMES:
            add_linear(measured, kind, index, learned, asked[: parsed.most])
        results |= {f"{name}, {system}": [found] for system, found in measured.figures.items()}
        write(results, parsed)
    show("re-rankers of hybrid search", by_system(results, FIGURES, "set, system"), parsed)


if __name__ == "__main__":
    main()

"""Questions made over indexes: their kinds, how often each search finds what they were made of, and examples to read.

    python benchmarks/made_questions.py runs/*.index
    python benchmarks/made_questions.py runs/docs.index --count 400 --examples 10 --out runs/made

With ``--out`` the questions of each index are written to ``OUT/NAME`` as a BEIR folder with one split, train.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from time import perf_counter

import numpy as np
from trailhound.index.index import Index
from trailhound.learning.made_questions._making import MadeQuestions, make_questions
from trailhound.retrievers._fusion import reciprocal_rank_fusion
from trailhound.retrievers.questions._labelled import write_questions
from trailhound.retrievers.records import Query

DEPTH = 50
CUTS = (1, 5, 20)
SYSTEMS = ("lexical", "dense", "hybrid")


def main() -> None:
    """Print a table for every index, then examples of every kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("indexes", type=Path, nargs="+", metavar="INDEX")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=0, help="of every kind")
    parser.add_argument("--out", type=Path)
    parsed = parser.parse_args()
    for path in parsed.indexes:
        index = Index.open(path, threads=1, verify=False)
        began = perf_counter()
        made = make_questions(index, parsed.count, np.random.default_rng(parsed.seed))
        spent = perf_counter() - began
        print(f"\n## {path.stem}: {len(made.questions)} questions over {len(index)} passages, {spent:.0f} s\n")
        report(index, made)
        examples(index, made, parsed.examples)
        if parsed.out is not None:
            write_questions(parsed.out / path.stem, made.questions, {"train": made.qrels})


def report(index: Index, made: MadeQuestions) -> None:
    """Print, by kind, the share of questions and how many of their passages stand among the first of each system."""
    recalls: dict[str, list[list[float]]] = defaultdict(list)
    vectors = index.encoder.encode([question.text for question in made.questions])
    for question, vector in zip(made.questions, vectors, strict=True):
        query = Query(question.text, vector)
        rankings = [index.lexical.search(query, DEPTH), index.dense.search(query, DEPTH)]
        rankings.append(reciprocal_rank_fusion(rankings, DEPTH))
        gold = [index.store.row_of(passage) for passage in made.qrels[question.id]]
        row = [float(np.isin(gold, hits.rows[:cut]).mean()) for hits in rankings for cut in CUTS]
        recalls[str(question.type)].append(row)
        recalls["all"].append(row)
    print("| kind | share | " + " | ".join(f"{name} @{'/'.join(map(str, CUTS))}" for name in SYSTEMS) + " |")
    print("|---|---|---|---|---|")
    for kind, rows in sorted(recalls.items(), key=lambda item: -len(item[1])):
        means = (100 * np.mean(rows, axis=0)).reshape(len(SYSTEMS), len(CUTS))
        cells = (" / ".join(f"{value:.0f}" for value in means[place]) for place in range(len(SYSTEMS)))
        print(f"| {kind} | {100 * len(rows) / len(made.questions):.0f} % | {' | '.join(cells)} |")


def examples(index: Index, made: MadeQuestions, count: int) -> None:
    """Print some questions of every kind, and how their passages begin."""
    shown: dict[str, int] = defaultdict(int)
    for question in sorted(made.questions, key=lambda one: str(one.type)):
        shown[str(question.type)] += 1
        if shown[str(question.type)] <= count:
            print(f"\n[{question.type}] {question.text}")
            for name in made.qrels[question.id]:
                passage = index.store.passage(index.store.row_of(name))
                print(f"    {passage.title} | {' '.join(passage.text.split())[:160]}")


if __name__ == "__main__":
    main()

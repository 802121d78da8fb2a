"""What the benchmarks of routers share: their arguments, examples with vectors that are kept, and tables of means."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from trailhound.graph.edges import Relation
from trailhound.index.index import Index
from trailhound.learning.router.docid_pairs import TrainingPair, labelled_pairs, made_pairs
from trailhound.learning.router.examples import Examples, encoded, examples_of
from trailhound.retrievers.questions.labelled import load_questions
from trailhound.retrievers.records import Rows, Vectors
from trailhound.retrievers.router.clues import Corpus

Figures = dict[str, float]


def arguments(about: str | None, work: str, made: int) -> argparse.ArgumentParser:
    """Return a parser of what all of them take.

    Args:
        about: a script's docstring.
        work: where it writes by default.
        made: pairs that it makes of the passages by default.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--indexes", type=Path, required=True, help="where SET.index lie")
    parser.add_argument("--work", type=Path, default=Path(work))
    parser.add_argument("--made", type=int, default=made, help="pairs made from passages")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path, default=None)
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line; the folder for work is made, and torch keeps to one thread."""
    parsed = parser.parse_args()
    torch.set_num_threads(1)
    parsed.work.mkdir(parents=True, exist_ok=True)
    return parsed


def opened(parsed: argparse.Namespace, name: str) -> Index:
    """Open the index of a set."""
    return Index.open(parsed.indexes / f"{name}.index", threads=1, verify=False)


def corpus_of(index: Index) -> Corpus:
    """Return the parts of an index that a router looks at."""
    return Corpus(np.ascontiguousarray(index.dense.vectors), index.terms, index.entity)


def mentions(index: Index) -> tuple[Rows, Rows]:
    """Return (source, target) of the links that draw passages into one shard."""
    edges = index.graph.edges
    kept = edges.relation == Relation.TITLE_MENTION
    return edges.source[kept], edges.target[kept]


def labelled(index: Index, corpus: Corpus, folder: Path, split: str, work: Path) -> Examples:
    """Return the questions of a split; their vectors are kept in ``work``."""
    questions, qrels = load_questions(folder, split)
    pairs = labelled_pairs(questions, qrels, index.store.row_of)
    return examples_of(pairs, kept(work / f"{index.path.stem}-{split}.npy", index, pairs), corpus)


def made(index: Index, corpus: Corpus, most: int, work: Path) -> Examples:
    """Return pairs made from the passages, the same for every seed of the training."""
    pairs = made_pairs(list(index.store), index.terms, np.random.default_rng(0), most)
    return examples_of(pairs, kept(work / f"{index.path.stem}-made-{most}.npy", index, pairs), corpus)


def kept(path: Path, index: Index, pairs: list[TrainingPair]) -> Vectors:
    """Return the vectors of pairs, from a file where there is one of as many."""
    if path.exists() and len(found := np.load(path)) == len(pairs):
        return found
    vectors = encoded(pairs, index.encoder)
    np.save(path, vectors)
    return vectors


def report(label: str, results: Any, parsed: argparse.Namespace) -> None:
    """Say the last of a list of results, and write everything that there is into ``--json``."""
    print(label, flush=True)
    if parsed.json:
        parsed.json.write_text(json.dumps(results, indent=2) + "\n")


def mean_and_spread(results: Sequence[Figures], name: str) -> str:
    """Return the mean of a figure over seeds, and its standard deviation."""
    values = [result[name] for result in results]
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {spread:.4f}"


def print_figures(title: str, results: Sequence[Figures]) -> None:
    """Print a table with one figure to a row."""
    print(f"\n{title}\n\n| figure | mean ± spread |\n|---|---|")
    for name in results[0]:
        print(f"| {name} | {mean_and_spread(results, name)} |", flush=True)


def print_systems(title: str, results: Mapping[Any, Sequence[Figures]], head: str) -> None:
    """Print a table with one system to a row."""
    names = list(next(iter(results.values()))[0])
    print(f"\n{title}\n\n| {head} | {' | '.join(names)} |\n{'|---' * (len(names) + 1)}|")
    for system, measured in results.items():
        print(f"| {system} | {' | '.join(mean_and_spread(measured, name) for name in names)} |", flush=True)

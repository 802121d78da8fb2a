"""What the benchmarks of routers share: their options, and examples with vectors that are kept."""

from __future__ import annotations

import argparse
from pathlib import Path

import inputs
import numpy as np
from trailhound.envs._question_set import supporting_rows
from trailhound.graph._edges import Relation
from trailhound.index.index import Index
from trailhound.learning.router._examples import (
    Examples,
    TrainingPair,
    encoded,
    examples_of,
    labelled_pairs,
    made_pairs,
)
from trailhound.retrievers.questions._label_targets import settle_labels
from trailhound.retrievers.questions._labelled import load_questions
from trailhound.retrievers.records import Rows, Vectors
from trailhound.retrievers.router._clues import Corpus


def arguments(about: str | None, work: str, made: int) -> argparse.ArgumentParser:
    """Return a parser of what all of them take.

    Args:
        about: a script's docstring.
        work: where it writes by default.
        made: pairs that it makes of the passages by default.
    """
    parser = inputs.arguments(about, "data", "indexes", "work", "seeds", work=Path(work))
    parser.add_argument("--made", type=int, default=made, metavar="N", help="pairs made from passages")
    parser.add_argument("--choose", action="store_true", help="measure on questions held out of train, instead of dev")
    return parser


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
    pairs = labelled_pairs(questions, supporting_rows(index, questions, settle_labels(index.store, qrels)))
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

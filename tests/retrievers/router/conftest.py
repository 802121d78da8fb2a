"""A small router over the encyclopedia, trained once for all tests of the room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound.graph.edges import Relation
from trailhound.graph.index import Index
from trailhound.retrievers.questions import load_questions
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.docid_pairs import labelled_pairs, made_pairs
from trailhound.retrievers.router.docids import DocidSettings
from trailhound.retrievers.router.examples import Examples, encoded, examples_of, joined
from trailhound.retrievers.router.making import Made, RouterSettings, make_router
from trailhound.retrievers.router.router import Router
from trailhound.retrievers.router.training import RouterTraining


@pytest.fixture(scope="session")
def router_settings() -> RouterSettings:
    """Small and fast."""
    return RouterSettings(
        shards=4,
        docids=DocidSettings(branching=8, fill=0.75),
        hidden=32,
        training=RouterTraining(shard_epochs=15, plan_epochs=5, decoder_epochs=2, judge_rate=2e-2),
    )


@pytest.fixture(scope="session")
def corpus(small_index: Index) -> Corpus:
    return Corpus(np.array(small_index.dense.vectors), small_index.terms, small_index.entity)


@pytest.fixture(scope="session")
def links(small_index: Index) -> tuple[np.ndarray, np.ndarray]:
    edges = small_index.graph.edges
    kept = edges.relation == Relation.TITLE_MENTION
    return edges.source[kept], edges.target[kept]


def questions_of(index: Index, corpus: Corpus, folder: Path, split: str) -> Examples:
    pairs = labelled_pairs(*load_questions(folder, split), index.store.row_of)
    return examples_of(pairs, encoded(pairs, index.encoder), corpus)


@pytest.fixture(scope="session")
def made_examples(small_index: Index, corpus: Corpus) -> Examples:
    pairs = made_pairs(list(small_index.store), small_index.terms, np.random.default_rng(0), 120)
    return examples_of(pairs, encoded(pairs, small_index.encoder), corpus)


@pytest.fixture(scope="session")
def train_examples(small_index: Index, corpus: Corpus, corpus_folder: Path, made_examples: Examples) -> Examples:
    return joined(questions_of(small_index, corpus, corpus_folder, "train"), made_examples)


@pytest.fixture(scope="session")
def dev_examples(small_index: Index, corpus: Corpus, corpus_folder: Path) -> Examples:
    return questions_of(small_index, corpus, corpus_folder, "dev")


@pytest.fixture(scope="session")
def made(
    small_index: Index,
    corpus: Corpus,
    links: tuple[np.ndarray, np.ndarray],
    train_examples: Examples,
    router_settings: RouterSettings,
) -> Made:
    sub_indexes = list(small_index.sub_indexes.values())
    return make_router(corpus, train_examples, router_settings, 0, links, sub_indexes)


@pytest.fixture(scope="session")
def router(made: Made) -> Router:
    return made.router

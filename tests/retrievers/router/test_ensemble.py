"""Routers trained apart: each knows its own alone, together they find what one does."""

import numpy as np
import pytest
from trailhound.graph.index import Index
from trailhound.retrievers.docids import DocidSettings
from trailhound.retrievers.protocols import SubIndex
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.ensemble import (
    Member,
    RouterEnsemble,
    local_corpus,
    local_examples,
    train_member,
)
from trailhound.retrievers.router.examples import Examples
from trailhound.retrievers.router.training import RouterTraining

TRAINING = RouterTraining(decoder_epochs=2, judge_rate=2e-2)


def members(index: Index, corpus: Corpus, examples: Examples, count: int) -> list[Member]:
    titles, _ = index.store.columns()
    trained = []
    for number in range(count):
        rows = np.arange(number, len(corpus), count)
        own = local_corpus(corpus, titles, rows)
        pairs = local_examples(examples, rows, own)
        assert pairs is not None
        trained.append(train_member(own, rows, pairs, 0, TRAINING, DocidSettings(8, 0.75)))
    return trained


@pytest.fixture(scope="module")
def apart(small_index: Index, corpus: Corpus, train_examples: Examples) -> list[Member]:
    return members(small_index, corpus, train_examples, 3)


def test_a_shard_knows_its_own_statistics_alone(small_index: Index, corpus: Corpus) -> None:
    titles, _ = small_index.store.columns()
    rows = np.array([2, 5, 11])
    own = local_corpus(corpus, titles, rows)
    assert len(own) == len(own.terms) == 3
    for place, row in enumerate(rows.tolist()):
        assert own.terms.terms(place).tolist() == corpus.terms.terms(row).tolist()
    seen = np.concatenate([corpus.terms.terms(row) for row in rows.tolist()])
    assert own.terms.document_frequency(seen[:1]).tolist() == [int((seen == seen[0]).sum())]


def test_a_shard_learns_from_pairs_of_its_own_passages(
    corpus: Corpus, train_examples: Examples, small_index: Index
) -> None:
    titles, _ = small_index.store.columns()
    rows = np.arange(1, len(corpus), 2)
    own = local_corpus(corpus, titles, rows)
    pairs = local_examples(train_examples, rows, own)
    assert pairs is not None
    expected = [
        [row for row in wanted.tolist() if row >= 0 and row % 2]
        for wanted in train_examples.wanted
        if ((wanted >= 0) & (wanted % 2 == 1)).any()
    ]
    assert [rows[wanted[wanted >= 0]].tolist() for wanted in pairs.wanted] == expected
    assert (pairs.rewards > 0).sum() == sum(map(len, expected))
    assert local_examples(train_examples.take([0]), np.array([-5]), own) is None


def test_together_they_find_what_one_router_finds(
    apart: list[Member], small_index: Index, corpus: Corpus, train_examples: Examples, dev_examples: Examples
) -> None:
    central = RouterEnsemble(members(small_index, corpus, train_examples, 1), beam=24)
    ensemble: SubIndex = RouterEnsemble(apart, beam=8)
    assert isinstance(ensemble, SubIndex)

    def hits(index: SubIndex) -> float:
        first = [index.search(query, 1).rows[0] for query in dev_examples.queries]
        return float(np.mean([row in wanted for row, wanted in zip(first, dev_examples.wanted, strict=True)]))

    assert hits(ensemble) >= hits(central) - 0.15
    assert hits(ensemble) > 0.5


def test_answers_are_rows_of_the_whole_corpus_once_each(
    apart: list[Member], dev_examples: Examples, corpus: Corpus
) -> None:
    ensemble = RouterEnsemble(apart, beam=64)
    hits, passages = ensemble.search_counted(dev_examples.queries[0], len(corpus))
    assert sorted(hits.rows.tolist()) == list(range(len(corpus)))
    assert passages == len(corpus)
    assert hits.rows.tolist() == hits.rows[np.lexsort((hits.rows, -hits.scores))].tolist()


def test_every_member_trusts_higher_scores_more(apart: list[Member]) -> None:
    assert all(member.slope > 0 for member in apart)
    assert all(np.isfinite([member.slope, member.offset]).all() for member in apart)

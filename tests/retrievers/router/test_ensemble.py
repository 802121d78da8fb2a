"""Routers trained apart: each knows its own alone, together they find what one does."""

from dataclasses import replace

import numpy as np
import pytest
from trailhound.errors import RouterError
from trailhound.index.index import Index
from trailhound.learning.router._examples import Examples, local_examples
from trailhound.learning.router._training import RouterSettings, make_router
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._docids import DocidSettings
from trailhound.retrievers.router._ensemble import Member, RouterEnsemble, local_corpus


def trained(
    index: Index, corpus: Corpus, examples: Examples, settings: RouterSettings, rows: list[np.ndarray]
) -> list[Member]:
    titles, _ = index.store.columns()
    members = []
    for mine in rows:
        own = local_corpus(corpus, titles, mine)
        pairs = local_examples(examples, mine, own)
        assert pairs is not None
        members.append(Member(mine, make_router(own, pairs, replace(settings, shards=2), 0).router))
    return members


@pytest.fixture(scope="module")
def apart(
    small_index: Index, corpus: Corpus, train_examples: Examples, router_settings: RouterSettings
) -> list[Member]:
    rows = [np.arange(number, len(corpus), 3) for number in range(3)]
    return trained(small_index, corpus, train_examples, router_settings, rows)


@pytest.fixture(scope="module")
def ensemble(apart: list[Member], corpus: Corpus) -> RouterEnsemble:
    return RouterEnsemble(apart, len(corpus))


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
    assert local_examples(train_examples.take([0]), np.array([-5]), own) is None


def test_together_they_find_what_one_router_finds(
    ensemble: RouterEnsemble,
    small_index: Index,
    corpus: Corpus,
    train_examples: Examples,
    dev_examples: Examples,
    router_settings: RouterSettings,
) -> None:
    alone = trained(small_index, corpus, train_examples, router_settings, [np.arange(len(corpus))])
    central = RouterEnsemble(alone, len(corpus))

    def hits(asked: RouterEnsemble) -> float:
        first = [asked.docids(query, 1).rows[0] for query in dev_examples.queries]
        return float(np.mean([row in wanted for row, wanted in zip(first, dev_examples.wanted, strict=True)]))

    assert hits(ensemble) >= hits(central) - 0.1
    assert hits(ensemble) > 0.5


def test_answers_are_rows_of_the_whole_corpus_by_the_odds_of_their_members(
    apart: list[Member], dev_examples: Examples, corpus: Corpus
) -> None:
    query = dev_examples.queries[0]
    ensemble = RouterEnsemble(apart, len(corpus), beam=3 * len(corpus))
    heard = ensemble.clues(query)
    hits = ensemble.docids(heard, len(corpus))
    assert sorted(hits.rows.tolist()) == list(range(len(corpus)))
    assert heard.compared == len(corpus)
    assert ensemble.docids(query, 4).rows.tolist() == hits.rows[:4].tolist()
    expected: dict[int, float] = {}
    for member in ensemble.members:
        found, _ = member.router.docid_odds(query, len(corpus))
        expected |= dict(zip(member.rows[found.rows].tolist(), found.scores.tolist(), strict=True))
    assert hits.rows.tolist() == sorted(expected, key=lambda row: (-expected[row], row))
    assert hits.scores.tolist() == sorted(expected.values(), reverse=True)


def test_every_member_trusts_higher_scores_more(apart: list[Member]) -> None:
    assert all(member.router.temperatures.slope > 0 for member in apart)


def test_the_odds_tell_right_from_wrong(ensemble: RouterEnsemble, dev_examples: Examples) -> None:
    hits = [ensemble.docids(query, 5) for query in dev_examples.queries]
    odds = np.concatenate([found.scores for found in hits])
    right = np.concatenate(
        [np.isin(found.rows, wanted) for found, wanted in zip(hits, dev_examples.wanted, strict=True)]
    )
    sure, unsure = odds > np.median(odds), odds <= np.median(odds)
    assert right[sure].mean() > right[unsure].mean() + 0.2


def test_the_shards_of_all_members_are_one_partition(ensemble: RouterEnsemble, apart: list[Member]) -> None:
    assert len(ensemble.partition) == 6
    for number, member in enumerate(apart):
        for shard in range(2):
            inside = member.rows[member.router.partition.rows(np.array([shard]))]
            assert ensemble.partition.rows(np.array([2 * number + shard])).tolist() == inside.tolist()


def test_shards_are_likely_as_their_members_are(ensemble: RouterEnsemble, dev_examples: Examples) -> None:
    query = dev_examples.queries[1]
    joined = ensemble.shards(query, mass=1)
    shares: list[float] = []
    for member in ensemble.members:
        best = member.router.docid_odds(query, 21)[0].scores.max()  # 64 nodes for three of them
        shares += (member.router.shard_probabilities(query) / (1 + np.exp(-best))).tolist()
    expected = np.array(shares) / sum(shares)
    assert joined.numbers.tolist() == np.argsort(-expected, kind="stable").tolist()
    np.testing.assert_allclose(joined.probabilities, np.sort(expected)[::-1], rtol=1e-5)
    assert len(ensemble.shards(query, mass=float(joined.probabilities[0]) / 2).numbers) == 1


def test_passages_of_several_members_or_of_none_are_refused(apart: list[Member], corpus: Corpus) -> None:
    with pytest.raises(RouterError, match="row 2 is known to 0 of 2 routers"):
        RouterEnsemble(apart[:2], len(corpus))
    with pytest.raises(RouterError, match="row 0 is known to 2 of 4 routers"):
        RouterEnsemble([*apart, apart[0]], len(corpus))
    with pytest.raises(RouterError, match=f"row {len(corpus)} is known to 0"):
        RouterEnsemble(apart, len(corpus) + 1)


def test_members_have_the_mean_weights_of_all(ensemble: RouterEnsemble, apart: list[Member]) -> None:
    before = [member.router.networks.decoder.state_dict() for member in apart]
    after = [member.router.networks.decoder.state_dict() for member in ensemble.members]
    for name in before[0]:
        mean = np.mean([state[name].numpy() for state in before], axis=0)
        for state in after:
            np.testing.assert_allclose(state[name].numpy(), mean, atol=1e-6)
    assert not np.array_equal(before[0]["adapt.0.weight"], before[1]["adapt.0.weight"])


def test_members_of_other_docids_keep_a_decoder_of_their_own(
    apart: list[Member],
    small_index: Index,
    corpus: Corpus,
    train_examples: Examples,
    dev_examples: Examples,
    router_settings: RouterSettings,
) -> None:
    short = replace(router_settings, docids=DocidSettings(branching=64, fill=0.9))
    (other,) = trained(small_index, corpus, train_examples, short, [apart[2].rows])
    assert other.router.tree.depth != apart[0].router.tree.depth
    mixed = RouterEnsemble([*apart[:2], other], len(corpus), beam=3 * len(corpus))
    first, second, third = (member.router.networks.decoder.state_dict() for member in mixed.members)
    assert all(first[name].equal(second[name]) for name in first)
    assert all(third[name].equal(weights) for name, weights in other.router.networks.decoder.state_dict().items())
    assert len(mixed.docids(dev_examples.queries[0], len(corpus))) == len(corpus)

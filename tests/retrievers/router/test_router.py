"""The router as a whole: probabilities, prefixes, docids, and passages it has never seen."""

import numpy as np
import pytest
import torch
from trailhound.index.index import Index
from trailhound.learning.router._examples import Examples, TrainingPair, encoded, examples_of
from trailhound.learning.router._training import Made, RouterSettings, make_router, measured
from trailhound.retrievers.records import Query
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._ensemble import local_corpus
from trailhound.retrievers.router._router import MOST_SHARDS, Router, enough_shards
from trailhound.retrievers.words._terms import TermIndex
from trailhound.retrievers.words._titles import EntityIndex


def test_shard_probabilities_add_up_and_the_best_come_first(router: Router, dev_examples: Examples) -> None:
    for query in dev_examples.queries:
        shares = router.shard_probabilities(query)
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        chosen = router.shards(query, 1)
        assert chosen.numbers.tolist() == np.argsort(-shares, kind="stable").tolist()
        assert chosen.probabilities.tolist() == shares[chosen.numbers].tolist()


def test_a_mass_asks_no_more_shards_than_it_needs(router: Router, dev_examples: Examples) -> None:
    counts = set()
    for clues in dev_examples.clues:
        chosen = router.shards(clues, mass=0.7)
        counts.add(len(chosen.numbers))
        assert chosen.probabilities[:-1].sum() < 0.7
        assert chosen.probabilities.sum() >= 0.7 - 1e-6
    assert len(counts) > 1
    unsure = np.full(20, 0.05, np.float32)
    assert len(enough_shards(unsure, 0.9).numbers) == MOST_SHARDS
    assert len(enough_shards(unsure, 1).numbers) == 20


def test_it_routes_held_out_questions_better_than_chance(made: Made, dev_examples: Examples) -> None:
    figures = measured(made.router, dev_examples)
    assert figures["shards@2"] > 0.75  # chance: 0.5
    assert figures["docid_hits@1"] > 0.5  # chance: below 0.02
    assert figures["shards@1"] <= figures["shards@2"] <= figures["shards@3"] <= 1
    assert set(made.figures) >= {"shards@2", "docid_hits@1", "prefix@8", "shard_calibration"}


def test_docids_are_live_passages_with_falling_probabilities(router: Router, dev_examples: Examples) -> None:
    for query in dev_examples.queries[:10]:
        hits = router.docids(query, 7, beam=16)
        assert len(hits) == 7 == len(set(hits.rows.tolist()))
        assert hits.rows.tolist() == hits.rows[np.lexsort((hits.rows, -hits.scores))].tolist()
        assert np.exp(hits.scores).sum() <= 1 + 1e-5
        assert [router.tree.row(router.tree.docid(row)) for row in hits.rows] == hits.rows.tolist()
    assert len(router.docids(dev_examples.queries[0], 0)) == 0
    everything = router.docids(dev_examples.queries[0], len(router.corpus))
    assert sorted(everything.rows.tolist()) == list(range(len(router.corpus)))


def test_a_docid_that_was_deleted_is_not_found(router: Router, dev_examples: Examples) -> None:
    query = dev_examples.queries[0]
    first = int(router.docids(query, 1).rows[0])
    fewer = Router(router.corpus, router.partition, router.tree.without([first]), router.networks, router.temperatures)
    assert first not in fewer.docids(query, len(router.corpus)).rows


def test_prefixes_have_probabilities_and_lead_to_passages(router: Router, dev_examples: Examples) -> None:
    prefixes = router.prefixes(dev_examples.queries[0], most=100)
    assert sum(share for _, share in prefixes) == pytest.approx(1, abs=1e-4)
    shares = [share for _, share in prefixes]
    assert shares == sorted(shares, reverse=True)
    assert all((router.tree.codes[:, 0] == code).any() for code, _ in prefixes)


def test_equal_arguments_give_equal_routers(
    corpus: Corpus,
    train_examples: Examples,
    links: tuple[np.ndarray, np.ndarray],
    made: Made,
    router_settings: RouterSettings,
) -> None:
    again = make_router(corpus, train_examples, router_settings, 0, links)
    assert again.figures == made.figures
    assert again.router.tree.codes.tolist() == made.router.tree.codes.tolist()
    for name in ("shards", "decoder"):
        one, other = (getattr(result.router.networks, name).state_dict() for result in (made, again))
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_passage_that_came_later_is_found_before_any_training(router: Router, small_index: Index) -> None:
    old = router.corpus
    title, text = "Quibbleford Observatory", "Quibbleford Observatory is a zymurgical telescope on Mount Farfetched."
    vector = small_index.encoder.encode([f"{title}. {text}"])
    texts = [f"{passage.title}\n{passage.text}" for passage in small_index.store]
    titles = [passage.title for passage in small_index.store]
    grown = Corpus(
        np.concatenate([old.vectors, vector]),
        TermIndex.build([*texts, f"{title}\n{text}"]),
        EntityIndex([*titles, title]),
    )
    later = Router(grown, router.partition, router.tree, router.networks, router.temperatures)
    row = len(old)
    assert later.tree.codes[:row].tolist() == router.tree.codes.tolist()
    question = "Where is the zymurgical telescope of Quibbleford Observatory?"
    query = Query(question, small_index.encoder.encode([question])[0])
    assert later.docids(query, 3).rows[0] == row
    assert later.partition.shard[row] in later.shards(query).numbers


def test_a_corpus_of_a_handful_has_docids_of_one_code(corpus: Corpus, small_index: Index) -> None:
    rows = np.arange(6)
    titles, _ = small_index.store.columns()
    few = local_corpus(corpus, titles, rows)
    pairs = [TrainingPair(titles[row], (row,), "title") for row in rows.tolist()]
    examples = examples_of(pairs, encoded(pairs, small_index.encoder), few)
    tiny = make_router(few, examples, RouterSettings(shards=2), 0).router
    assert tiny.tree.depth == 1
    assert sorted(tiny.docids(examples.queries[0], 9).rows.tolist()) == rows.tolist()
    assert tiny.prefixes(examples.queries[0]) == []


def test_a_router_of_more_passages_than_the_index_is_refused(router: Router) -> None:
    fewer = Corpus(router.corpus.vectors[:50], router.corpus.terms, router.corpus.entity)
    with pytest.raises(ValueError, match="the index has 50: tune the router again"):
        Router(fewer, router.partition, router.tree, router.networks)

"""Learning of new passages later."""

import numpy as np
import pytest
import torch
from trailhound.index.index import Index
from trailhound.learning.router._examples import Examples, encoded, examples_of, made_pairs
from trailhound.learning.router._training import RouterSettings, RouterTraining, make_router, measured
from trailhound.learning.router.router_tuning import RefreshSettings, refresh
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._docids import DocidSettings
from trailhound.retrievers.router._ensemble import local_corpus
from trailhound.retrievers.router._router import Router

LATE = 20
TRAINING = RouterTraining(shard_epochs=8, decoder_epochs=1, judge_rate=1e-2)


@pytest.fixture(scope="module")
def growing(small_index: Index, corpus: Corpus) -> tuple[Router, Examples, Examples]:
    """A router of all but the last passages, its pairs, and pairs of the last ones, over the whole corpus."""
    titles, _ = small_index.store.columns()
    first = len(corpus) - LATE
    pairs = made_pairs(list(small_index.store), small_index.terms, np.random.default_rng(1), 300)
    old = [pair for pair in pairs if pair.rows[0] < first]
    new = [pair for pair in pairs if pair.rows[0] >= first]
    before = local_corpus(corpus, titles, np.arange(first))
    encoder = small_index.encoder
    settings = RouterSettings(4, docids=DocidSettings(8, 0.75), hidden=32, training=TRAINING)
    router = make_router(before, examples_of(old, encoded(old, encoder), before), settings, 0).router
    over_all = [examples_of(some, encoded(some, encoder), corpus) for some in (old, new)]
    return router, over_all[0], over_all[1]


def test_a_refreshed_router_knows_the_new_and_still_the_old(
    growing: tuple[Router, Examples, Examples], corpus: Corpus
) -> None:
    router, old, new = growing
    weights = {name: value.clone() for name, value in router.networks.decoder.state_dict().items()}
    grown = Router(corpus, router.partition, router.tree, router.networks, router.temperatures)
    later = refresh(router, corpus, new, old, RefreshSettings(training=TRAINING), 0)
    first = len(corpus) - LATE
    assert later.tree.codes[:first].tolist() == router.tree.codes.tolist()
    assert later.partition.shard[:first].tolist() == router.partition.shard.tolist()
    before, after = measured(grown, old), measured(later, old)
    assert after["docid_hits@1"] >= before["docid_hits@1"] - 0.03
    assert after["shards@2"] >= before["shards@2"] - 0.03
    assert measured(later, new)["docid_hits@1"] > 0.6
    # The router that was given is as it was.
    assert all(torch.equal(value, weights[name]) for name, value in router.networks.decoder.state_dict().items())


def test_distillation_holds_the_decoder_near_its_former_self(
    growing: tuple[Router, Examples, Examples], corpus: Corpus
) -> None:
    router, old, new = growing
    vectors = torch.from_numpy(np.stack([one.vector for one in old.clues]))
    fast = RouterTraining(shard_epochs=1, decoder_epochs=3, decoder_rate=3e-3)

    def moved(distillation: float) -> float:
        settings = RefreshSettings(replay=0, distillation=distillation, training=fast)
        later = refresh(router, corpus, new, old, settings, 0)
        with torch.no_grad():
            pair = [system.networks.decoder.adapted(vectors) for system in (router, later)]
        return float((1 - (pair[0] * pair[1]).sum(dim=1)).mean())

    assert moved(100.0) < 0.5 * moved(0.0)


def test_equal_seeds_refresh_equally(growing: tuple[Router, Examples, Examples], corpus: Corpus) -> None:
    router, old, new = growing
    settings = RefreshSettings(training=TRAINING)
    first, second = (refresh(router, corpus, new, old, settings, 3).networks.shards.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)

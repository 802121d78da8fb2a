"""Shards: balanced, linked passages together, statistics that point the right way."""

import numpy as np
import pytest
from trailhound.learning.router.examples import Examples
from trailhound.learning.router.training import shard_targets
from trailhound.retrievers.router.clues import Corpus
from trailhound.retrievers.router.shards import SHARD_CLUES, ShardStatistics, partition

Links = tuple[np.ndarray, np.ndarray]


def test_every_passage_lies_in_one_of_shards_of_nearly_equal_size(corpus: Corpus) -> None:
    parts = partition(corpus.vectors, 5, np.random.default_rng(0))
    assert parts.sizes.sum() == len(corpus)
    assert parts.sizes.max() <= np.ceil(len(corpus) / 5 * 1.15)
    assert parts.sizes.min() >= np.floor(len(corpus) / 5 / 1.15)
    assert sorted(np.concatenate([parts.rows(np.array([number])) for number in range(5)])) == list(range(len(corpus)))
    assert parts.rows(np.array([0, 3])).tolist() == np.flatnonzero((parts.shard == 0) | (parts.shard == 3)).tolist()


def test_linked_passages_are_drawn_together(corpus: Corpus, links: Links) -> None:
    source, target = links

    def together(smoothing: float) -> float:
        shares = []
        for seed in range(5):
            parts = partition(corpus.vectors, 4, np.random.default_rng(seed), links, smoothing)
            shares.append(np.mean(parts.shard[source] == parts.shard[target]))
        return float(np.mean(shares))

    assert together(0.6) > together(0) + 0.05


def test_a_link_alone_decides_between_equals() -> None:
    corners = np.eye(4, dtype=np.float32)
    links = np.array([0, 2]), np.array([1, 3])
    for seed in range(5):
        shard = partition(corners, 2, np.random.default_rng(seed), links).shard
        assert shard[0] == shard[1] != shard[2] == shard[3]


def test_new_passages_lie_where_their_like_do(corpus: Corpus) -> None:
    parts = partition(corpus.vectors, 4, np.random.default_rng(0))
    same = parts.with_added(parts.regions[:, 3])
    assert same.shard[: len(corpus)].tolist() == parts.shard.tolist()
    assert same.shard[len(corpus) :].tolist() == [0, 1, 2, 3]


def test_statistics_point_at_the_shard_of_what_is_asked_for(corpus: Corpus, made_examples: Examples) -> None:
    parts = partition(corpus.vectors, 4, np.random.default_rng(0))
    statistics = ShardStatistics(corpus, parts)
    known = np.stack([statistics.clues(one) for one in made_examples.clues])
    assert known.shape == (len(made_examples), 4, SHARD_CLUES)
    home = shard_targets(parts, made_examples).argmax(axis=1)
    for column in range(SHARD_CLUES):
        best = known[:, :, column].argmax(axis=1)
        assert np.mean(best == home) > 0.4, column  # 0.25 by chance; no column says it all


def test_a_weight_out_of_range_is_refused(corpus: Corpus) -> None:
    with pytest.raises(ValueError, match="smoothing must be from 0 to below 1, not 1"):
        partition(corpus.vectors, 4, np.random.default_rng(0), smoothing=1)

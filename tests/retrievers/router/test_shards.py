"""Shards: balanced, linked passages together, statistics that point the right way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound.errors import EncoderError
from trailhound.index.index import Index
from trailhound.learning.router._examples import Examples
from trailhound.learning.router._training import shard_targets
from trailhound.retrievers.protocols import SubIndex
from trailhound.retrievers.records import Query, Vectors
from trailhound.retrievers.router._clues import Corpus
from trailhound.retrievers.router._clusters import balanced_clusters
from trailhound.retrievers.router._router import Router
from trailhound.retrievers.router._shards import (
    SHARD_CLUES,
    LexicalShard,
    ShardStatistics,
    WithinShards,
    best,
    build_lexical_shards,
    dense_shards,
    open_lexical_shards,
    partition,
)

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


def unit(rng: np.random.Generator, count: int, dimension: int = 8) -> Vectors:
    vectors = rng.normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.data(), st.sampled_from([1.0, 1.15, 2.0]))
def test_sizes_lie_within_the_bounds(count: int, data: st.DataObject, slack: float) -> None:
    clusters = data.draw(st.integers(1, count))
    rng = np.random.default_rng(count)
    vectors = unit(rng, count)
    if data.draw(st.booleans()):
        vectors[:] = vectors[0]  # copies alone: nothing to tell them apart by
    assigned, centroids = balanced_clusters(vectors, clusters, rng, slack)
    sizes = np.bincount(assigned, minlength=clusters)
    assert sizes.min() >= np.floor(count / clusters / slack)
    assert sizes.max() <= np.ceil(count / clusters * slack)
    assert centroids.shape == (clusters, 8)
    assert np.isfinite(centroids).all()


def test_two_clumps_are_two_clusters() -> None:
    rng = np.random.default_rng(0)
    first, second = np.eye(8, dtype=np.float32)[0], np.eye(8, dtype=np.float32)[1]
    vectors = np.concatenate([first + 0.05 * unit(rng, 10), second + 0.05 * unit(rng, 10)])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assigned, centroids = balanced_clusters(vectors, 2, rng)
    assert len(set(assigned[:10].tolist())) == len(set(assigned[10:].tolist())) == 1
    assert assigned[0] != assigned[10]
    assert centroids[assigned[0]] @ first > 0.95


def test_a_seed_gives_the_same_clusters() -> None:
    vectors = unit(np.random.default_rng(1), 60)
    first, second = (balanced_clusters(vectors, 7, np.random.default_rng(5))[0] for _ in range(2))
    assert first.tolist() == second.tolist()


def test_more_clusters_than_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match="3 vectors cannot be parted into 4"):
        balanced_clusters(unit(np.random.default_rng(0), 3), 4, np.random.default_rng(0))


@pytest.fixture(scope="module")
def lexical(router: Router, small_index: Index, tmp_path_factory: pytest.TempPathFactory) -> list[LexicalShard]:
    folder = tmp_path_factory.mktemp("lexical")
    passages = ((passage.title, passage.text) for passage in small_index.store)
    build_lexical_shards(folder, passages, router.partition)
    return open_lexical_shards(folder, router.partition)


def test_within_the_shards_dense_search_is_exact(router: Router, small_index: Index, dev_examples: Examples) -> None:
    shards = dense_shards(router.corpus.vectors, router.partition)
    for query in dev_examples.queries:
        chosen = router.shards(query).numbers
        within = WithinShards([shards[number] for number in chosen])
        assert isinstance(within, SubIndex)
        assert within.name == "dense"
        whole = small_index.dense.search(query, len(small_index))
        inside = [row for row in whole.rows.tolist() if router.partition.shard[row] in chosen]
        assert within.search(query, 5).rows.tolist() == inside[:5]


def test_asking_every_shard_is_asking_the_whole(router: Router, small_index: Index, dev_examples: Examples) -> None:
    within = WithinShards(dense_shards(router.corpus.vectors, router.partition))
    for query in dev_examples.queries[:5]:
        whole, found = small_index.dense.search(query, 9), within.search(query, 9)
        assert found.rows.tolist() == whole.rows.tolist()
        np.testing.assert_allclose(found.scores, whole.scores, rtol=1e-5)


def test_lexical_shards_find_what_shares_words_in_them(
    router: Router, lexical: list[LexicalShard], small_index: Index, dev_examples: Examples
) -> None:
    for query in dev_examples.queries[:10]:
        chosen = router.shards(query).numbers
        found = WithinShards([lexical[number] for number in chosen]).search(query, len(small_index))
        whole = set(small_index.lexical.search(query, len(small_index)).rows.tolist())
        assert set(found.rows.tolist()) == {row for row in whole if router.partition.shard[row] in chosen}
    assert len(WithinShards(lexical).search(Query("?", dev_examples.clues[0].vector), 5)) == 0


def test_a_shard_asked_without_a_vector_says_so(router: Router) -> None:
    shard = dense_shards(router.corpus.vectors, router.partition)[0]
    with pytest.raises(EncoderError, match="query vector of 64 numbers"):
        shard.search(Query("words alone"), 3)


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 14))
def test_the_best_are_cut_by_row_among_equals(scores: list[int], limit: int) -> None:
    rows = np.arange(len(scores), dtype=np.int64)[::-1].copy()
    hits = best(rows, np.array(scores, np.float32), limit)
    expected = sorted(zip(rows.tolist(), scores, strict=True), key=lambda item: (-item[1], item[0]))[:limit]
    assert list(zip(hits.rows.tolist(), hits.scores.tolist(), strict=True)) == expected

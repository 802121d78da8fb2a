"""Routed search against the whole: what it finds, and what it counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.errors import EncoderError
from trailhound.index.index import Index
from trailhound.learning.router.examples import Examples
from trailhound.retrievers.protocols import SubIndex
from trailhound.retrievers.records import Query
from trailhound.retrievers.router.router import Router
from trailhound.retrievers.router.shards import (
    LexicalShard,
    WithinShards,
    best,
    build_lexical_shards,
    dense_shards,
    open_lexical_shards,
)


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

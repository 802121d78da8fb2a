"""What every re-ranker promises, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from trailhound.agent._reranking import LinearReranker
from trailhound.index.index import Index
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.protocols import Reranker
from trailhound.retrievers.records import Candidates, Passage, Query

KINDS = ["hybrid", "graph"]
QUESTIONS = ["Which river crosses the town where the director was born?", "", "?!", "Łódź 東京 🦊"]

Made = Callable[[list[int]], Candidates]


@pytest.fixture(scope="module")
def rerankers(small_index: Index) -> dict[str, Reranker]:
    return {
        "hybrid": LinearReranker(small_index, "hybrid", [0.5, 1.0, 2.0]),
        "graph": LinearReranker(small_index, "graph", [0.5, 1.0, 2.0, 3.0]),
    }


@pytest.fixture(params=KINDS)
def reranker(request: pytest.FixtureRequest, rerankers: dict[str, Reranker]) -> Reranker:
    return rerankers[request.param]


@pytest.fixture
def made(small_index: Index) -> Made:
    """Make candidates of rows, with first-stage scores that have ties."""

    def candidates(rows: list[int]) -> Candidates:
        passages = tuple(small_index.store.passages(rows))
        return Candidates(np.array(rows, np.int64), passages, np.array([100.0 - row // 3 for row in rows]))

    return candidates


def test_it_is_a_reranker(reranker: Reranker) -> None:
    assert isinstance(reranker, Reranker)
    assert reranker.name in KINDS


@pytest.mark.parametrize("text", QUESTIONS)
def test_scores_are_finite_numbers_one_for_each(reranker: Reranker, made: Made, small_index: Index, text: str) -> None:
    scores = reranker.scores(small_index.query(text), made([5, 3, 9, 40]))
    assert scores.shape == (4,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()


def test_the_order_of_the_candidates_does_not_matter(reranker: Reranker, made: Made, small_index: Index) -> None:
    query, rows = small_index.query(QUESTIONS[0]), list(range(0, 24, 2))
    straight = dict(zip(rows, reranker.scores(query, made(rows)), strict=True))
    for seed in range(3):
        mixed = np.random.default_rng(seed).permutation(rows).tolist()
        again = dict(zip(mixed, reranker.scores(query, made(mixed)), strict=True))
        assert [again[row] for row in rows] == pytest.approx([straight[row] for row in rows], abs=1e-4)


def test_the_same_call_gives_the_same_result(reranker: Reranker, made: Made, small_index: Index) -> None:
    query, candidates = small_index.query(QUESTIONS[0]), made([1, 2, 3, 50])
    np.testing.assert_array_equal(reranker.scores(query, candidates), reranker.scores(query, candidates))
    assert reranker.sentences(query, candidates.passages) == reranker.sentences(query, candidates.passages)


def test_no_candidates_are_no_scores(reranker: Reranker, made: Made, small_index: Index) -> None:
    query = small_index.query(QUESTIONS[0])
    assert reranker.scores(query, made([])).shape == (0,)
    assert reranker.sentences(query, []) == []


def test_a_query_without_a_vector_is_enough(reranker: Reranker, made: Made, small_index: Index) -> None:
    bare, whole = Query(QUESTIONS[0]), small_index.query(QUESTIONS[0])
    np.testing.assert_array_equal(reranker.scores(bare, made([1, 2])), reranker.scores(whole, made([1, 2])))


def test_a_sentence_lies_in_its_passage_and_in_its_document(reranker: Reranker, small_index: Index) -> None:
    query = small_index.query(QUESTIONS[0])
    passages = small_index.store.passages(range(8))
    for passage, sentence in zip(passages, reranker.sentences(query, passages), strict=True):
        assert sentence is not None
        assert (sentence.start, sentence.end) in sentence_spans(passage.text)
        document = small_index.store.document(passage.document_id).text
        assert document[sentence.document_start : sentence.document_end] == passage.text[sentence.start : sentence.end]


def test_offsets_in_a_document_begin_where_the_passage_does(reranker: Reranker, tmp_path: Path) -> None:
    text = "Eggs and flour are cheap. The river Aa crosses the town of Torl. Prices rise."
    passage = Passage("d#3", "d", "Torl", text, 1000, 1000 + len(text), sentence_spans(text))
    (sentence,) = reranker.sentences(Query("Which river crosses the town of Torl?"), [passage])
    assert sentence is not None
    assert text[sentence.start : sentence.end] == "The river Aa crosses the town of Torl."
    assert (sentence.document_start, sentence.document_end) == (1000 + sentence.start, 1000 + sentence.end)


def test_a_passage_without_a_sentence_has_none(reranker: Reranker) -> None:
    blank = Passage("a", "a", "Torl", " \n ", 0, 3, ())
    whole = Passage("b", "b", "Torl", "One.", 0, 4, ((0, 4),))
    first, second = reranker.sentences(Query("Torl?"), [blank, whole])
    assert first is None
    assert second is not None
    assert (second.start, second.end) == (0, 4)
    assert reranker.sentences(Query("Torl?"), [blank]) == [None]

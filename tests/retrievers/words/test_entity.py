from pathlib import Path

import numpy as np
import pytest
from trailhound.retrievers.protocols import SubIndex
from trailhound.retrievers.records import Query
from trailhound.retrievers.words._lexical import LexicalIndex
from trailhound.retrievers.words._titles import EntityIndex, TitleMatcher

TITLES = ["Paris", "Paris, Texas", "Mercury (planet)", "Mercury (element)", "John F. Kennedy", "", "Mercury", "Rome"]


def found(question: str, limit: int = 10) -> dict[int, float]:
    hits = EntityIndex(TITLES).search(Query(question), limit)
    assert hits.rows.dtype == np.int64
    assert hits.scores.dtype == np.float32
    assert np.all(np.diff(hits.scores) <= 0)
    return dict(zip(hits.rows.tolist(), hits.scores.tolist(), strict=True))


def test_it_is_a_sub_index() -> None:
    assert isinstance(EntityIndex(TITLES), SubIndex)


def test_longer_and_surer_mentions_come_first() -> None:
    # "Paris, Texas" has 12 characters, "John Kennedy" 12 as an alias: times a half.
    assert list(found("Did John Kennedy see Paris, Texas?").items()) == [(1, 12.0), (4, 6.0)]


def test_an_exact_title_counts_more_than_one_without_its_parenthesis() -> None:
    scores = found("How far is Mercury?")
    assert list(scores) == [6, 2, 3]
    assert scores[6] == 7
    assert scores[2] == pytest.approx(0.8 * 7 / 2**0.5)


def test_the_best_of_several_mentions_counts() -> None:
    scores = found("Is Mercury (planet) hotter than Mercury?")
    assert list(scores) == [2, 6, 3]
    assert scores[2] == len("Mercury (planet")  # a mention runs from its first word to its last


def test_ties_by_row_and_the_limit() -> None:
    titles = ["Abc", "Xyz", "Def"]
    assert EntityIndex(titles).search(Query("Def or Abc or Xyz"), 2).rows.tolist() == [0, 1]
    assert len(EntityIndex(titles).search(Query("Def or Abc"), 0)) == 0


@pytest.mark.parametrize("question", ["", "?!", "nothing of that kind"])
def test_a_question_that_names_nothing(question: str) -> None:
    assert found(question) == {}


def test_a_matcher_is_shared_and_a_document_counts_once() -> None:
    matcher = TitleMatcher(["Rome", "Rome"], ["d", "d"])
    index = EntityIndex([], matcher=matcher)
    assert index.matcher is matcher
    assert index.search(Query("Where is Rome?"), 5).rows.tolist() == [0]
    assert EntityIndex(["Rome", "Rome"], ["d", "d"]).search(Query("Where is Rome?"), 5).rows.tolist() == [0]


def test_a_passage_is_named_by_an_identifier_that_few_have(tmp_path: Path) -> None:
    texts = ["read it with parse_http_header", "HTTP has a header", *["set foo_bar here"] * 6]
    LexicalIndex.build(tmp_path / "lexical", [("", text) for text in texts])
    index = EntityIndex([""] * len(texts), lexical=LexicalIndex(tmp_path / "lexical"))
    assert index.search(Query("Where is parseHttpHeader defined?"), 5).rows.tolist() == [0]
    assert index.search(Query("What is parse_http_header?"), 5).rows.tolist() == [0]
    assert not len(index.search(Query("What is foo_bar?"), 5)), "too many have it"
    assert not len(index.search(Query("What is a header?"), 5))

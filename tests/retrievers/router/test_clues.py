"""Clues of a query: what is counted, by hand."""

import numpy as np
import pytest
from trailhound.errors import EncoderError
from trailhound.retrievers.records import Query
from trailhound.retrievers.router._clues import Clues, Corpus, Postings, clues_of, named_share
from trailhound.retrievers.words._terms import TermIndex, term_hashes
from trailhound.retrievers.words._titles import EntityIndex

TEXTS = ["apple pear", "apple plum", "apple", "quince"]
CORPUS = Corpus(
    np.eye(4, dtype=np.float32), TermIndex.build(TEXTS), EntityIndex(["Green Gables", "Red River", "Red River", ""])
)


def clues(text: str) -> Clues:
    return clues_of(Query(text, CORPUS.vectors[0]), CORPUS)


def test_clues_hold_terms_and_named_titles() -> None:
    text = "An apple, or a zebra, at Red River or in Green Gables?"
    found = clues(text)
    assert sorted(found.terms.tolist()) == sorted(term_hashes("apple zebra red river green gables").tolist())
    # "apple" is in three of four passages, the others in none.
    np.testing.assert_allclose(sorted(found.idf), [np.log1p(1.5 / 3.5)] + 5 * [np.log1p(4.5 / 0.5)], rtol=1e-6)
    assert sorted(found.named.tolist()) == [0, 1, 2]
    assert found.named[0] == 0
    # "Green Gables" is 12 letters, "Red River" 9 and fits two passages.
    expected = np.array([12, 9 / 2**0.5, 9 / 2**0.5]) * 4 / len(text)
    np.testing.assert_allclose(found.specificity, expected, rtol=1e-6)


def test_what_else_is_named_does_not_change_how_specifically_a_title_is() -> None:
    both, one = clues("Green Gables and Red River"), clues("Green Tables and Red River")
    assert both.specificity[1:].tolist() == one.specificity.tolist()


def test_a_group_covers_little_of_a_query_whose_terms_the_corpus_lacks() -> None:
    postings = Postings(CORPUS.terms, np.array([0, 1, 1, -1]), 2)
    apple, unknown = np.log1p(1.5 / 3.5), np.log1p(4.5 / 0.5)
    evidence = postings.evidence(clues("apple zebra"))
    np.testing.assert_allclose(evidence[:, 0], apple / (apple + unknown), rtol=1e-5)
    assert postings.evidence(clues("apple"))[:, 0].tolist() == [1, 1]


def test_terms_say_where_they_occur() -> None:
    postings = Postings(CORPUS.terms, np.array([0, 1, 1, -1]), 2)
    evidence = postings.evidence(clues("apple plum"))
    apple, plum = np.log1p(1.5 / 3.5), np.log1p(3.5 / 1.5)
    np.testing.assert_allclose(evidence[:, 0], [apple / (apple + plum), 1], rtol=1e-5)
    np.testing.assert_allclose(
        evidence[:, 1], [apple / 3 / (apple + plum), (apple * 2 / 3 + plum) / (apple + plum)], rtol=1e-5
    )
    assert evidence[1, 2] > evidence[1, 1]  # the rare plum decides
    assert evidence[1, 3] > evidence[0, 3] >= 0


def test_a_query_without_known_terms_says_nothing() -> None:
    postings = Postings(CORPUS.terms, np.array([0, 1, 1, -1]), 2)
    assert postings.evidence(clues("zebra?")).tolist() == [[0] * 4] * 2
    # A term of a passage that is in no group occurs in none.
    assert postings.evidence(clues("quince"))[:, :3].tolist() == [[0] * 3] * 2


def test_named_passages_point_at_their_groups() -> None:
    found = named_share(clues("Green Gables and Red River"), np.array([0, 1, 1, -1]), 2)
    gables, river = 12 * 4 / 26, 9 / 2**0.5 * 4 / 26
    total = gables + 2 * river
    np.testing.assert_allclose(found, [[gables, gables / total], [river, 2 * river / total]], rtol=1e-5)


def test_a_query_without_its_vector_is_refused() -> None:
    for vector in (None, np.zeros(3, np.float32)):
        with pytest.raises(EncoderError, match="encode the query"):
            clues_of(Query("apple", vector), CORPUS)

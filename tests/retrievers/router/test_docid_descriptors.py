"""Descriptors: the words that set a prefix apart."""

import numpy as np
from trailhound.retrievers.router._docids import DocidSettings, DocidTree, describe_prefixes, distinctive_terms
from trailhound.retrievers.words._terms import TermIndex, term_hashes

TEXTS = ["river boats sail", "rivers and boats", "boats on rivers", "stars shine sail", "a star, stars", "star light"]


def test_class_based_tf_idf_by_hand() -> None:
    terms = TermIndex.build(["apple pear", "apple", "plum pear", "plum"])
    found = distinctive_terms(terms, np.array([0, 0, 1, 1]), 2)
    # Six terms in two classes: A = 3. apple: 2 log(1 + 3/2) = 1.83 in class 0; pear: 1 log(1 + 3/2) = 0.92 in both.
    assert found[0].tolist() == [*term_hashes("apple"), *term_hashes("pear")]
    assert found[1].tolist() == [*term_hashes("plum"), *term_hashes("pear")]


def test_rows_without_a_group_count_nowhere() -> None:
    terms = TermIndex.build(["apple", "pear pear", "plum"])
    assert list(distinctive_terms(terms, np.array([-1, 0, -1]), 5)) == [0]
    assert distinctive_terms(terms, np.array([-1, -1, -1]), 5) == {}


def test_prefixes_are_described_in_words_of_their_passages() -> None:
    vectors = np.repeat(np.eye(2, dtype=np.float32), 3, axis=0)
    tree = DocidTree.build(vectors, np.random.default_rng(0), DocidSettings(branching=4, fill=0.75))
    described = describe_prefixes(tree, TermIndex.build(TEXTS), TEXTS, words=2)
    rivers, stars = tree.docid(0)[:1], tree.docid(3)[:1]
    assert set(described) == {rivers, stars}
    assert set(described[rivers]) == {"boats", "rivers"}
    assert described[stars][0] == "star"


def test_a_deleted_passage_says_nothing() -> None:
    vectors = np.repeat(np.eye(2, dtype=np.float32), 3, axis=0)
    tree = DocidTree.build(vectors, np.random.default_rng(0), DocidSettings(branching=4, fill=0.75))
    described = describe_prefixes(tree.without([0, 1, 2]), TermIndex.build(TEXTS), TEXTS)
    assert set(described) == {tree.docid(3)[:1]}

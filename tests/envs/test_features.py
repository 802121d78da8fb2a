"""The features of candidates and pairs, by hand on three passages and by brute force on the encyclopedia."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, log1p
from pathlib import Path

import numpy as np
import pytest
from fixtures.searches import above_the_corpus
from trailhound import Document, EnvironmentSettings, Index
from trailhound.envs._conditioned_query import conditioned_query
from trailhound.envs._in_view import InView, PassageFeatures, bring, passage_features
from trailhound.envs._pair_features import PairFeatures
from trailhound.envs._question_view import QuestionView
from trailhound.envs._world import QuestionWorld
from trailhound.envs.settings import PAIR, STATIC
from trailhound.graph._knowledge_graph import GROUPS
from trailhound.retrievers.compiling._sentences import sentence_spans
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.records import Rows
from trailhound.retrievers.words._terms import term_hashes

FILM = "The Red Kite was made in 1931. Its director was Ada Marl."
PERSON = "Ada Marl was born in Oldport. Her mother was Jane Marl."
TOWN = "Oldport lies at the sea. The Red Kite (film) plays there."
QUESTION = "Who is the mother of the director of the film Red Kite (film)?"


@pytest.fixture(scope="module")
def towns(hashing_encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    documents = [
        Document("film", "Red Kite (film)", FILM, atomic=True),
        Document("person", "Ada Marl", PERSON, atomic=True),
        Document("town", "Oldport", TOWN, atomic=True),
        Document("bare", "", "Nothing at all is said here.", atomic=True),
    ]
    return Index.build(documents, tmp_path_factory.mktemp("towns") / "x.index", encoder=hashing_encoder)


@pytest.fixture(scope="module")
def view(towns: Index) -> QuestionView:
    return QuestionView.of(towns, QUESTION)


def features_of(view: QuestionView, index: Index, rows: Rows) -> PassageFeatures:
    return passage_features(index, [view], rows, np.zeros(len(rows), np.int64))


def static(view: QuestionView, index: Index) -> Iterator[dict[str, float]]:
    features = features_of(view, index, np.arange(len(index))).static
    return (dict(zip(STATIC, row.tolist(), strict=True)) for row in features)


def pairs(index: Index, view: QuestionView, evidence: int) -> list[dict[str, float]]:
    in_view = InView(index, view)
    bring([(in_view, np.arange(len(index)))])
    features = PairFeatures(in_view).beside(evidence)
    return [dict(zip(PAIR, row.tolist(), strict=True)) for row in features]


def idf(index: Index, words: str) -> float:
    """Sum ln(1 + (N - n + 0.5) / (n + 0.5)) over the terms of ``words``, by counting."""
    total = 0.0
    for term in term_hashes(words).tolist():
        n = sum(term in index.terms.terms(row).tolist() for row in range(len(index)))
        total += log(1 + (len(index) - n + 0.5) / (n + 0.5))
    return total


def test_static_features_by_hand(towns: Index, view: QuestionView) -> None:
    film, person, town, bare = static(view, towns)
    assert [row["titled"] for row in (film, person, town, bare)] == [1, 1, 1, 0]
    mention = "Red Kite (film"  # a mention ends with its last word
    assert film["named_exactly"] == film["named"] == 1
    assert film["named_share"] == pytest.approx(len(mention) / len(QUESTION))
    assert film["named_position"] == pytest.approx(QUESTION.index(mention) / len(QUESTION))
    assert film["title_in_question"] == pytest.approx(1)
    assert person["named"] == person["title_in_question"] == bare["question_in_title"] == 0
    assert film["question_in_title"] == pytest.approx(idf(towns, "red kite film") / idf(towns, QUESTION), abs=1e-6)
    assert person["lexical"] == pytest.approx(idf(towns, "mother") / idf(towns, QUESTION), abs=1e-6)
    assert film["length"] == pytest.approx(log1p(12) / 6)
    cosines = towns.dense.vectors @ view.vector
    assert person["dense"] == pytest.approx((cosines[1] - cosines.mean()) / cosines.std() / 4, abs=1e-5)
    # The film mentions the person, the person the town, the town the film.
    for row in (film, person, town):
        assert row["in_degree"] == row["out_degree"] == pytest.approx(log1p(1) / 4)
    assert bare["in_degree"] == bare["out_degree"] == 0


def test_degrees_tell_what_mentions_a_passage_from_what_it_mentions(hashing_encoder: Encoder, tmp_path: Path) -> None:
    documents = [
        Document("person", "Ada Marl", "Ada Marl was born here.", atomic=True),
        Document("note", "", "Ada Marl saw the Red Kite.", atomic=True),
        Document("film", "Red Kite (film)", "The Red Kite is by Ada Marl.", atomic=True),
    ]
    index = Index.build(documents, tmp_path / "x.index", encoder=hashing_encoder)
    person, note, film = static(QuestionView.of(index, "Who?"), index)
    for row, mentioned_by, mentions in ((person, 2, 0), (note, 0, 2), (film, 1, 1)):
        assert row["in_degree"] == pytest.approx(log1p(mentioned_by) / 4)
        assert row["out_degree"] == pytest.approx(log1p(mentions) / 4)


def test_a_mention_that_begins_a_sentence_agrees_as_that_sentence_does(
    hashing_encoder: Encoder, tmp_path: Path
) -> None:
    documents = [
        Document("person", "Ada Marl", "She was born here.", atomic=True),
        Document("note", "", "Nothing is known. Ada Marl saw the kite.", atomic=True),
        Document("other", "", "It is late.", atomic=True),
    ]
    index = Index.build(documents, tmp_path / "x.index", encoder=hashing_encoder)
    view = QuestionView.of(index, "Who saw the kite?")
    person, _, other = pairs(index, view, 1)
    assert person["mention_agreement"] == pytest.approx(1, abs=1e-6)
    assert other["same_title"] == 0, "two passages without a title do not have the same one"


def test_a_page_is_full_though_the_evidence_is_what_agrees_most(small_index: Index) -> None:
    view = QuestionView.of(small_index, small_index.store.passage(0).text)
    world = QuestionWorld(small_index, view, EnvironmentSettings(pages=1, expand_size=5))
    held = world.expand(0, (), 0)[:1]
    found = world.expand(0, tuple(held.tolist()), 0)
    assert len(found) == 5
    assert not set(found.tolist()) & set(held.tolist())


def test_pair_features_by_hand(towns: Index, view: QuestionView) -> None:
    beside_film = pairs(towns, view, 0)
    person, town, bare = beside_film[1:]
    assert person["mentioned"] == 1
    assert person["mention_position"] == pytest.approx(FILM.index("Ada Marl") / len(FILM))
    directing = FILM[FILM.index("Its director") :]
    assert person["mention_agreement"] == pytest.approx(view.agreement(term_hashes(directing)))
    assert person["mention_agreement"] > 0
    assert person["mentions"] == 0
    assert town["mentioned"] == town["mentioned_alias"] == 0
    assert town["mentions"] == 1
    assert town["mentions_position"] == pytest.approx(TOWN.index("Red Kite (film)") / len(TOWN))
    assert town["mentions_agreement"] == pytest.approx(view.agreement(term_hashes(TOWN[TOWN.index("The Red") :])))
    assert not any(bare[name] for name in PAIR if name not in ("dense", "overlap"))
    # Without the town's title, "kite" and "red" are what town and film share.
    own = towns.terms.terms(2)
    shared = own[np.isin(own, towns.terms.terms(0))]
    share = towns.terms.idf(shared).sum() / towns.terms.idf(own).sum()
    assert 0 < town["overlap"] == pytest.approx(float(share), abs=1e-6)


def test_the_query_takes_up_the_sentence_that_agrees_most(towns: Index, view: QuestionView) -> None:
    person = towns.store.passage(1)
    assert conditioned_query(view, [person]) == f"{QUESTION} Ada Marl. Her mother was Jane Marl."
    bare = towns.store.passage(3)
    assert conditioned_query(view, [bare]) == f"{QUESTION} Nothing at all is said here."


def test_a_given_vector_is_not_encoded_again(towns: Index) -> None:
    vector = np.ones(64, np.float32) / 8
    assert QuestionView.of(towns, QUESTION, vector).vector is vector


def test_a_question_of_no_words(towns: Index) -> None:
    view = QuestionView.of(towns, "?")
    features = features_of(view, towns, np.arange(4))
    assert features.hits.shape == (4, 0)
    assert np.isfinite(features.static).all()
    assert view.agreement(term_hashes("anything")) == 0


@pytest.mark.parametrize("evidence", [0, 3, 8])
def test_pair_features_are_those_of_the_graph(small_index: Index, evidence: int) -> None:
    view = QuestionView.of(small_index, small_index.store.passage(evidence).text.split(".")[0])
    features = pairs(small_index, view, evidence)
    titles, _ = small_index.store.columns()
    groups = {group: set(small_index.graph.neighbours(evidence, group).rows.tolist()) for group in GROUPS}
    above = above_the_corpus(small_index, np.arange(len(small_index)), small_index.dense.vectors[evidence])
    for row, found in enumerate(features):
        assert bool(found["mentioned"] or found["mentioned_alias"]) == (row in groups["mentions"])
        assert bool(found["mentions"]) == (row in groups["mentioned_by"])
        assert bool(found["shares"]) == (row in groups["shares"])
        assert bool(found["adjacent"]) == (row in groups["adjacent"])
        assert bool(found["same_title"]) == (bool(titles[evidence]) and titles[row] == titles[evidence])
        assert found["dense"] == pytest.approx(float(above[row]), abs=1e-5)
        assert all(0 <= found[name] <= 1 + 1e-6 for name in PAIR if name != "dense")


def test_pair_features_do_not_depend_on_when_candidates_came(small_index: Index) -> None:
    view = QuestionView.of(small_index, "Who founded the harbour of the old town?")
    at_once, growing = InView(small_index, view), InView(small_index, view)
    bring([(at_once, np.arange(40))])
    expected, found = PairFeatures(at_once).beside(2), PairFeatures(growing)
    for count in (3, 4, 17, 40):
        bring([(growing, np.arange(count))])
        part = found.beside(2)
        assert len(part) == count
        assert part.tobytes() == expected[:count].tobytes()


def test_mentions_stand_in_their_sentences(small_index: Index) -> None:
    """Every link of the graph lies inside one of the sentences that features speak of."""
    for row in range(0, len(small_index), 10):
        text = small_index.store.passage(row).text
        spans = sentence_spans(text)
        for start in small_index.graph.neighbours(row, "mentions").starts.tolist():
            assert any(begin <= start < end for begin, end in spans)


def test_a_world_grows_beyond_its_first_size(small_index: Index, tmp_path: Path) -> None:
    settings = EnvironmentSettings(expand_size=100)
    view = QuestionView.of(small_index, "Which town has a harbour?")
    world = QuestionWorld(small_index, view, settings, frozenset([5]))
    places = world.expand(1, (), 0)
    assert places.tolist() == list(range(100))
    assert len(world) == 100
    assert world.bring(world.rows).tolist() == list(range(100))
    assert np.flatnonzero(world.is_gold).tolist() == [k for k, row in enumerate(world.rows) if row == 5]
    features = features_of(view, small_index, world.rows)
    np.testing.assert_array_equal(world.static, features.static)
    np.testing.assert_array_equal(world.hits, features.hits)
    assert world.expand(1, (), 0) is places

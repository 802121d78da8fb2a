"""The drift of an index says whether what was added is like its base."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trailhound import Document, Index
from trailhound.demo._encyclopedia import Encyclopedia
from trailhound.index._drift import Drift, centroid_shift, measure_drift, outlying_share, unknown_terms, unseen_share
from trailhound.retrievers.protocols import Encoder
from trailhound.retrievers.words._terms import TermIndex, term_hashes

STRANGE = [
    Document(f"s{number}", "", f"qubit {number} entangles bosons with lattice gauge fermions", atomic=True)
    for number in range(20)
]


@pytest.fixture
def index(encyclopedia: Encyclopedia, tmp_path: Path, hashing_encoder: Encoder) -> Index:
    return Index.build(encyclopedia.documents[:130], tmp_path / "x", encoder=hashing_encoder)


def test_without_changes_nothing_has_moved(index: Index) -> None:
    assert measure_drift(index, ["Who?"]) == Drift(0, 0, 0)


def test_more_of_the_same_moves_little_and_something_else_much(index: Index, encyclopedia: Encyclopedia) -> None:
    index.add(encyclopedia.documents[130:])
    questions = [question.text for question in encyclopedia.questions[:20]]
    same = measure_drift(index, questions)
    assert same.unseen is not None
    assert 0 < same.unseen < 0.5
    index.delete([document.id for document in encyclopedia.documents[130:]])
    index.add(STRANGE)
    other = measure_drift(index, ["Which qubit entangles fermions?"])
    assert other.unknown_terms > 0.7 > 0.4 > same.unknown_terms
    assert other.centroid_shift > 2 * same.centroid_shift
    assert other.outlying > 0.9 > 0.4 > same.outlying
    assert other.question_unknown_terms == 1
    assert other.unseen is not None
    assert other.unseen > same.unseen
    assert measure_drift(index).unseen is None


def test_unknown_terms_count_once_for_each_text() -> None:
    frequency = TermIndex.build(["a ship sails", "town"]).document_frequency
    texts = [term_hashes("the ship is a zeppelin"), term_hashes("zeppelin"), term_hashes("town town")]
    assert unknown_terms(texts, frequency) == pytest.approx(2 / 4)
    assert unknown_terms([], frequency) == unknown_terms([term_hashes("the")], frequency) == 0


def test_the_centroid_turns_with_what_is_new() -> None:
    east, north = np.array([[1, 0], [0.8, 0]], np.float32), np.array([[0, 2]], np.float32)
    assert centroid_shift(east, east[:1]) == pytest.approx(0)
    assert centroid_shift(east, north) == pytest.approx(0.5)
    assert centroid_shift(east, -east) == pytest.approx(1)
    assert centroid_shift(east, east[:0]) == centroid_shift(east, np.zeros((1, 2), np.float32)) == 0


def unit(center: list[float], count: int, rng: np.random.Generator) -> np.ndarray:
    vectors = rng.normal(center, 1, (count, len(center)))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def test_a_twentieth_of_the_like_lies_outside_and_all_of_the_unlike() -> None:
    rng = np.random.default_rng(0)
    base, like = (unit([5, 0, 0, 0, 0, 0], 600, rng) for _ in range(2))
    assert outlying_share(base, like) == pytest.approx(0.05, abs=0.03)
    assert outlying_share(base, base) == 0  # each is there itself
    assert outlying_share(base, -like) == 1
    assert outlying_share(base, base[:0]) == outlying_share(base[:1], like) == 0


def test_unseen_is_what_the_base_does_not_have() -> None:
    assert unseen_share([np.array([1, 9, 10]), np.array([11])], base=10) == pytest.approx(0.5)
    assert unseen_share([], base=10) == unseen_share([np.zeros(0, np.int64)], base=10) == 0


@settings(deadline=None)  # a busy machine takes its time
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**31))
def test_every_measure_of_vectors_is_between_0_and_1(old: int, new: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (rng.normal(size=(count, 4)).astype(np.float32) for count in (old, new))
    assert 0 <= centroid_shift(one, other) <= 1
    assert 0 <= outlying_share(one, other) <= 1

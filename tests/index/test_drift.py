"""The drift of an index says whether what was added is like its base."""

from __future__ import annotations

from pathlib import Path

import pytest
from trailhound import Document, Index
from trailhound.demo.encyclopedia import Encyclopedia
from trailhound.index.index_drift import Drift, measure_drift
from trailhound.retrievers.protocols import Encoder

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

"""What every reader keeps to, whatever it is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trailhound.agent.reader._extractive import ExtractiveReader
from trailhound.agent.reader._language_models import LanguageModelReader
from trailhound.agent.reader._protocol import Reader, ReadingTask
from trailhound.learning._reader import ReadingExample

KINDS = ("extractive", "causal", "sequence to sequence")


@pytest.fixture(params=KINDS)
def reader(
    request: pytest.FixtureRequest,
    small_reader: ExtractiveReader,
    causal_model: Path,
    sequence_model: Path,
) -> Reader:
    if request.param == "extractive":
        return small_reader
    return LanguageModelReader(causal_model if request.param == "causal" else sequence_model)


@pytest.fixture
def tasks(unseen: list[ReadingExample]) -> list[ReadingTask]:
    """Evidence that is complete, partial, reversed, and none; an answer that is nowhere; one with other letters."""
    full = [ReadingTask(e.question, e.answer, e.evidence) for e in unseen[:3]]
    first = unseen[0]
    return [
        *full,
        ReadingTask(first.question, first.answer, first.evidence[:1]),
        ReadingTask(first.question, first.answer, first.evidence[::-1]),
        ReadingTask(first.question, first.answer, ()),
        ReadingTask(first.question, "Ulan Bator", first.evidence),
        ReadingTask("Où est-ce?", "Škocjan 東京", first.evidence),
    ]


def test_log_likelihoods_are_finite_and_at_most_zero(reader: Reader, tasks: list[ReadingTask]) -> None:
    scores = reader.log_likelihoods(tasks)
    assert scores.shape == (len(tasks),)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert (scores <= 0).all()


def test_a_score_does_not_depend_on_its_company(reader: Reader, tasks: list[ReadingTask]) -> None:
    together = reader.log_likelihoods(tasks)
    alone = np.concatenate([reader.log_likelihoods([task]) for task in tasks])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together[::-1], reader.log_likelihoods(tasks[::-1]), atol=1e-5)


def test_reading_twice_is_reading_once(reader: Reader, tasks: list[ReadingTask]) -> None:
    np.testing.assert_array_equal(reader.log_likelihoods(tasks), reader.log_likelihoods(tasks))


def test_evidence_and_answer_count(reader: Reader, tasks: list[ReadingTask]) -> None:
    """A reader that scored every path alike would teach nothing."""
    scores = reader.log_likelihoods(tasks)
    assert len(np.unique(scores.round(6))) > 2


def test_nothing_to_read_is_nothing(reader: Reader) -> None:
    assert reader.log_likelihoods([]).shape == (0,)


def test_it_has_a_name_for_people(reader: Reader) -> None:
    assert reader.name

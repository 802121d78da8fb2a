"""Training a reader: reproducible, and calibrated on questions that it did not learn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from trailhound.agent.reader._extractive import UNREAD, ExtractiveReader
from trailhound.agent.reader._passage_analysis import PassageAnalyser
from trailhound.agent.reader._protocol import ReadingTask
from trailhound.learning._reader import TEMPERATURES, ReadingExample, calibrate, train_reader


def weights(reader: ExtractiveReader) -> dict[str, NDArray[np.float32]]:
    return reader.network.weights


def test_the_same_seed_gives_the_same_reader(unseen: list[ReadingExample], analyser: PassageAnalyser) -> None:
    one, two, three = (train_reader(unseen[:6], 2, seed, analyser=analyser) for seed in (1, 1, 2))
    assert all(np.array_equal(weights(one)[name], weights(two)[name]) for name in weights(one))
    assert any(not np.array_equal(weights(one)[name], weights(three)[name]) for name in weights(one))


def test_progress_counts_the_examples(unseen: list[ReadingExample], analyser: PassageAnalyser) -> None:
    heard: list[int] = []
    train_reader(unseen[:4], 1, 0, analyser=analyser, done=heard.append)
    assert heard == [1, 2, 3, 4]


def test_a_reader_that_is_too_sure_is_cooled(unseen: list[ReadingExample], analyser: PassageAnalyser) -> None:
    """Answers that are wrong on purpose can only be borne by a reader that is less sure of what it says."""
    reader = train_reader(unseen, 150, 0, analyser=analyser)
    wrong = [ReadingExample(e.question, e.evidence[k % 2].title, e.evidence) for k, e in enumerate(unseen)]
    chosen = calibrate(reader, wrong, 0)
    assert chosen > 1
    assert float(reader.network.weights["temperature"]) == pytest.approx(chosen)


def test_calibration_takes_the_temperature_of_the_highest_likelihood(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    # complete evidence of one passage is always presented whole
    alone = [ReadingExample(e.question, e.answer, e.evidence[1:2]) for e in unseen]
    chosen = calibrate(small_reader, alone, 0)
    tasks = [ReadingTask(e.question, e.answer, e.evidence) for e in alone]
    means = {}
    for temperature in TEMPERATURES:
        small_reader.network.cool(temperature)
        means[temperature] = small_reader.log_likelihoods(tasks).mean()
    small_reader.network.cool(1.0)
    assert means[chosen] >= max(means.values()) - 0.05
    assert np.log(UNREAD) <= min(means.values())


def test_without_questions_nothing_is_calibrated(small_reader: ExtractiveReader) -> None:
    assert calibrate(small_reader, [], 0) == 1.0

"""Training a reader: reproducible, and calibrated on questions that it did not learn."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from trailhound.agent.reader._extractive import UNREAD, ExtractiveReader
from trailhound.agent.reader._network import CandidateBatch, ReaderNetwork, ReaderSettings, shapes
from trailhound.agent.reader._passage_analysis import PassageAnalyser
from trailhound.agent.reader._protocol import ReadingTask
from trailhound.learning._reader import TEMPERATURES, ReadingExample, calibrate, train_reader
from trailhound.learning._reader_network import TrainableNetwork


def weights(reader: ExtractiveReader) -> dict[str, NDArray[np.float32]]:
    [member] = reader.network.members
    return dict(member)


def test_the_same_seed_gives_the_same_reader(unseen: list[ReadingExample], analyser: PassageAnalyser) -> None:
    one, two, three = (train_reader(unseen[:6], 2, seed, analyser=analyser) for seed in (1, 1, 2))
    assert all(np.array_equal(weights(one)[name], weights(two)[name]) for name in weights(one))
    assert any(not np.array_equal(weights(one)[name], weights(three)[name]) for name in weights(one))


def test_members_begin_differently_and_are_averaged(unseen: list[ReadingExample], analyser: PassageAnalyser) -> None:
    reader = train_reader(unseen[:6], 2, 0, members=3, analyser=analyser)
    batch = CandidateBatch.of([reader.candidates(unseen[0].question, unseen[0].evidence)])
    alone = [ReaderNetwork(reader.network.settings, [member]).scores(batch) for member in reader.network.members]
    assert all(np.abs(alone[0] - other).max() > 1e-3 for other in alone[1:])
    np.testing.assert_allclose(reader.network.scores(batch), np.mean(alone, axis=0), atol=1e-5)


def test_numpy_computes_what_torch_has_learned(unseen: list[ReadingExample], analyser: PassageAnalyser) -> None:
    torch.manual_seed(0)
    network = TrainableNetwork(ReaderSettings()).eval()
    weights = network.exported()
    assert {name: array.shape for name, array in weights.items()} == shapes(ReaderSettings())
    reader = ExtractiveReader(ReaderNetwork(ReaderSettings(), [weights], temperature=2.0), analyser)
    batch = CandidateBatch.of([reader.candidates(e.question, e.evidence) for e in unseen[:3]])
    with torch.no_grad():
        slow = network(batch).numpy() / 2
    np.testing.assert_allclose(reader.network.scores(batch), slow, atol=1e-5)


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
    assert reader.network.temperature == chosen


def test_calibration_takes_the_temperature_of_the_highest_likelihood(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    # complete evidence of one passage is always presented whole
    alone = [ReadingExample(e.question, e.answer, e.evidence[1:2]) for e in unseen]
    chosen = calibrate(small_reader, alone, 0)
    tasks = [ReadingTask(e.question, e.answer, e.evidence) for e in alone]
    means = {}
    for temperature in TEMPERATURES:
        small_reader.network.temperature = temperature
        means[temperature] = small_reader.log_likelihoods(tasks).mean()
    small_reader.network.temperature = 1.0
    assert means[chosen] >= max(means.values()) - 0.05
    assert np.log(UNREAD) <= min(means.values())


def test_without_questions_nothing_is_calibrated(small_reader: ExtractiveReader) -> None:
    assert calibrate(small_reader, [], 0) == 1.0

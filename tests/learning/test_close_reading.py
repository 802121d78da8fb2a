"""Reading question and passages together is learned, goes to disk and back, and says how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.reading import examples
from trailhound.agent.reader._certainty import SIGNALS, Certainty
from trailhound.agent.reader._extractive import ExtractiveReader, load_reader, save_reader
from trailhound.agent.reader._joint_text import CloseEncoder
from trailhound.agent.reader._network import CandidateBatch, ReaderSettings, shapes
from trailhound.agent.reader._passage_analysis import PassageAnalyser
from trailhound.agent.reader._protocol import exact_match
from trailhound.errors import PolicyError
from trailhound.learning._close_reading import CLOSE, Judged, fit_certainty, judge, train_close_network, train_encoder
from trailhound.learning._reader import ReadingExample
from trailhound.learning._reader_network import TrainableNetwork


@pytest.fixture(scope="module")
def reader(
    small_reader: ExtractiveReader, analyser: PassageAnalyser, tmp_path_factory: pytest.TempPathFactory
) -> ExtractiveReader:
    """The small reader with a close reading, learned from a few films."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAILHOUND_CACHE", str(tmp_path_factory.mktemp("cache")))
        adapter = train_encoder(examples(24), 0, analyser, lambda said: None, epochs=1)
        encoder = CloseEncoder(adapter)
        close = train_close_network(examples(48), encoder, 0, analyser, lambda said: None, epochs=20)
    return ExtractiveReader(small_reader.network, analyser, close)


def test_it_answers_unseen_questions(reader: ExtractiveReader, unseen: list[ReadingExample]) -> None:
    right = []
    for example in unseen:
        answer = reader.answer(example.question, example.evidence)
        assert answer is not None
        right.append(exact_match(answer.text, example.answer))
    assert np.mean(right) >= 0.75


def test_the_encoder_has_learned(reader: ExtractiveReader) -> None:
    assert reader.close is not None
    adapter = reader.close.encoder.adapter
    assert adapter is not None
    assert {name.split(".")[2] for name in adapter.matrices} == {"3", "4", "5"}, "the lower layers stay"
    assert all(up.any() for _, up in adapter.matrices.values())


def test_it_comes_back_from_disk_as_it_was(
    reader: ExtractiveReader, unseen: list[ReadingExample], analyser: PassageAnalyser, tmp_path: Path
) -> None:
    certain = Certainty.from_json(fit_certainty(judged(200)).to_json())
    save_reader(tmp_path, ExtractiveReader(reader.network, analyser, reader.close, certain), {})
    again = load_reader(tmp_path, analyser)
    assert again.close is not None
    assert reader.close is not None
    assert again.certainty == certain
    batch = CandidateBatch.of(
        [reader.candidates(unseen[0].question, unseen[0].evidence)],
        [
            reader.close.encoder.states(e.question, e.evidence, reader.candidates(e.question, e.evidence))
            for e in unseen[:1]
        ],
    )
    np.testing.assert_array_equal(again.close.network.scores(batch), reader.close.network.scores(batch))
    (tmp_path / "close_reader.safetensors").write_bytes((tmp_path / "reader.safetensors").read_bytes())
    with pytest.raises(PolicyError, match="train it again"):
        load_reader(tmp_path, analyser)


@pytest.mark.parametrize("settings", [ReaderSettings(), CLOSE])
def test_torch_and_numpy_compute_the_same(
    settings: ReaderSettings, reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    torch.manual_seed(0)
    network = TrainableNetwork(settings).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == shapes(settings)
    assert reader.close is not None
    read = [reader.candidates(e.question, e.evidence) for e in unseen[:3]]
    encoder = reader.close.encoder
    states = [encoder.states(e.question, e.evidence, c) for e, c in zip(unseen, read, strict=False)]
    batch = CandidateBatch.of(read, states)
    with torch.no_grad():
        slow = network(batch).numpy()
    np.testing.assert_allclose(network.exported().scores(batch), slow, atol=1e-4)


def judged(count: int) -> list[Judged]:
    """Return answers that are right as often as the first of their signals says."""
    generator = np.random.default_rng(0)
    signals = generator.normal(0, 1, (count, len(SIGNALS)))
    chances = 1 / (1 + np.exp(-3 * signals[:, 0]))
    return [Judged(one, bool(generator.random() < chance)) for one, chance in zip(signals, chances, strict=True)]


def test_what_is_stated_is_right_as_often_as_wanted() -> None:
    """On answers that nothing was fitted to, and without refusing everything."""
    certainty = fit_certainty(judged(600), wanted=0.8)
    fresh = judged(3000)[600:]
    stated = [one.right for one in fresh if certainty.of(one.signals) >= certainty.stated_from]
    assert np.mean(stated) >= 0.8
    assert len(stated) > 0.3 * len(fresh)


def test_without_any_right_answer_hardly_anything_is_stated() -> None:
    everything = judged(300)
    wrong = [Judged(one.signals, k == 0) for k, one in enumerate(everything)]
    certainty = fit_certainty(wrong)
    assert np.mean([certainty.of(one.signals) >= certainty.stated_from for one in wrong]) < 0.02


def test_an_answer_is_judged_by_the_one_that_is_known(reader: ExtractiveReader, unseen: list[ReadingExample]) -> None:
    example = unseen[0]
    answer = reader.answer(example.question, example.evidence)
    assert answer is not None
    for known, right in ((answer.text, True), ("another", False), (None, False)):
        found = judge(reader, example.question, example.evidence, known)
        assert found is not None
        assert found.right is right

"""A reader on disk comes back as it was, and what is damaged is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from trailhound.agent.reader._extractive import ExtractiveReader, has_reader, load_reader, save_reader
from trailhound.agent.reader._language_models import SHIPPED, answering_reader, open_reader
from trailhound.agent.reader._network import ReaderNetwork
from trailhound.agent.reader._passage_analysis import PassageAnalyser
from trailhound.agent.reader._protocol import ReadingTask
from trailhound.errors import PolicyError
from trailhound.learning._reader import ReadingExample
from trailhound.retrievers._hashed_files import read_sealed_json, write_sealed_json


@pytest.fixture
def folder(small_reader: ExtractiveReader, tmp_path: Path) -> Path:
    save_reader(tmp_path / "run", small_reader, {"questions": 48})
    return tmp_path / "run"


def test_a_reader_comes_back_as_it_was(
    folder: Path, small_reader: ExtractiveReader, unseen: list[ReadingExample], analyser: PassageAnalyser
) -> None:
    tasks = [ReadingTask(e.question, e.answer, e.evidence) for e in unseen]
    again = load_reader(folder, analyser)
    np.testing.assert_array_equal(again.log_likelihoods(tasks), small_reader.log_likelihoods(tasks))
    assert json.loads((folder / "reader.json").read_text())["training"] == {"questions": 48}
    assert (folder / "reader.safetensors").stat().st_size < 1_000_000


def test_damage_is_said_and_so_is_the_way_out(folder: Path, analyser: PassageAnalyser) -> None:
    with pytest.raises(PolicyError, match="holds no reader"):
        load_reader(folder / "elsewhere", analyser)
    whole = (folder / "reader.safetensors").read_bytes()
    (folder / "reader.safetensors").write_bytes(whole[:-40])
    with pytest.raises(PolicyError, match=r"damaged.*train it again"):
        load_reader(folder, analyser)
    (folder / "reader.safetensors").write_bytes(whole)
    (folder / "reader.json").write_text("[]")
    with pytest.raises(PolicyError, match="damaged"):
        load_reader(folder, analyser)


def test_other_features_are_another_version(folder: Path, analyser: PassageAnalyser) -> None:
    description = read_sealed_json(folder / "reader.json", PolicyError, "")
    description["features"] = description["features"][1:]
    write_sealed_json(folder / "reader.json", description)
    with pytest.raises(PolicyError, match="another version"):
        load_reader(folder, analyser)


def test_weights_that_are_not_finite_are_refused(
    small_reader: ExtractiveReader, tmp_path: Path, analyser: PassageAnalyser
) -> None:
    [weights] = small_reader.network.members
    broken = ReaderNetwork(small_reader.network.settings, [{**weights, "mean": weights["mean"] * np.float32("nan")}])
    save_reader(tmp_path, ExtractiveReader(broken, analyser), {})
    with pytest.raises(PolicyError, match="not finite"):
        load_reader(tmp_path, analyser)


def test_readers_are_opened_by_what_they_are_called(folder: Path, tmp_path: Path) -> None:
    assert open_reader("builtin").name == open_reader(str(folder)).name
    with pytest.raises(PolicyError, match=r"no reader 'nowhere'.*builtin"):
        open_reader("nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PolicyError, match="cannot load a language model"):
        open_reader(str(tmp_path))


def test_a_policy_answers_with_its_own_reader_or_the_shipped_one(folder: Path, tmp_path: Path) -> None:
    own, shipped = answering_reader(folder), answering_reader(tmp_path / "none")
    assert own is not None
    assert shipped is not None
    assert has_reader(SHIPPED)
    assert (own.network.members[0]["mean"] != shipped.network.members[0]["mean"]).any()

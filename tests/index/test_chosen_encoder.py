"""An index is searched with its encoder as it was built with it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from trailhound.errors import DamagedIndexError, EncoderError
from trailhound.index.index import Index
from trailhound.index.settings import IndexSettings
from trailhound.retrievers.records import Document
from trailhound.retrievers.vectors._minilm import model_folder
from trailhound.retrievers.vectors._transformers import TransformersEncoder
from transformers import AutoTokenizer, BertConfig, BertModel

DOCUMENTS = [Document(f"d{n}", f"Town {n}", f"Town {n} has {n} wells and a mill.") for n in range(12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights in a folder that by its name is one of e5's."""
    folder = tmp_path_factory.mktemp("encoders") / "e5-tiny"
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    lengths = {"vocab_size": len(tokenizer), "max_position_embeddings": 256}
    BertModel(BertConfig(**sizes, **lengths, initializer_range=0.5)).save_pretrained(folder)
    return folder


def test_an_index_is_searched_with_the_prompts_it_was_built_with(folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    Index.build(DOCUMENTS, tmp_path / "i", settings=IndexSettings(encoder=str(folder)), threads=1, warn=told.append)
    assert any("'query: ' before queries, 'passage: ' before passages, pooling mean" in line for line in told)
    index, encoder = Index(tmp_path / "i", threads=1), TransformersEncoder(str(folder))
    assert index.encoder_name == encoder.name
    embedded = [f"{passage.title}. {passage.text}" for passage in index.store]
    np.testing.assert_allclose(index.dense.vectors, encoder.encode(embedded), atol=1e-5)
    vector = index.query("which town has a mill").vector
    assert vector is not None
    np.testing.assert_allclose(vector, encoder.encode_queries(["which town has a mill"])[0], atol=1e-5)


def test_what_was_chosen_is_kept_in_the_manifest(folder: Path, tmp_path: Path) -> None:
    settings = IndexSettings(encoder=str(folder), query_prompt="ask: ", pooling="cls", dimension=4)
    built = Index.build(DOCUMENTS, tmp_path / "i", settings=settings, threads=1)
    index = Index(tmp_path / "i", threads=1)
    assert index.settings == settings
    np.testing.assert_allclose(index.query("mill").vector, built.query("mill").vector, atol=1e-6)
    assert not np.allclose(index.query("mill").vector, index.encoder.encode(["mill"])[0], atol=1e-3)
    other = IndexSettings(encoder=str(folder), query_prompt="find: ", pooling="cls")
    assert Index.build(DOCUMENTS, tmp_path / "j", settings=other, threads=1).encoder_name != index.encoder_name


def test_a_prompt_in_the_folder_that_changes_is_another_encoder(folder: Path, tmp_path: Path) -> None:
    Index.build(DOCUMENTS, tmp_path / "i", settings=IndexSettings(encoder=str(folder)), threads=1)
    said = folder / "config_sentence_transformers.json"
    said.write_text(json.dumps({"prompts": {"query": "find: ", "passage": ""}}), "utf-8")
    try:
        with pytest.raises(EncoderError, match="was built with the encoder 'e5-tiny@"):
            _ = Index(tmp_path / "i", threads=1).encoder
    finally:
        said.unlink()


def test_settings_of_earlier_indexes_lack_what_is_said_of_the_encoder() -> None:
    said = IndexSettings(dense="hnsw").to_json()
    for name in ("query_prompt", "passage_prompt", "pooling"):
        del said[name]
    assert IndexSettings.from_json(said) == IndexSettings(dense="hnsw")
    with pytest.raises(DamagedIndexError, match="pooling"):
        IndexSettings.from_json({**said, "pooling": "middle"})

"""A small encoder of transformers, of random weights."""

from pathlib import Path

import pytest
import torch
from trailhound.retrievers.vectors._minilm import model_folder
from transformers import AutoTokenizer, BertConfig, BertModel


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights with MiniLM's own tokenizer."""
    folder = tmp_path_factory.mktemp("encoders") / "tiny"
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder

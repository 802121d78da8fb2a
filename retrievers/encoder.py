"""Text encoders: the built-in MiniLM in int8, and any transformers encoder by path or hub name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EncoderError
from .minilm import converted_model
from .protocols import Encoder, Progress
from .records import Vectors

MAX_TOKENS = 256
"""all-MiniLM-L6-v2 was trained on at most 256 word pieces (its model card); the rest of a text is not read."""

TOKENS_PER_BATCH = 1024
"""Padded tokens encoded together: activations of one batch stay inside a core's cache."""


def embedding_text(title: str, text: str) -> str:
    """Return what is embedded of a passage: its title, where it has one, then its text."""
    return f"{title}. {text}" if title else text


def load_encoder(name: str = "minilm", threads: int | None = None) -> Encoder:
    """Load an encoder: ``minilm`` (built in), a local folder, or a hub name.

    Raises:
        EncoderError: when nothing of that name can be loaded.
    """
    if name == "minilm":
        return MiniLMEncoder(threads=threads)
    return TransformersEncoder(name, threads=threads)


class MiniLMEncoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020, arXiv:2002.10957), int8 weights and per-token int8 activations.

    Every row of activations has a scale of its own, so that a vector stays within a cosine of 0.99 of fp32
    and does not depend on what it is batched with.

    Args:
        threads: texts encoded side by side; all cores when None.
    """

    name = "minilm-l6-v2-int8"
    dimension = 384

    def __init__(self, threads: int | None = None) -> None:
        import ctranslate2
        from tokenizers import Tokenizer

        folder, tokenizer = converted_model()
        self._threads = threads or os.cpu_count() or 1
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._encoder = ctranslate2.Encoder(
            str(folder), device="cpu", compute_type="int8", inter_threads=self._threads, intra_threads=1
        )

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, 384]; each is the mean over its tokens."""
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(tokens), self.dimension), np.float32)
        batches = _batches_by_length([len(ids) for ids in tokens], TOKENS_PER_BATCH)

        def encode_batch(batch: list[int]) -> int:
            states = self._encoder.forward_batch([tokens[i] for i in batch]).last_hidden_state
            hidden = np.array(states)  # [b, longest, 384]
            for k, i in enumerate(batch):
                vectors[i] = hidden[k, : len(tokens[i])].mean(axis=0)
            return len(batch)

        done = 0
        if len(batches) == 1:
            encode_batch(batches[0])
        elif batches:
            with ThreadPoolExecutor(self._threads) as pool:
                for count in pool.map(encode_batch, batches):
                    done += count
                    if progress is not None:
                        progress("encoding passages", done, len(tokens))
        return _unit(vectors, texts)


class TransformersEncoder:
    """Any encoder that transformers can load, mean-pooled over its tokens, in fp32.

    Args:
        path_or_name: a local folder, or a hub name (downloaded by transformers when not cached).
        threads: torch threads; torch's own setting when None.
    """

    def __init__(self, path_or_name: str, threads: int | None = None) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        if threads is not None:
            torch.set_num_threads(threads)
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(path_or_name)
            self._model: Any = AutoModel.from_pretrained(path_or_name).eval()
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"cannot load the encoder {path_or_name!r} ({str(error).splitlines()[0]}): give 'minilm', a folder"
                " that holds config.json, weights and tokenizer, or a hub name"
            ) from error
        self.name = Path(path_or_name).name if Path(path_or_name).exists() else path_or_name
        self.dimension = int(self._model.config.hidden_size)
        self._max_tokens = min(int(getattr(self._model.config, "max_position_embeddings", 512)), 512)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, dimension]."""
        import torch

        vectors = np.zeros((len(texts), self.dimension), np.float32)
        lengths = [len(text) for text in texts]
        done = 0
        for batch in _batches_by_length(lengths, 4 * TOKENS_PER_BATCH):
            encoded = self._tokenizer(
                [texts[i] for i in batch],
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            )
            with torch.inference_mode():
                hidden = self._model(**encoded).last_hidden_state  # [b, l, d]
            mask = encoded["attention_mask"].unsqueeze(-1)  # [b, l, 1]
            pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1)  # [b, d]
            vectors[batch] = pooled.float().numpy()
            done += len(batch)
            if progress is not None:
                progress("encoding passages", done, len(texts))
        return _unit(vectors, texts)


def _batches_by_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group positions by length, longest first, so that ``longest * members <= budget`` in every batch."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


def _unit(vectors: Vectors, texts: Sequence[str]) -> Vectors:
    """Scale every row to length 1 in place.

    Raises:
        EncoderError: when a row is not finite, naming its text.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]))
    if len(bad):
        raise EncoderError(f"the encoder gave a vector that is not finite for the text {texts[bad[0]][:80]!r}")
    vectors /= np.maximum(lengths, 1e-12)
    return vectors

"""Text encoders: the built-in MiniLM in int8, any of transformers by path or hub name; either with shorter vectors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from string import punctuation
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, EncoderError
from ..protocols import Encoder, Progress, TokenVectors
from ..records import Vectors
from ._minilm import Adapter, converted_model, quiet_transformers

BUILT_IN = "minilm-l6-v2-int8"
"""Name of the built-in encoder; a tuned one's has its adapter's digest behind it."""

MAX_TOKENS = 256
"""all-MiniLM-L6-v2 was trained on at most 256 word pieces (its model card); the rest of a text is unread."""

TOKENS_PER_BATCH = 1024
"""Tokens encoded together: activations of one batch stay inside a core's cache."""

_LONGEST_WORD = 32
_LONG_WORD = re.compile(r"[^\s!-/:-@\[-`{-~]{33,}")
"""The tokenizer makes one unknown token of a word of more than 100 characters, and some characters are three to it."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_CHOICES = "give 'minilm', a folder that holds config.json, weights and tokenizer, or a hub name"


def embedding_text(title: str, text: str) -> str:
    """Return what is embedded of a passage: its title, where it has one, then its text."""
    return f"{title}. {text}" if title else text


def load_encoder(name: str = "minilm", threads: int | None = None) -> Encoder:
    """Load an encoder: ``minilm`` (built in), a local folder, or a hub name."""
    if name == "minilm":
        return MiniLMEncoder(threads=threads)
    return TransformersEncoder(name, threads=threads)


class MiniLMEncoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020, arXiv:2002.10957), int8 weights and per-token int8 activations.

    Every row of activations has a scale of its own, so that a vector stays within a cosine of 0.98 of fp32.
    Texts are encoded together with texts of as many tokens only: padding changes the last bits of fp32
    sums, int8 rounding magnifies them, and a vector would depend on its company.

    Args:
        threads: texts encoded side by side; all cores when None.
        adapter: a tuned change of the weights.
    """

    dimension = 384
    max_tokens = MAX_TOKENS

    def __init__(self, threads: int | None = None, adapter: Adapter | None = None) -> None:
        import ctranslate2
        from tokenizers import Tokenizer

        self.name = BUILT_IN if adapter is None else f"{BUILT_IN}+{adapter.digest}"
        folder, tokenizer = converted_model(adapter)
        self._threads = threads or os.cpu_count() or 1
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._counter = Tokenizer.from_file(str(tokenizer))
        self._counter.no_padding()
        self._counter.no_truncation()
        try:
            self._encoder = ctranslate2.Encoder(
                str(folder), device="cpu", compute_type="int8", inter_threads=self._threads, intra_threads=1
            )
        except RuntimeError as error:
            raise EncoderError(
                f"cannot load the converted encoder ({error}): delete {folder}, it is made anew"
            ) from error

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, 384]; each is the mean over its tokens.

        Raises:
            EncoderError: a text has a lone surrogate, or a vector is not finite.
        """
        _check_characters(texts)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(map(_with_short_words, texts)))]
        vectors = np.zeros((len(tokens), self.dimension), np.float32)

        def keep(batch: list[int], states: Vectors) -> None:
            vectors[batch] = states.mean(axis=1)  # [b, l, 384] -> [b, 384]

        self._read(tokens, keep, progress)
        return _unit(vectors, texts)

    def encode_tokens(self, texts: Sequence[str], progress: Progress | None = None) -> TokenVectors:
        """Encode ``texts`` into a unit vector for every word piece; punctuation has none (ColBERT, arXiv:2004.12832).

        Raises:
            EncoderError: a text has a lone surrogate.
        """
        _check_characters(texts)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(map(_with_short_words, texts)))]
        said = [np.flatnonzero(~np.isin(ids, self._silent)) for ids in tokens]
        offsets = np.zeros(len(tokens) + 1, np.int64)
        np.cumsum([len(places) for places in said], out=offsets[1:])
        vectors = np.zeros((int(offsets[-1]), self.dimension), np.float16)

        def keep(batch: list[int], states: Vectors) -> None:
            for member, i in enumerate(batch):
                rows = states[member, said[i]]  # [l, 384]
                lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
                vectors[offsets[i] : offsets[i + 1]] = rows / lengths

        self._read(tokens, keep, progress)
        return TokenVectors(offsets, vectors)

    @cached_property
    def _silent(self) -> NDArray[np.int64]:
        """Ids of the word pieces that say nothing of their own: punctuation, and the marks around a text."""
        vocabulary: dict[str, int] = self._tokenizer.get_vocab()
        marks = ("[CLS]", "[SEP]", "[PAD]")
        silent = [i for piece, i in vocabulary.items() if piece in marks or set(piece) <= set(punctuation)]
        return np.array(sorted(silent), np.int64)

    def _read(
        self, tokens: list[list[int]], keep: Callable[[list[int], Vectors], None], progress: Progress | None
    ) -> None:
        """Give ``keep`` the places and the last hidden states, float32 [b, l, 384], of batch after batch."""
        batches = _batches_of_equal_length([len(ids) for ids in tokens], TOKENS_PER_BATCH)

        def encode_batch(batch: list[int]) -> int:
            keep(batch, np.array(self._encoder.forward_batch([tokens[i] for i in batch]).last_hidden_state))
            return len(batch)

        done = 0
        # One batch is encoded where it is: a query should not wait for a thread to start.
        with ThreadPoolExecutor(self._threads) as pool:
            for count in map(encode_batch, batches) if len(batches) < 2 else pool.map(encode_batch, batches):
                done += count
                if progress is not None:
                    progress("encoding passages", done, len(tokens))

    def count_tokens(self, text: str) -> int:
        """Return how many word pieces ``text`` is, without the two special tokens around it and without a limit."""
        return self.count_all_tokens([text])[0]

    def count_all_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the word pieces of every text, as :meth:`count_tokens` does."""
        short = list(map(_with_short_words, texts))
        if len(short) == 1:
            return [len(self._counter.encode(short[0], add_special_tokens=False))]
        return [len(encoding) for encoding in self._counter.encode_batch_fast(short, add_special_tokens=False)]


class TransformersEncoder:
    """Any encoder that transformers can load, mean-pooled over its tokens, in fp32.

    A text's vector depends on what it is encoded together with by fp32 rounding only (about 1e-6).

    Args:
        path_or_name: a local folder, or a hub name (downloaded by transformers when not cached).
        threads: torch threads, for the whole process; torch's own setting when None.

    Raises:
        EncoderError: nothing can be loaded, or the weights do not fill the model.
    """

    def __init__(self, path_or_name: str, threads: int | None = None) -> None:
        folder = Path(path_or_name)
        if not (path_or_name and folder.is_dir()) and not _HUB_NAME.fullmatch(path_or_name):
            raise EncoderError(f"there is no folder {path_or_name!r}: {_CHOICES}")
        self._tokenizer, self._model = _load_transformers(path_or_name)
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self.name = f"{folder.name}@{_fingerprint(folder)}" if folder.is_dir() else path_or_name
        self.dimension = int(self._model.config.hidden_size)
        positions = int(getattr(self._model.config, "max_position_embeddings", 512))
        self.max_tokens = min(positions, int(self._tokenizer.model_max_length), _trained_length(path_or_name))

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, dimension].

        Raises:
            EncoderError: a text has a lone surrogate, or a vector is not finite.
        """
        import torch

        _check_characters(texts)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        if not texts:
            return vectors
        encoded = self._tokenizer(list(texts), truncation=True, max_length=self.max_tokens)
        done = 0
        for batch in _batches_of_equal_length([len(ids) for ids in encoded["input_ids"]], TOKENS_PER_BATCH):
            inputs = {name: torch.tensor([rows[i] for i in batch]) for name, rows in encoded.items()}  # [b, l]
            with torch.inference_mode():
                hidden = self._model(**inputs).last_hidden_state  # [b, l, d]
            vectors[batch] = hidden.mean(dim=1).float().numpy()  # [b, d]
            done += len(batch)
            if progress is not None:
                progress("encoding passages", done, len(texts))
        return _unit(vectors, texts)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens ``text`` is, without special tokens and without a limit."""
        return self.count_all_tokens([text])[0]

    def count_all_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of every text, as :meth:`count_tokens` does."""
        if not texts:
            return []
        return [len(ids) for ids in self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]


def _load_transformers(path_or_name: str) -> tuple[Any, Any]:
    """Return tokenizer and model; what transformers finds wrong becomes an EncoderError."""
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path_or_name)
        with quiet_transformers():
            model, info = AutoModel.from_pretrained(path_or_name, output_loading_info=True)
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise EncoderError(f"cannot load the encoder {path_or_name!r} ({reason}): {_CHOICES}") from error
    # Mean pooling does not use the pooler, which many encoders are published without.
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:
        raise EncoderError(
            f"the weights of {path_or_name!r} lack {len(missing)} of the model's tensors ({missing[0]}, ...):"
            " its config.json belongs to another model"
        )
    return tokenizer, model.float().eval()


def _fingerprint(folder: Path) -> str:
    """Hash the files of a folder, so that two models of one name are not taken for each other."""
    digest = blake2b(digest_size=6)
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".txt", ".model", ".safetensors", ".bin"):
            with path.open("rb") as file:
                digest.update(path.name.encode())
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _with_short_words(text: str) -> str:
    """Return the text with spaces inside words that are too long for the tokenizer."""
    longest = len(max(text.split(), key=len, default=""))
    return _LONG_WORD.sub(_shortened, text) if longest > _LONGEST_WORD else text


def _shortened(word: re.Match[str]) -> str:
    step = 100 if word[0].isascii() else 32
    return " ".join(word[0][first : first + step] for first in range(0, len(word[0]), step))


def _check_characters(texts: Sequence[str]) -> None:
    for text in texts:
        if not text.isascii() and _LONE_SURROGATE.search(text):
            raise EncoderError(f"the text {text[:80]!r} has a lone surrogate: it was not read as UTF-8")


def _batches_of_equal_length(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group positions of equal length, longest first, so that ``length * members <= budget`` where it can."""
    batches: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length, batch = lengths[i], batches[-1] if batches else []
        if batch and lengths[batch[0]] == length and length * (len(batch) + 1) <= budget:
            batch.append(i)
        else:
            batches.append([i])
    return batches


def _trained_length(path_or_name: str) -> int:
    """Return how many tokens a sentence-transformers folder says its encoder was trained on; 512 elsewhere."""
    path = Path(path_or_name) / "sentence_bert_config.json"
    try:
        return int(json.loads(path.read_text("utf-8"))["max_seq_length"])
    except (OSError, ValueError, KeyError, TypeError):
        return 512


def _unit(vectors: Vectors, texts: Sequence[str]) -> Vectors:
    """Scale every row to length 1 in place."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~np.isfinite(lengths[:, 0]))
    if len(bad):
        text = texts[bad[0]][:80]
        raise EncoderError(f"the encoder gave a vector that is not finite for the text {text!r}")
    vectors /= np.maximum(lengths, 1e-12)
    return vectors


PROJECTION = "projection.npy"

_SAMPLE = 1 << 16


def learn_projection(vectors: Vectors, dimension: int) -> Vectors:
    """Return the map to ``dimension`` numbers, float32 [d, dimension], that keeps inner products best.

    Its columns are the first eigenvectors of the vectors' second moments: of all maps of that rank the one that loses
    least of the inner products of vectors like these (Eckart and Young 1936). Nothing is subtracted: the mean says
    something to a question.

    Raises:
        EncoderError: when there are not as many numbers to begin with.
    """
    if not 0 < dimension < vectors.shape[1]:
        raise EncoderError(
            f"the encoder's vectors have {vectors.shape[1]} numbers and cannot be made shorter to {dimension}:"
            " choose a dimension below, or leave it out"
        )
    rows = np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]
    sample = vectors[np.sort(rows)].astype(np.float64)
    _, axes = np.linalg.eigh(sample.T @ sample)  # ascending
    first = axes[:, ::-1][:, :dimension]
    signs = np.sign(first[np.abs(first).argmax(axis=0), np.arange(dimension)])  # an eigenvector may point either way
    return np.ascontiguousarray(first * signs, np.float32)


class ProjectedEncoder:
    """An encoder whose vectors are made shorter by a map, float32 [d, dimension]; fulfils ``Encoder``.

    It counts tokens, and encodes word pieces in full length, where the encoder does.
    """

    def __init__(self, encoder: Encoder, projection: Vectors) -> None:
        self._encoder = encoder
        self._projection = projection
        self.dimension = int(projection.shape[1])
        digest = blake2b(projection.tobytes(), digest_size=6).hexdigest()
        self.name = f"{encoder.name}/{self.dimension}@{digest}"
        for offered in ("max_tokens", "count_tokens", "count_all_tokens", "encode_tokens"):
            if hasattr(encoder, offered):
                setattr(self, offered, getattr(encoder, offered))

    @classmethod
    def over(cls, encoder: Encoder, projection: Vectors) -> ProjectedEncoder:
        """Return the encoder with a map that was read from an index."""
        if projection.ndim != 2 or projection.dtype != np.float32 or len(projection) != encoder.dimension:
            raise DamagedIndexError(
                f"{PROJECTION} is {projection.dtype} {projection.shape}, not float32 [{encoder.dimension}, n]:"
                " build the index again"
            )
        return cls(encoder, projection)

    def save(self, folder: Path) -> None:
        """Write the map into ``folder``, which is there."""
        np.save(folder / PROJECTION, self._projection, allow_pickle=False)

    def shortened(self, vectors: Vectors) -> Vectors:
        """Return the short ones of the encoder's vectors [n, d], float32 [n, dimension], rows of length 1.

        Every row is mapped alone: beside others a matrix product may round it differently.
        """
        short = np.zeros((len(vectors), self.dimension), np.float32)
        for row, vector in enumerate(vectors):
            short[row] = vector @ self._projection
        short /= np.maximum(np.linalg.norm(short, axis=1, keepdims=True), 1e-12)
        return short

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, dimension]."""
        return self.shortened(self._encoder.encode(texts, progress))

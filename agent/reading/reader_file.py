"""A built-in reader on disk: ``reader.safetensors`` and ``reader.json`` beside a policy; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from ...errors import PolicyError
from ...retrievers.atomic_file import write_atomically, write_json
from .candidate_features import FEATURES, SLOTS
from .extractive import ExtractiveReader
from .network import ReaderNetwork, ReaderSettings
from .passage_reading import PassageAnalyser
from .word_vectors import DIMENSION

FORMAT = 1
_SEEN = {"features": list(FEATURES), "slots": list(SLOTS), "word_vectors": DIMENSION}


def has_reader(folder: Path) -> bool:
    """Return whether a folder holds a reader."""
    return (folder / "reader.json").is_file()


def save_reader(folder: Path, reader: ExtractiveReader, training: Mapping[str, Any]) -> None:
    """Write a reader; each file appears whole or not at all, the description last."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().contiguous() for name, tensor in reader.network.state_dict().items()}
    write_atomically(folder / "reader.safetensors", save(weights))
    description = {"format": FORMAT, **_SEEN, "network": asdict(reader.network.settings), "training": dict(training)}
    write_json(folder / "reader.json", description)


def load_reader(folder: Path, analyser: PassageAnalyser | None = None) -> ExtractiveReader:
    """Load a reader.

    Raises:
        PolicyError: when the folder holds none, it is damaged, or was trained with other features.
    """
    path = folder / "reader.json"
    if not path.is_file():
        raise PolicyError(f"{folder} holds no reader (no reader.json): train on questions that have answers")
    try:
        description = json.loads(path.read_text("utf-8"))
        if description["format"] != FORMAT or any(description[name] != value for name, value in _SEEN.items()):
            raise PolicyError(f"the reader in {folder} was trained by another version of Trailhound: train it again")
        network = ReaderNetwork(ReaderSettings(**description["network"]))
        network.load_state_dict(load_file(folder / "reader.safetensors"))
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError, KeyError) as error:
        what = shorten(str(error), 200)
        raise PolicyError(f"the reader in {folder} is damaged ({what}): train it again") from error
    if not all(bool(torch.isfinite(p).all()) for p in network.state_dict().values()):
        raise PolicyError(f"the reader in {folder} has weights that are not finite: train it again")
    return ExtractiveReader(network.eval(), analyser)

"""A low-rank change of the built-in encoder's weights: small enough to travel with a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EncoderError
from ..hashed_files import about_tensors, read_sealed_tensors, write_sealed_tensors

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
        """Return the encoder's ``weights`` with the changes added.

        Raises:
            EncoderError: when a layer is not there or has another shape.
        """
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
    """Read the adapter of a folder.

    Raises:
        EncoderError: when there is none, or it is damaged.
    """
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

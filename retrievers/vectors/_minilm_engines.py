"""What computes the hidden states of the built-in encoder: int8 on threads of the CPU, or torch on another device."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import EncoderError
from .._device import device_called
from .._forks import PerProcess, Uncut
from ..records import Vectors
from ._minilm import Adapter, checked_weights, converted_model, quiet_transformers
from ._texts import TOKENS_PER_BATCH, TOKENS_PER_GPU_BATCH

if TYPE_CHECKING:
    from torch import Tensor

PieceVectors = NDArray[np.float16]
"""Unit vectors of the tokens of a batch, float16 [b, l, 384]."""


class Engine(Protocol):
    """Computes the last hidden states of texts that have as many tokens each."""

    side_by_side: int
    """How many batches it computes at once."""

    tokens_per_batch: int
    """How many tokens are worth computing together."""

    def compute(self, tokens: list[list[int]], with_pieces: bool) -> tuple[Vectors, PieceVectors | None]:
        """Return the mean over each text's tokens, float32 [b, 384], and the vectors of its tokens where wanted."""
        ...


class Int8Engine:
    """CTranslate2: int8 weights, and int8 activations with a scale for every token.

    Args:
        adapter: a tuned change of the weights.
        threads: batches computed side by side; all cores when None.

    Raises:
        EncoderError: when the converted weights cannot be read.
    """

    tokens_per_batch = TOKENS_PER_BATCH

    def __init__(self, adapter: Adapter | None, threads: int | None) -> None:
        import ctranslate2

        folder, _ = converted_model(adapter)
        self.side_by_side = threads or os.cpu_count() or 1
        how = {"device": "cpu", "compute_type": "int8", "inter_threads": self.side_by_side, "intra_threads": 1}
        try:
            self._engine = PerProcess(partial(ctranslate2.Encoder, str(folder), **how), left_behind=True)
        except RuntimeError as error:
            raise EncoderError(
                f"cannot load the converted encoder ({error}): delete {folder}, it is made anew"
            ) from error

    def compute(self, tokens: list[list[int]], with_pieces: bool) -> tuple[Vectors, PieceVectors | None]:
        """Compute on this thread: see :class:`Engine`."""
        engine = self._engine()
        with Uncut():
            states = np.array(engine.forward_batch(tokens).last_hidden_state)  # [b, l, 384]
        pieces = None
        if with_pieces:
            pieces = (states / np.maximum(np.linalg.norm(states, axis=2, keepdims=True), 1e-12)).astype(np.float16)
        return states.mean(axis=1), pieces


class TorchEngine:
    """Torch with the published weights: in half precision on a GPU, whose batches are large, and in fp32 elsewhere.

    Args:
        device: as torch calls it, or ``auto``.

    Raises:
        DeviceError: when there is no such device here.
        EncoderError: when the weights are missing, or are not the published ones.
    """

    side_by_side = 1
    tokens_per_batch = TOKENS_PER_GPU_BATCH

    def __init__(self, device: str) -> None:
        import torch
        from transformers import AutoModel

        self._device = device_called(device)
        kind = torch.float16 if self._device.type == "cuda" else torch.float32
        with quiet_transformers():
            model: Any = AutoModel.from_pretrained(str(checked_weights()), add_pooling_layer=False, dtype=kind)
        self._model = model.eval().to(self._device)

    def compute(self, tokens: list[list[int]], with_pieces: bool) -> tuple[Vectors, PieceVectors | None]:
        """Compute on the device: see :class:`Engine`.

        Raises:
            EncoderError: when the device cannot, for want of memory for instance, or in a forked process.
        """
        import torch

        try:
            with torch.inference_mode():
                states = self._states(tokens)
                means = states.mean(dim=1, dtype=torch.float32).cpu().numpy()
                if not with_pieces:
                    return means, None
                return means, torch.nn.functional.normalize(states.float(), dim=2).half().cpu().numpy()
        except RuntimeError as error:
            reason = str(error).strip().split("\n")[0]
            raise EncoderError(f"cannot encode on {self._device} ({reason}): encode on the cpu") from error

    def _states(self, tokens: list[list[int]]) -> Tensor:
        import torch

        states: Tensor = self._model(input_ids=torch.tensor(tokens, device=self._device)).last_hidden_state
        return states

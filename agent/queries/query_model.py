r"""What a downstream loss moves: the query encoder, and a memory of what passages mention.

A question is encoded, reads the passages it is nearest to, and moves towards what those mention,

.. math:: u = \mathrm{unit}\big(e(q) + g \sum_{i \in top_k(q)} p_i (I + U D) v_i\big), \qquad p = softmax(q K^T / \tau),

with K the passages' vectors and :math:`v_i` the mean vector of what passage i mentions. All of it is differentiable
retrieval over vectors that stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import PolicyError
from ...index.index import Index
from ...index.mentioned_vectors import mentioned_vectors
from ...retrievers.atomic_file import write_atomically
from ...retrievers.differentiable.attention_memory import AttentionMemory
from .low_rank import TunableEncoder

MEMORY_FILE = "query_memory.safetensors"


def memory_over(index: Index, most: int, temperature: float, gate: float, rank: int, seed: int) -> AttentionMemory:
    """Return the memory whose keys are the passages of an index and whose values are what they mention."""
    return AttentionMemory(
        torch.from_numpy(index.dense.reconstruct(np.arange(len(index)))),
        torch.from_numpy(mentioned_vectors(index)),
        most=most,
        temperature=temperature,
        gate=gate,
        rank=rank,
        generator=torch.Generator().manual_seed(seed),
    )


def moved(vectors: Tensor, memory: AttentionMemory) -> Tensor:
    """Return unit vectors [b, d] of questions that read the memory."""
    return nn.functional.normalize(vectors + memory(vectors).values, dim=1)


class QueryModel(nn.Module):
    """A tunable encoder and, where there is one, a memory; the parameters are what is learned.

    Args:
        encoder: of the questions.
        memories: one for every index, which share what they learn (:meth:`AttentionMemory.over`); none for none.
    """

    def __init__(self, encoder: TunableEncoder, memories: Sequence[AttentionMemory]) -> None:
        super().__init__()
        self.encoder = encoder
        self.memory = memories[0] if memories else None
        self._memories = list(memories)  # in a list: the others hold nothing of their own to learn or to save

    def forward(self, texts: Sequence[str], source: int) -> Tensor:
        """Return unit vectors [b, d] of questions over the index numbered ``source``."""
        vectors: Tensor = self.encoder(texts)
        return moved(vectors, self._memories[source]) if self._memories else vectors


def save_memory(folder: Path, memory: AttentionMemory) -> None:
    """Write what a memory has learned into ``folder``, which exists."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in memory.state_dict().items()}
    about = {"most": memory.wanted, "rank": 0 if memory.down is None else len(memory.down)}
    write_atomically(folder / MEMORY_FILE, save(tensors, metadata={"about": json.dumps(about)}))


def load_memory(folder: Path, index: Index) -> AttentionMemory | None:
    """Return the memory that was learned, over the passages of ``index``; None where there is none.

    Raises:
        PolicyError: when it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / MEMORY_FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        memory = memory_over(index, int(about["most"]), 1.0, 1.0, int(about["rank"]), 0)
        memory.load_state_dict(tensors)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("weights that are not finite")
    except (SafetensorError, OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise PolicyError(f"{path} is damaged ({shorten(str(error), 200)}): tune the queries again") from error
    return memory.requires_grad_(False)

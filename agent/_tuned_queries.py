"""The query side of an index that ``tune-query`` or ``tune`` made: imports torch, which no other fixed system does."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import EncoderError, PolicyError, UpdateError
from ..index._mentioned_vectors import mentioned_vectors
from ..index.index import Index
from ..retrievers._hashed_files import about_tensors, read_sealed_tensors, write_sealed_tensors
from ..retrievers.differentiable.learned_fusion import FILE as FUSION_FILE
from ..retrievers.differentiable.learned_fusion import LearnedFusion
from ..retrievers.differentiable.operators import AttentionMemory
from ..retrievers.records import Query
from ..retrievers.vectors._encoder import BUILT_IN, MiniLMEncoder
from ..retrievers.vectors._minilm import load_adapter

MEMORY_FILE = "query_memory.safetensors"


class TunedQueries:
    r"""The query side of an index, instead of its own encoder: what ``tune-query`` or ``tune`` made.

    A question is encoded, reads the passages it is nearest to, and moves towards what those mention,

    .. math:: u = \mathrm{unit}\big(e(q) + g \sum_{i} p_i v_i\big),

    with p the weights of an :class:`AttentionMemory` whose keys are the passages' vectors and whose values :math:`v_i`
    are the mean vectors of what passage i mentions.

    Args:
        folder: holds a tuned encoder, and where they were learned a memory and the weights of a fusion.
        index: made with the built-in encoder; its vectors stay as they are.

    Attributes:
        fusion: the learned weights of the fusion; None where there are none.

    Raises:
        EncoderError: when the folder holds no tuned encoder, or the index was made with another one.
        PolicyError: when the memory or the fusion is damaged.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.name = str(folder)
        self._encoder = MiniLMEncoder(threads=1, adapter=load_adapter(folder))
        self._memory = load_memory(folder, check_tunable(index))
        self.fusion = LearnedFusion.load(folder) if (folder / FUSION_FILE).exists() else None

    @torch.no_grad()
    def query(self, text: str) -> Query:
        """Return a question with its vector."""
        vectors = self._encoder.encode([text])
        if self._memory is not None:
            vectors = moved(torch.from_numpy(vectors), self._memory).numpy()
        return Query(text, vectors[0])


def check_tunable(index: Index) -> Index:
    """Return an index whose query side can be tuned.

    Raises:
        EncoderError: when it is a knowledge graph, or was made with another encoder than the built-in one.
        UpdateError: when it has changes that are not compacted.
    """
    if index.facts is not None:
        raise EncoderError(
            f"{index.path} is a knowledge graph, whose vectors are learned from its facts: nothing to tune"
        )
    if index.encoder_name != BUILT_IN:
        raise EncoderError(
            f"{index.path} was built with the encoder {index.encoder_name!r}; only the built-in one can be tuned:"
            " build the index with --encoder minilm"
        )
    if index.changed:
        raise UpdateError(f"{index.path} has changes: run  trailhound compact {index.path}  first")
    return index


def memory_over(index: Index, most: int, temperature: float, gate: float, operator: str) -> AttentionMemory:
    """Return the memory whose keys are the passages of an index and whose values are what they mention."""
    keys = torch.from_numpy(index.dense.reconstruct(np.arange(len(index))))
    values = torch.from_numpy(mentioned_vectors(index))
    return AttentionMemory(keys, values, most=most, temperature=temperature, gate=gate, operator=operator)


def moved(vectors: Tensor, memory: AttentionMemory) -> Tensor:
    """Return unit vectors [b, d] of questions that read the memory."""
    return nn.functional.normalize(vectors + memory(vectors), dim=1)


def save_memory(folder: Path, memory: AttentionMemory) -> None:
    """Write what a memory has learned into ``folder``, which exists."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in memory.state_dict().items()}
    about = {"most": memory.most, "operator": memory.operator}
    write_sealed_tensors(folder / MEMORY_FILE, save(tensors, metadata=about_tensors(about)))


def load_memory(folder: Path, index: Index) -> AttentionMemory | None:
    """Return the memory that was learned, over the passages of ``index``; None where there is none.

    Raises:
        PolicyError: when it is damaged.
    """
    path = folder / MEMORY_FILE
    if not path.is_file():
        return None
    content, about = read_sealed_tensors(path, PolicyError, "tune the queries again")
    try:
        tensors = load(content)
        memory = memory_over(index, int(about["most"]), 1.0, 1.0, str(about["operator"]))
        memory.load_state_dict(tensors)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise ValueError("weights that are not finite")
    except (SafetensorError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise PolicyError(f"{path} is damaged ({shorten(str(error), 200)}): tune the queries again") from error
    return memory.eval().requires_grad_(False)

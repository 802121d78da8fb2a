"""Asks an index with tuned queries: what ``trailhound tune-query`` or ``trailhound tune`` made, over any index."""

from __future__ import annotations

from pathlib import Path

import torch

from ...index.index import Index
from ...retrievers.differentiable.learned_fusion import FILE as FUSION_FILE
from ...retrievers.differentiable.learned_fusion import LearnedFusion
from ...retrievers.records import Query
from ...retrievers.vectors.adapter import load_adapter
from ...retrievers.vectors.encoder import MiniLMEncoder
from .low_rank import tunable
from .query_model import load_memory, moved


class TunedQueries:
    """The query side of an index, in place of its own encoder.

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
        self._memory = load_memory(folder, tunable(index))
        self.fusion = LearnedFusion.load(folder) if (folder / FUSION_FILE).exists() else None

    @torch.no_grad()
    def query(self, text: str) -> Query:
        """Return a question with its vector."""
        vectors = self._encoder.encode([text])
        if self._memory is not None:
            vectors = moved(torch.from_numpy(vectors), self._memory).numpy()
        return Query(text, vectors[0])

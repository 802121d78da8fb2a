"""The pair encoder as a pointwise re-ranker: each candidate is read together with the question alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...retrievers.records import Candidates, Passage, Query, SupportingSentence
from ...retrievers.vectors.encoder import embedding_text
from .pair_encoder import CANDIDATE_TOKENS, STATE_TOKENS, PairEncoder
from .sentences import best_sentences

BATCH = 32
"""Texts that are read at a time."""


class CrossEncoderReranker:
    r"""Scores :math:`w \, s(q, c) - \log r(c)`, with the pair encoder's s and the rank r in the first stage.

    Args:
        encoder: in evaluation mode, so that threads may share it.
        weight: w, 0 or more; with 0 every ranking stays as it is, and nothing is read.
    """

    name = "cross-encoder"

    def __init__(self, encoder: PairEncoder, weight: float) -> None:
        self._encoder = encoder
        self.weight = weight

    def scores(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the new score of every candidate, float64 [n]."""
        prior = -np.log(candidates.first_ranks())
        if not self.weight:
            return prior
        return self.weight * self.read(query, [embedding_text(p.title, p.text) for p in candidates.passages]) + prior

    @torch.inference_mode()
    def read(self, query: Query, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return what the encoder thinks of each text for the question, float64 [n]."""
        if not texts:
            return np.zeros(0)
        state = self._encoder.read([query.text], STATE_TOKENS)
        parts = []
        for first in range(0, len(texts), BATCH):
            read = self._encoder.read(texts[first : first + BATCH], CANDIDATE_TOKENS)
            parts.append(self._encoder(state, read, [0] * len(read.present)).double().cpu().numpy())
        return np.concatenate(parts)

    def sentences(self, query: Query, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return the sentence of every passage that the encoder thinks most of, read after its title."""
        return best_sentences(passages, lambda _, titled: self.read(query, titled))

"""A re-ranker of a few weights: the score of a candidate is the weighted sum of its features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import PolicyError
from ...index.index import Index
from ...retrievers.records import Candidates, Passage, Query, SupportingSentence
from .features import NAMES, features_of
from .sentences import agreeing_sentences


class LinearReranker:
    """The kinds ``hybrid`` and ``graph``, see :mod:`.features`.

    Args:
        index: that the candidates come from.
        kind: which features.
        weights: one of each; with all but the first 0 every ranking stays as it is.

    Raises:
        PolicyError: when there is no such kind, it has another number of features,
            or the index is a knowledge graph.
    """

    def __init__(self, index: Index, kind: str, weights: Sequence[float]) -> None:
        if kind not in NAMES:
            raise PolicyError(f"there is no linear re-ranker {kind!r}: choose one of {', '.join(NAMES)}")
        if len(weights) != len(NAMES[kind]) or not np.isfinite(weights).all():
            raise PolicyError(f"the {kind} re-ranker needs weights of {', '.join(NAMES[kind])}, not {list(weights)}")
        if index.facts is not None:
            raise PolicyError(f"{index.path} is a knowledge graph, whose entities have no texts to re-rank")
        self.name = kind
        self.weights = np.array(weights, np.float64)
        self._index = index
        self._features = features_of(kind, index)

    def scores(self, query: Query, candidates: Candidates) -> NDArray[np.float64]:
        """Return the new score of every candidate, float64 [n]."""
        if not len(candidates):
            return np.zeros(0)
        scores: NDArray[np.float64] = np.einsum("nf,f->n", self._features(query, candidates), self.weights)
        return scores

    def sentences(self, query: Query, passages: Sequence[Passage]) -> list[SupportingSentence | None]:
        """Return the sentence of every passage that agrees most with the question."""
        return agreeing_sentences(self._index, query, passages)

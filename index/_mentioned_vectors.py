"""What the passages mention, as vectors: the values of a memory whose keys are the passages themselves."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from ..graph._edges import SYMMETRIC
from ..retrievers.records import Vectors
from .index import Index


def mentioned_vectors(index: Index) -> Vectors:
    """Return the mean vector of the passages that each passage mentions, float32 [N, d]; zero for one without mentions.

    A question that attends to a passage and reads this moves towards what stands one hop further.
    """
    edges, count = index.graph.edges, len(index)
    mention = ~np.isin(edges.relation, SYMMETRIC)
    ones = np.ones(int(mention.sum()), np.float32)
    links = csr_matrix((ones, (edges.source[mention], edges.target[mention])), shape=(count, count))
    links.data[:] = 1.0  # a passage mentioned twice counts once
    degree = np.maximum(np.diff(links.indptr), 1).astype(np.float32)
    return np.ascontiguousarray((links @ index.dense.reconstruct(np.arange(len(index)))) / degree[:, None], np.float32)

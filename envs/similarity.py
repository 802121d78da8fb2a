"""Cosines of stored passages with a vector, the same to the last bit whatever they are computed beside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..index.index import Index
from ..retrievers.records import Rows, Vectors


def similarity(index: Index, rows: Rows, vector: Vectors) -> NDArray[np.float32]:
    """Return the inner product of each row's vector with ``vector`` [d], float32 [n].

    A matrix product may round a row differently when other rows are beside it; einsum sums each row alone, which
    is what makes a resumed training equal to one that was not interrupted.
    """
    return np.asarray(np.einsum("nd,d->n", index.dense.reconstruct(rows), vector), np.float32)

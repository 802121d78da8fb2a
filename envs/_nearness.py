"""How near passages are to vectors, each summed alone: what else is computed beside it changes no bit of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..index._searchable import Searchable
from ..retrievers.records import Rows, Vectors

_SCALE = 4.0


def similarity(index: Searchable, rows: Rows, vector: Vectors) -> NDArray[np.float32]:
    """Return the inner product of each row's vector with ``vector`` [d], float32 [n].

    A matrix product may round a row differently when other rows are beside it; einsum sums each row alone, which
    is what makes a resumed training equal to one that was not interrupted.
    """
    return np.asarray(np.einsum("nd,d->n", index.dense.reconstruct(rows), vector), np.float32)


def standardised(
    index: Searchable, rows: Rows, vectors: Sequence[Vectors], owner: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return how far each row's cosine with its vector stands above those of the corpus, float32 [n].

    In standard deviations, divided by 4. So encoders whose cosines lie close together say the same as those that spread
    them.

    Args:
        index: whose rows they are.
        rows: int64 [n].
        vectors: float32 [d] each.
        owner: the number of each row's vector, int64 [n].
    """
    if not len(rows):
        return np.zeros(0, np.float32)
    usual, deviation = np.array([index.sample.spread(vector) for vector in vectors], np.float32)[owner].T
    cosines = np.einsum("nd,nd->n", index.dense.reconstruct(rows), np.stack(vectors)[owner])
    return np.asarray((cosines - usual) / (_SCALE * deviation), np.float32)

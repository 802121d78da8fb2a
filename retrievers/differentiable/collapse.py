r"""Says whether vectors collapse: when all questions come to lie in one place, every one finds the same passages.

A loss can go down while that happens (pulling questions to their evidence without pushing anything away is the plain
case), so it is measured apart from the loss, on unit vectors, against what it was before training.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import CollapseError, QuestionsError, RecipeError
from ..records import Rows, Vectors

FEWEST = 8
"""Questions that it takes to tell a collapse from chance."""


def alignment(queries: Vectors, positives: Vectors) -> float:
    """Return the mean squared distance of questions [n, d] and a supporting passage of each [n, d]; 0 is perfect.

    Wang and Isola 2020, arXiv:2005.10242, eq. 1 with alpha = 2.
    """
    difference = queries.astype(np.float64) - positives
    return float((difference**2).sum(axis=1).mean())


def uniformity(vectors: Vectors) -> float:
    r"""Return :math:`\log E\, e^{-2 \lVert x - y \rVert^2}` over the pairs of different rows of [n, d].

    Wang and Isola 2020, eq. 2 with t = 2: 0 when all are in one place, below -3 when they spread over the sphere.
    """
    x = vectors.astype(np.float64)
    squares = (x**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * x @ x.T, 0)
    pairs = distances[np.triu_indices(len(x), 1)]
    return float(np.log(np.exp(-2 * pairs).mean()))


def effective_rank(vectors: Vectors) -> float:
    r"""Return :math:`e^{H(p)}` with :math:`p_i = \sigma_i / \sum_j \sigma_j` of the singular values of [n, d].

    Roy and Vetterli 2007, "The effective rank: A measure of effective dimensionality", eqs. 2 to 4. From 1, when all
    rows are multiples of one, to min(n, d).
    """
    singular = np.linalg.svd(vectors.astype(np.float64), compute_uv=False)
    if not singular.sum() > 0:
        return 1.0
    shares = singular / singular.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def same_top_share(top: Rows) -> float:
    """Return the share of the questions whose best passage ``top`` [n] is the one that is best most often."""
    return float(np.unique(top, return_counts=True)[1].max() / len(top))


@dataclass(frozen=True, slots=True)
class CollapseMeasures:
    """How far questions have collapsed, see the functions of these names."""

    alignment: float
    uniformity: float
    effective_rank: float
    same_top_share: float

    def to_json(self) -> dict[str, float]:
        """Return the measures by name."""
        return asdict(self)


def measure_collapse(queries: Vectors, positives: Vectors, top: Rows) -> CollapseMeasures:
    """Measure vectors of at least ``FEWEST`` questions [n, d], of a supporting passage of each, and their best rows."""
    if len(queries) < FEWEST:
        raise QuestionsError(f"{len(queries)} questions are too few to watch for collapse: give at least {FEWEST}")
    return CollapseMeasures(
        alignment(queries, positives), uniformity(queries), effective_rank(queries), same_top_share(top)
    )


@dataclass(frozen=True, slots=True)
class CollapseLimits:
    """What training must not pass."""

    # of the uniformity before training that must be left (it is below 0, and 0 is collapse)
    uniformity_share: float = 0.4
    rank_share: float = 0.4  # of the effective rank before training that must be left
    # how far of the way from its share before training to 1 the share of the commonest best passage may go
    same_top: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be a limit."""
        for name, value in asdict(self).items():
            if not 0 < value < 1:
                raise RecipeError(f"{name} must be above 0 and below 1, not {value}")


class CollapseGuard:
    """Stops a training whose vectors collapse, compared with what was measured before it."""

    def __init__(self, before: CollapseMeasures, limits: CollapseLimits | None = None) -> None:
        limits = limits or CollapseLimits()
        self.limits: dict[str, float] = {
            "uniformity": limits.uniformity_share * before.uniformity,
            "effective_rank": limits.rank_share * before.effective_rank,
            "same_top_share": before.same_top_share + limits.same_top * (1 - before.same_top_share),
        }

    def check(self, now: CollapseMeasures) -> None:
        """Raise a CollapseError with the measure, its limit and a remedy, unless the vectors are healthy."""
        values = now.to_json()
        for name, limit in self.limits.items():
            value = values[name]
            within = value > limit if name == "effective_rank" else value < limit
            if not within or not np.isfinite(value):
                raise CollapseError(name.replace("_", " "), value, limit, _REMEDIES[name])


_REMEDIES = {
    "uniformity": "questions lie in one place, so nothing pushes them apart: score against more negatives (a larger"
    " batch, hard negatives, or the whole corpus), or lower the learning rate",
    "effective_rank": "questions differ in few directions only: lower the learning rate, raise the rank of the change"
    " or the temperature, or train for fewer epochs",
    "same_top_share": "different questions find the same passage: score against more negatives, leave out passages that"
    " count as evidence for too many questions, or lower the learning rate",
}


def strided(count: int, most: int) -> NDArray[np.int64]:
    """Return up to ``most`` of ``count`` places, evenly spread: the questions that are watched."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))

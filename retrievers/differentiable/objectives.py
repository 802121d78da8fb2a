r"""What a retriever can be trained for, under one signature: ``objective(scores, targets, mask) -> loss``.

``scores`` [b, n] are logits (inner products already divided by the temperature), ``targets`` [b, n] say what is known
of every passage, and ``mask`` [b, n] which passages are there for a query (all, when None). The loss is a scalar, the
mean over queries. All is computed from logits in log-space; a passage that is not there has no effect and no gradient.
A query without anything to learn from (a positive, a pair of unequal relevance) raises a ``RecipeError``.

==========================  =====================================================
objective                   targets
==========================  =====================================================
contrastive                 above 0: supporting; the others are negatives
pairwise_logistic, _margin  relevance; every pair of unequal relevance is learned
listwise                    relevance, at least 0; scaled to sum to 1
list_net                    relevance as a score of its own
retrieval_likelihood        log p(y given the question and the passage)
expected_loss               the loss of the downstream model when it is given the passage
==========================  =====================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from ...errors import RecipeError
from ..records import Rows, Vectors

Objective = Callable[[Tensor, Tensor, Tensor | None], Tensor]

_BLOCK = 256
"""Queries that are compared with the corpus at once: 256 times a million scores are a gigabyte."""


def contrastive(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""InfoNCE, :math:`-\log e^{s^+} / (e^{s^+} + \sum_{n \in N} e^{s_n})`, the mean over a query's positives.

    van den Oord, Li and Vinyals 2018, arXiv:1807.03748, eq. 4; with several positives, none is a negative of another.
    Negatives are whatever is there: the batch's passages, mined ones (:func:`hard_negatives`), or the whole corpus.
    """
    there = _there(scores, mask)
    positive = (targets > 0) & there
    _check("a positive", positive.any(dim=1))
    negatives = torch.logsumexp(_without(scores, ~there | positive), dim=1, keepdim=True)  # [b, 1]
    losses = softplus(negatives - _zeroed(scores, positive)) * positive
    return (losses.sum(dim=1) / positive.sum(dim=1)).mean()


def pairwise_logistic(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""RankNet, :math:`\log(1 + e^{-(s_i - s_j)})`, the mean over the pairs with i more relevant than j.

    Burges et al. 2005, "Learning to Rank using Gradient Descent", eq. 3 with certain targets.
    """
    difference, pairs = _pairs(scores, targets, mask)
    return _mean_over_pairs(softplus(-difference), pairs)


def pairwise_margin(scores: Tensor, targets: Tensor, mask: Tensor | None = None, *, margin: float = 1.0) -> Tensor:
    r"""Hinge loss :math:`\max(0, margin - (s_i - s_j))`, the mean over the pairs with i more relevant than j.

    Herbrich, Graepel and Obermayer 2000, "Large Margin Rank Boundaries for Ordinal Regression"; Joachims 2002.
    """
    difference, pairs = _pairs(scores, targets, mask)
    return _mean_over_pairs(torch.relu(margin - difference), pairs)


def listwise(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Softmax cross-entropy, :math:`-\sum_i \frac{t_i}{\sum_j t_j} \log p_i` with p the softmax of the scores.

    Bruch et al. 2019, "An Analysis of the Softmax Cross Entropy Loss for Learning-to-Rank with Binary
    Relevance", eq. 3. Targets are 0 or more.
    """
    there = _there(scores, mask)
    kept = targets * there
    if (kept < 0).any():
        raise RecipeError(f"relevance must be 0 or more, not {float(kept.min())}")
    _check("a relevant passage", kept.sum(dim=1) > 0)
    return _cross_entropy(scores, kept / kept.sum(dim=1, keepdim=True), there)


def list_net(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Cross-entropy from the softmax of the targets to the softmax of the scores.

    Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise Approach", eq. 6 with top-one probabilities.
    """
    there = _there(scores, mask)
    return _cross_entropy(scores, torch.softmax(_without(targets.to(scores.dtype), ~there), dim=1), there)


def retrieval_likelihood(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Marginal likelihood of the output, :math:`-\log \sum_i p(i \mid q) \, p(y \mid q, i)`.

    Guu et al. 2020, REALM, arXiv:2002.08909, eq. 1; Lewis et al. 2020, RAG, arXiv:2005.11401, section 2.1. The targets
    are log p(y given q, i), minus infinity where a passage cannot give y; one at least must be finite.
    """
    there = _there(scores, mask)
    possible = there & torch.isfinite(targets)
    _check("a passage that can give the output", possible.any(dim=1))
    joint = torch.logsumexp(_without(scores + _zeroed(targets, possible), ~possible), dim=1)
    return (torch.logsumexp(_without(scores, ~there), dim=1) - joint).mean()


def expected_loss(scores: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Expected loss of whatever comes after, :math:`\sum_i p(i \mid q) \, \ell_i`.

    Its gradient, :math:`p_i (\ell_i - \bar\ell)`, is that of REINFORCE with the mean as its baseline, without sampling.
    """
    there = _there(scores, mask)
    weights = torch.softmax(_without(scores, ~there), dim=1)
    return (weights * _zeroed(targets, there)).sum(dim=1).mean()


OBJECTIVES: dict[str, Objective] = {
    "contrastive": contrastive,
    "pairwise": pairwise_logistic,
    "margin": pairwise_margin,
    "listwise": listwise,
    "listnet": list_net,
    "likelihood": retrieval_likelihood,
    "expected-loss": expected_loss,
}
"""By the name that ``trailhound tune --objective`` takes."""


def labels_as_targets(name: str, supporting: Tensor, temperature: float) -> Tensor:
    """Return the targets of an objective where all that is known is which passages support, bool [b, n].

    For ``listnet`` a label is a cosine, 1 or 0, over the ``temperature`` of the scores. For ``likelihood`` a supporting
    passage gives the output for sure and no other can; for ``expected-loss`` the loss of any other is 1.
    """
    if name == "likelihood":
        return torch.zeros(supporting.shape, device=supporting.device).masked_fill(~supporting, -torch.inf)
    relevance = supporting.float()
    if name == "expected-loss":
        return 1 - relevance
    return relevance / temperature if name == "listnet" else relevance


def hard_negatives(queries: Vectors, vectors: Vectors, positives: Sequence[Sequence[int]], count: int) -> list[Rows]:
    """Return the rows of up to ``count`` hard negatives of every query [b, d], best first, ties by row.

    They are what the encoder as it is now ranks highest among passages [N, d] and no label (``positives``, rows of each
    query) names (Xiong et al. 2020, ANCE, arXiv:2007.00808).

    Raises:
        RecipeError: when the count is below 1, or the numbers of queries and positives differ.
    """
    if count < 1:
        raise RecipeError(f"the number of hard negatives must be 1 or more, not {count}")
    if len(queries) != len(positives):
        raise RecipeError(f"there are {len(queries)} queries but positives of {len(positives)}: give one list of each")
    mined = []
    for first in range(0, len(queries), _BLOCK):
        scores = queries[first : first + _BLOCK] @ vectors.T  # [block, N]
        for row, own in zip(scores, positives[first : first + _BLOCK], strict=True):
            row[list(own)] = -np.inf
            wanted = min(count, len(row) - len(set(own)))
            cut = np.partition(row, len(row) - wanted)[len(row) - wanted] if wanted else np.inf
            best = np.flatnonzero(row >= cut)  # ties at the cut included, the sort below decides among them
            mined.append(best[np.lexsort((best, -row[best]))][:wanted].astype(np.int64))
    return mined


def _there(scores: Tensor, mask: Tensor | None) -> Tensor:
    there = torch.isfinite(scores)
    if mask is not None:
        there = there & mask
    _check("a passage", there.any(dim=1))
    return there


def _without(scores: Tensor, absent: Tensor) -> Tensor:
    return scores.masked_fill(absent, -torch.inf)


def _zeroed(values: Tensor, kept: Tensor) -> Tensor:
    """Return 0 instead of what is not kept: infinity times 0 would not be a number."""
    return values.masked_fill(~kept, 0.0)


def _cross_entropy(scores: Tensor, wanted: Tensor, there: Tensor) -> Tensor:
    log_weights = torch.log_softmax(_without(scores, ~there), dim=1)
    return -(wanted * _zeroed(log_weights, there)).sum(dim=1).mean()


def _pairs(scores: Tensor, targets: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return s_i - s_j and whether i is to be above j, both [b, k, n]; i runs over the k above any other."""
    there = _there(scores, mask)
    lowest = targets.masked_fill(~there, torch.inf).amin(dim=1, keepdim=True)  # [b, 1]
    above = (targets > lowest) & there
    count = max(int(above.sum(dim=1).max()), 1)
    places = targets.masked_fill(~above, -torch.inf).topk(count, dim=1).indices  # [b, k]
    better, kept = targets.gather(1, places), _zeroed(scores, there)
    pairs = (better.unsqueeze(2) > targets.unsqueeze(1)) & above.gather(1, places).unsqueeze(2) & there.unsqueeze(1)
    _check("a pair of passages that differ in relevance", pairs.flatten(1).any(dim=1))
    return kept.gather(1, places).unsqueeze(2) - kept.unsqueeze(1), pairs


def _mean_over_pairs(losses: Tensor, pairs: Tensor) -> Tensor:
    return ((losses * pairs).sum(dim=(1, 2)) / pairs.sum(dim=(1, 2))).mean()


def _check(what: str, has: Tensor) -> None:
    if not has.all():
        number = int(torch.nonzero(~has)[0])
        raise RecipeError(f"query {number} of the batch has not {what} to learn from: leave it out")

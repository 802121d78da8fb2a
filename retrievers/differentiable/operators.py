r"""Retrieval that a loss can be sent back through: soft choices of passages, and estimators for hard ones.

Letters: b queries, n passages (or slots of a memory), d numbers to a value, k passages chosen. A passage that is not
there for a query (padding, another corpus) has the score minus infinity: its weight and its gradient are 0.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ...errors import RecipeError

_STEPS = 60
"""Halvings of the interval that holds the threshold of the relaxed top-k: as many as float64 has digits, and some."""


def softmax_weights(scores: Tensor, temperature: Tensor | float) -> Tensor:
    r"""Return :math:`p_i = e^{s_i / \tau} / \sum_j e^{s_j / \tau}`, [b, n], rows sum to 1.

    As the temperature goes to 0 the row becomes that of the best passage alone; passages that tie share. A learned
    temperature is a tensor.

    Raises:
        RecipeError: when the temperature is not above 0, or a query has no passage at all.
    """
    return torch.softmax(_logits(scores, temperature), dim=-1)


def softmax_retrieval(scores: Tensor, values: Tensor, temperature: Tensor | float) -> Tensor:
    r"""Return what is read softly, :math:`r = \sum_i p_i v_i`, [b, d], from values [n, d] or [b, n, d]."""
    return read(softmax_weights(scores, temperature), values)


def read(weights: Tensor, values: Tensor) -> Tensor:
    """Return the values weighted and summed, [b, d], for ``weights`` [b, n] and ``values`` [n, d] or [b, n, d]."""
    if values.dim() == 2:
        return weights @ values
    return (weights.unsqueeze(-2) @ values).squeeze(-2)


def hard_top_k(scores: Tensor, k: int) -> Tensor:
    """Return 1 for the ``k`` best passages (or as many as there are) and 0 for others, [b, n]; ties go to the first."""
    _check_count(k)
    order = torch.argsort(scores, dim=-1, descending=True, stable=True)[..., :k]
    chosen = torch.zeros_like(scores).scatter(-1, order, 1.0)
    return chosen * torch.isfinite(scores)


def relaxed_top_k(scores: Tensor, k: int, temperature: Tensor | float) -> Tensor:
    r"""Return soft weights of the ``k`` best passages, [b, n]: each from 0 to 1, and their sum is k.

    .. math::
        m = \arg\max_{0 \le m \le 1,\; \sum_i m_i = k} \; s^\top m + \tau \sum_i H_b(m_i)
          = \sigma\big((s - \nu) / \tau\big), \quad \nu \text{ such that } \sum_i m_i = k,

    with the binary entropy :math:`H_b`: the limited multi-label projection (Amos, Koltun and Kolter 2019,
    arXiv:1906.08707, eqs. 2 to 5), which is also the solution of the entropic optimal transport of SOFT top-k (Xie et
    al. 2020, arXiv:2002.06504) for costs that are linear in the scores. It keeps the order of the scores, goes to
    :func:`hard_top_k` as the temperature goes to 0, and costs one sort-free search for the threshold. The gradient is
    the exact first one (:math:`\partial\nu / \partial s_i = w_i / \sum_j w_j, w = m(1 - m)`); there is no second.

    Args:
        scores: [b, n].
        k: how many; where a query has no more than k passages, all of them have the weight 1.
        temperature: see :func:`softmax_weights`.

    Raises:
        RecipeError: when ``k`` is below 1, or as for :func:`softmax_weights`.
    """
    _check_count(k)
    logits = _logits(scores, temperature)
    there = torch.isfinite(scores)
    few = there.sum(dim=-1, keepdim=True) <= k  # [b, 1]
    if k >= scores.shape[-1]:
        return there.to(scores.dtype)
    # where all are taken there is no threshold to look for: any numbers will do there, they are not used
    chosen = _soft_top_k(torch.where(few, torch.zeros_like(logits), logits), k)
    return torch.where(few, there.to(scores.dtype), chosen)


def _soft_top_k(logits: Tensor, k: int) -> Tensor:
    with torch.no_grad():
        fixed = logits.detach()
        threshold = _threshold(fixed, k)  # [b, 1]
        chosen = torch.sigmoid(fixed - threshold)
        slope = (chosen * (1 - chosen)).sum(dim=-1, keepdim=True).clamp_min(torch.finfo(logits.dtype).tiny)
    # one step of Newton's method from the root: it stays there, and its derivative is that of the root
    missing = torch.sigmoid(logits - threshold).sum(dim=-1, keepdim=True) - k
    return torch.sigmoid(logits - (threshold + missing / slope))


def _threshold(logits: Tensor, k: int) -> Tensor:
    """Return nu / tau of every query, [b, 1], by halving the interval that must hold it."""
    kth = torch.topk(logits, k + 1, dim=-1).values[..., k - 1 :]  # the last that is in, and the first that is out
    count = torch.isfinite(logits).sum(dim=-1, keepdim=True)
    margin = torch.log(count.to(logits.dtype))
    low, high = kth[..., 1:] - margin, kth[..., :1] + margin
    for _ in range(_STEPS):
        middle = (low + high) / 2
        many = torch.sigmoid(logits - middle).sum(dim=-1, keepdim=True) > k
        low, high = torch.where(many, middle, low), torch.where(many, high, middle)
    return (low + high) / 2


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Return ``hard`` going forward, with the gradient of ``soft`` going back.

    Bengio, Léonard and Courville 2013, arXiv:1308.3432, section 4; biased, and of low variance.
    """
    return hard.detach() + (soft - soft.detach())


def straight_through_top_k(scores: Tensor, k: int, temperature: Tensor | float) -> Tensor:
    """Return :func:`hard_top_k` going forward, with the gradient of :func:`relaxed_top_k` going back, [b, n]."""
    return straight_through(hard_top_k(scores, k), relaxed_top_k(scores, k, temperature))


def gumbel_noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return standard Gumbel noise of the shape and type of ``like``."""
    uniform = torch.rand(like.shape, generator=generator, dtype=like.dtype, device=generator.device).to(like.device)
    tiny = torch.finfo(like.dtype).tiny
    return -torch.log(-torch.log(uniform.clamp(tiny, 1 - torch.finfo(like.dtype).eps)))


def gumbel_top_k(scores: Tensor, k: int, temperature: Tensor | float, generator: torch.Generator) -> Tensor:
    r"""Draw ``k`` passages without replacement, [b, n] of 0 and 1, with a gradient.

    The ``k`` greatest of :math:`s_i + G_i` are a draw without replacement from softmax(s) (Kool, van Hoof and Welling
    2019, arXiv:1903.06059, section 3); with k = 1 that is the Gumbel-max trick. Going back, the draw counts as the
    relaxed top-k of the same noisy scores: for k = 1 the straight-through Gumbel estimator of Jang, Gu and Poole 2017
    (arXiv:1611.01144), with the relaxation of :func:`relaxed_top_k` instead of a softmax. The draw does not depend on
    the temperature.
    """
    noisy = scores + gumbel_noise(scores, generator)
    return straight_through_top_k(noisy, k, temperature)


OPERATORS = ("softmax", "relaxed-top-k", "straight-through", "gumbel-top-k")
"""Ways to choose k passages softly, by the name that ``trailhound tune-query --operator`` takes."""

_SEEN = 5
"""Slots per passage chosen that a relaxed choice weighs: beyond them weights are tiny."""


class AttentionMemory(nn.Module):
    r"""Attention over keys and values, :math:`r = g \sum_i p_i v_i`, whose temperature and gate g are learned.

    Weston, Chopra and Bordes 2015 (arXiv:1410.3916) and, with keys and values apart, Miller et al. 2016
    (arXiv:1606.03126, section 3.1). Over an index the keys are the vectors of its passages. The weights p add up to 1:
    a softmax over the k best slots, or 1 / k times a choice of k: :func:`relaxed_top_k`,
    :func:`straight_through_top_k` or :func:`gumbel_top_k` (which draws while training, and takes the k best after).

    Args:
        keys: [n, d].
        values: [n, v].
        most: k, slots that a query reads.
        temperature: tau at first.
        gate: g at first.
        operator: one of ``OPERATORS``.

    Raises:
        RecipeError: when keys and values differ in number, or the settings are impossible.
    """

    keys: Tensor
    values: Tensor

    def __init__(
        self,
        keys: Tensor,
        values: Tensor,
        *,
        most: int,
        temperature: float = 0.05,
        gate: float = 1.0,
        operator: str = "softmax",
    ) -> None:
        super().__init__()
        if len(keys) != len(values) or not len(keys):
            raise RecipeError(f"a memory needs as many values as keys, not {len(keys)} keys and {len(values)} values")
        if not temperature > 0 or most < 1:
            raise RecipeError(f"a memory cannot have the temperature {temperature} and read {most} slots")
        if operator not in OPERATORS:
            raise RecipeError(f"there is no operator {operator!r}: choose one of {', '.join(OPERATORS)}")
        self.most, self.operator = most, operator
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        self.gate = nn.Parameter(torch.tensor(float(gate)))
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("values", values, persistent=False)

    def over(self, keys: Tensor, values: Tensor) -> AttentionMemory:
        """Return a memory of other slots that shares what this one learns: temperature and gate."""
        other = AttentionMemory(keys, values, most=self.most, operator=self.operator)
        other.log_temperature, other.gate = self.log_temperature, self.gate
        return other

    def forward(self, queries: Tensor) -> Tensor:
        """Return what queries [b, d] read, [b, v]."""
        weights, slots = self.weights(queries)
        return self.gate * read(weights, self.values[slots])

    def weights(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights of the slots that queries [b, d] look at, and which these are, both [b, m], best first."""
        scores = queries @ self.keys.T  # [b, n]
        looked_at = self.most if self.operator == "softmax" else _SEEN * self.most
        slots = torch.topk(scores.detach(), min(looked_at, len(self.keys)), dim=1).indices
        scores, temperature = scores.gather(1, slots), self.log_temperature.exp()
        if self.operator == "softmax":
            return softmax_weights(scores, temperature), slots
        k = min(self.most, scores.shape[1])
        if self.operator == "relaxed-top-k":
            chosen = relaxed_top_k(scores, k, temperature)
        elif self.operator == "straight-through" or not self.training:
            chosen = straight_through_top_k(scores, k, temperature)
        else:
            chosen = gumbel_top_k(scores / temperature, k, 1.0, torch.default_generator)
        return chosen / k, slots


def _logits(scores: Tensor, temperature: Tensor | float) -> Tensor:
    """Return scores / temperature; an absent passage stays at minus infinity, and its gradient is 0."""
    there = torch.isfinite(scores)
    empty = ~there.any(dim=-1)
    if empty.any():
        number = int(torch.nonzero(empty.reshape(-1))[0])
        raise RecipeError(f"query {number} of the batch has no passage with a finite score: leave it out")
    scaled = scores.masked_fill(~there, 0.0) / _above_zero(temperature)
    return scaled.masked_fill(~there, -torch.inf)


def _above_zero(temperature: Tensor | float) -> Tensor | float:
    value = float(temperature.detach() if isinstance(temperature, Tensor) else temperature)
    if not value > 0:
        raise RecipeError(f"the temperature must be above 0, not {value}")
    return temperature


def _check_count(k: int) -> None:
    if k < 1:
        raise RecipeError(f"k must be 1 or more, not {k}")

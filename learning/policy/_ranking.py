"""Trains the ranker on full lists: all that searches of the policy have seen, in the order that the labels want.

The loss is listwise, with hybrid's fusion as the start: for each supporting passage, -log of its share against all
passages that support nothing (the softmax of Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise
Approach", once for each right passage). What word pieces say is hidden at random, as an index without them hides it.
Networks are trained side by side, each on lists of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...agent._ranker import PRIOR, WEIGHTS, Ranker
from ...envs._seen import EDGES, LATE, SEEN_FEATURES
from ._ranked_lists import Batch, LaidOut, RankedList, Sums

NETWORKS = 3
WIDTH = 24
DROPOUT = 0.1
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
LISTS_PER_STEP = 32
EPOCHS = 6
ADAPTED = 0.3
"""Share of the steps, and of their size, that are made from a ranker that exists."""

HIDDEN = 0.15
"""Share of the lists in which what word pieces say is hidden."""

FOLDS = 4
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far a ranker may go from the one it starts from towards the one that fits new questions."""

_FIXED = ("mean", "scale")
"""Weights that say what is usual, and are not learned."""


class _Messages(torch.autograd.Function):
    """Sums over the edges of a batch; their gradients are sums too, so both are the same bits whenever computed."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, messages: Sums, gradients: Sums) -> Tensor:
        ctx.gradients = gradients
        return messages.of(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.gradients.of(gradients[0].contiguous()), None, None


class _Networks(nn.Module):
    """The networks of a ranker as torch has them: see :class:`Ranker`."""

    mean: Tensor
    scale: Tensor
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    out: Tensor
    prior: Tensor

    def __init__(self, ranker: Ranker) -> None:
        super().__init__()
        for name, array in ranker.weights.items():
            tensor = torch.from_numpy(array.copy())
            setattr(self, name, nn.Buffer(tensor) if name in _FIXED else nn.Parameter(tensor))

    def forward(self, batch: Batch, compared: Tensor, bits: torch.Generator | None = None) -> Tensor:
        """Return scores [m, b, n] of lists; where word pieces are not compared, bool [m, b], they say nothing.

        With ``bits`` what the first layer makes of a passage is dropped out at random, before anything reads it.
        """
        m, b, n, f = batch.features.shape
        features = (batch.features - self.mean[:, None, None]) / self.scale[:, None, None]
        features[..., LATE] *= compared[:, :, None, None]
        first = torch.baddbmm(self.first_bias[:, None], features.view(m, b * n, f), self.first).relu()
        first = first * batch.present.view(m, b * n, 1)
        if bits is not None:
            first = first * (torch.rand(first.shape, generator=bits, device=first.device) >= DROPOUT) / (1 - DROPOUT)
        width = first.shape[2]
        of_passage, of_list, of_messages = self.second.tensor_split((width, 2 * width), dim=1)
        second = torch.baddbmm(self.second_bias[:, None], first, of_passage)
        if batch.messages is not None:
            messages = _Messages.apply(first.view(m * b * n, width), batch.messages, batch.gradients)  # type: ignore[no-untyped-call]
            second = torch.baddbmm(second, messages.view(m, b * n, len(EDGES) * width), of_messages)
        mean = first.view(m, b, n, width).sum(dim=2) / batch.present.sum(dim=2, keepdim=True)
        second = (second.view(m, b, n, width) + torch.bmm(mean, of_list)[:, :, None]).relu()
        scores: Tensor = (second.view(m, b * n, width) @ self.out[:, :, None]).view(m, b, n)
        return scores + self.prior[:, None, None] * batch.features[..., PRIOR]

    def ranker(self) -> Ranker:
        """Return what they have learned."""
        return Ranker({name: getattr(self, name).detach().cpu().numpy() for name in WEIGHTS})


def fit_ranker(
    lists: Sequence[RankedList],
    steps: int,
    seed: int,
    messages: bool = True,
    start: Ranker | None = None,
    device: torch.device | str = "cpu",
) -> Ranker:
    """Fit a ranker to lists, of which at least one must have a passage that meets a label.

    With ``start`` it goes from there, only as far as questions that it does not learn from say that it pays.

    Args:
        lists: of searches, by the policy that the ranker is for.
        steps: of the optimizer, at least; many lists get ``EPOCHS``.
        seed: of everything random.
        messages: pass messages between neighbours; without is the ablation.
        start: the ranker to adapt.
        device: where it is computed, and where the lists are kept meanwhile.

    Raises:
        ValueError: when no list has a passage that meets a label.
    """
    useful = [one for one in lists if (one.met >= 0).any()]
    if not useful:
        raise ValueError("no search has seen a passage that meets a label: there is nothing to rank by")
    if start is None:
        begun = _untrained(useful, seed, messages)
        return _fitted(LaidOut(useful, device, messages), begun, _chances(useful, NETWORKS), steps, seed)
    if len(useful) < 2 * FOLDS:
        return start
    laid_out, steps = LaidOut(useful, device, start.passes_messages), round(ADAPTED * steps)
    strength = _strength(useful, laid_out, steps, seed, start.first)
    if not strength:
        return start
    chances = _chances(useful, start.networks)
    return _between(start, _fitted(laid_out, start, chances, steps, seed, ADAPTED), strength)


def _strength(lists: Sequence[RankedList], laid_out: LaidOut, steps: int, seed: int, start: Ranker) -> float:
    """Return how far to go from a ranker: the least of ``STRENGTHS`` within a standard error of the best nDCG@10.

    Every list is ranked by a ranker that was fitted to the other folds.
    """
    fold = np.random.default_rng([seed, 5]).permutation(len(lists)) % FOLDS
    learned = np.arange(FOLDS)[:, None] != fold
    each = Ranker({name: np.repeat(array, FOLDS, axis=0) for name, array in start.weights.items()})
    fitted = _fitted(laid_out, each, _chances(lists, FOLDS, learned), steps, seed, ADAPTED)
    gains = np.zeros((len(STRENGTHS), len(lists)))
    for number in range(FOLDS):
        end = Ranker({name: array[number : number + 1] for name, array in fitted.weights.items()})
        rankers = [_between(start, end, strength) for strength in STRENGTHS]
        places = np.flatnonzero(fold == number)
        gains[:, places] = _gains(rankers, [lists[place] for place in places.tolist()], laid_out.device)
    means = gains.mean(axis=1)
    best = int(means.argmax())
    error = (gains[best] - gains).std(axis=1) / np.sqrt(len(lists))
    good = np.flatnonzero(means >= means[best] - error)
    return STRENGTHS[int(good[0])]


def _gains(rankers: Sequence[Ranker], lists: Sequence[RankedList], device: torch.device) -> NDArray[np.float64]:
    """Return nDCG@10 of the whole lists by rankers of one network, [rankers, lists]."""
    joined = Ranker({name: np.concatenate([each.weights[name] for each in rankers]) for name in WEIGHTS})
    networks, gains = _Networks(joined).to(device), np.zeros((len(rankers), len(lists)))
    for first in range(0, len(lists), LISTS_PER_STEP):
        part = lists[first : first + LISTS_PER_STEP]
        laid_out = LaidOut(part, device, joined.passes_messages, longest=None)
        batch = laid_out.batch(np.tile(np.arange(len(part)), (len(rankers), 1)))
        with torch.inference_mode():
            scores = networks(batch, batch.compared).cpu().numpy()
        for k, one in enumerate(part):
            orders = np.argsort(-scores[:, k, : len(one.met)], axis=1, kind="stable")
            gains[:, first + k] = [one.gain(order) for order in orders]
    return gains


def _between(start: Ranker, end: Ranker, strength: float) -> Ranker:
    """Return the ranker whose weights lie so far on the way between two (Wortsman et al. 2022, arXiv:2109.01903)."""
    weights = {name: array + strength * (end.weights[name] - array) for name, array in start.weights.items()}
    return Ranker(weights)


def _chances(
    lists: Sequence[RankedList], networks: int, learned: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return how probably each network draws each list, [networks, lists]: of those it learns from, or of all."""
    learned = np.ones((networks, len(lists)), bool) if learned is None else learned
    sources = np.unique([one.source for one in lists], return_inverse=True)[1]
    chances = np.zeros(learned.shape)
    for chance, which in zip(chances, learned, strict=True):
        chance[which] = np.bincount(sources[which])[sources[which]] ** -0.5
    normalised: NDArray[np.float64] = chances / chances.sum(axis=1, keepdims=True)
    return normalised


def _untrained(lists: Sequence[RankedList], seed: int, messages: bool) -> Ranker:
    """Return ``NETWORKS`` networks of random weights: at first their order is nearly hybrid's."""
    everything = np.concatenate([one.seen.features for one in lists])
    mean, scale = everything.mean(axis=0), np.maximum(everything.std(axis=0), 0.05)
    compared = [one.seen.features[:, LATE] for one in lists if one.seen.features[:, LATE].any()]
    if compared:
        pieces = np.concatenate(compared)
        mean[LATE], scale[LATE] = pieces.mean(axis=0), np.maximum(pieces.std(axis=0), 0.05)
    generator = np.random.default_rng([seed, 6])

    def drawn(*shape: int, inputs: int) -> NDArray[np.float32]:
        bound = inputs**-0.5
        return generator.uniform(-bound, bound, (NETWORKS, *shape)).astype(np.float32)

    features, inputs = len(SEEN_FEATURES), (2 + (len(EDGES) if messages else 0)) * WIDTH
    return Ranker(
        {
            "mean": np.tile(mean, (NETWORKS, 1)),
            "scale": np.tile(scale, (NETWORKS, 1)),
            "first": drawn(features, WIDTH, inputs=features),
            "first_bias": drawn(WIDTH, inputs=features),
            "second": drawn(inputs, WIDTH, inputs=inputs),
            "second_bias": drawn(WIDTH, inputs=inputs),
            "out": drawn(WIDTH, inputs=100 * WIDTH),
            "prior": np.ones(NETWORKS, np.float32),
        }
    )


def _fitted(
    laid_out: LaidOut, begun: Ranker, chances: NDArray[np.float64], steps: int, seed: int, share: float = 1.0
) -> Ranker:
    """Fit networks from where they are, each to lists that it draws with its chances, [networks, lists]."""
    steps = max(steps, EPOCHS * int((chances > 0).sum(axis=1).max()) // LISTS_PER_STEP)
    generators = [np.random.default_rng([seed, 4, number]) for number in range(begun.networks)]
    shape = steps, LISTS_PER_STEP
    drawn = [each.choice(chances.shape[1], shape, p=p) for each, p in zip(generators, chances, strict=True)]
    shown = np.stack([each.random(shape) >= HIDDEN for each in generators], axis=1)
    bits = torch.Generator(laid_out.device).manual_seed(int(generators[0].integers(2**31)))
    networks = _Networks(begun).to(laid_out.device)
    optimizer = torch.optim.AdamW(networks.parameters(), lr=share * LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step, chosen in enumerate(np.stack(drawn, axis=1)):
        for group in optimizer.param_groups:
            group["lr"] = share * LEARNING_RATE * (1 - step / steps)
        batch = laid_out.batch(chosen)
        compared = batch.compared & torch.from_numpy(shown[step]).to(laid_out.device)
        loss = _loss(networks(batch, compared, bits), batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return networks.ranker()


def _loss(scores: Tensor, batch: Batch) -> Tensor:
    """Return the listwise loss of scores [m, b, n]: the mean over lists, summed over networks."""
    scores = scores.masked_fill(batch.present == 0, -1e9)
    others = scores.masked_fill(batch.right > 0, -1e9).logsumexp(dim=2, keepdim=True)
    losses = nn.functional.softplus(others - scores) * batch.right
    return (losses.sum(dim=2) / batch.right.sum(dim=2)).mean(dim=1).sum()

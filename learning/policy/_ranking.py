"""Trains the ranker on full lists: all that searches of the policy have seen, in the order that the labels want.

The loss is listwise, with hybrid's fusion as the start: for each supporting passage, -log of its share against all
passages that support nothing (the softmax of Cao et al. 2007, "Learning to Rank: From Pairwise Approach to Listwise
Approach", once for each right passage). What word pieces say is hidden at random, as an index without them hides it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...agent._policy_file import LoadedPolicy
from ...agent._ranker import PRIOR, Ranker, without_pieces
from ...agent._rollout import search_worlds
from ...envs._seen import EDGES, LATE, SEEN_FEATURES, Seen
from ...envs._world import QuestionWorld
from ...retrievers.protocols import Progress

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

LONGEST = 160
"""Passages of a list that are learned from, the best of hybrid's fusion first."""

MOST_LISTS = 12_000
"""Searches that are learned from: what each has seen takes half a megabyte, and a small network has enough of them."""

_SEARCHED_TOGETHER = 64
"""Questions whose searches are looked at between two signs of progress."""

FOLDS = 4
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far a ranker may go from the one it starts from towards the one that fits new questions."""


@dataclass(frozen=True, slots=True)
class RankedList:
    """What one search has seen, and which label each passage meets.

    Attributes:
        seen: the passages.
        met: int64 [n], a number for the label that a passage meets, -1 for none.
        labels: how many there are, found or not.
        source: which source the question is from: sources weigh alike.
    """

    seen: Seen
    met: NDArray[np.int64]
    labels: int
    source: int

    def gain(self, order: NDArray[np.int64]) -> float:
        """Return nDCG@10 of an order of the passages, each label counted where it is first met."""
        met = self.met[order]
        first = np.unique(met, return_index=True)
        places = np.sort([place for label, place in zip(*first, strict=True) if label >= 0 and place < 10])
        best = (1 / np.log2(np.arange(min(self.labels, 10)) + 2)).sum()
        return float((1 / np.log2(places + 2)).sum() / max(best, 1e-9))


def looked_at(
    policy: LoadedPolicy,
    worlds: Sequence[QuestionWorld],
    sources: Mapping[int, int],
    progress: Progress | None = None,
) -> list[RankedList]:
    """Return what searches of a policy see of those questions over texts that have labels, ``MOST_LISTS`` at most.

    Args:
        policy: what searches.
        worlds: the questions.
        sources: the number of each source, by the id of its index.
        progress: hears how many are looked at.
    """
    labelled = [world for world in worlds if world.gold and world.index.facts is None]
    labelled = labelled[:: -(-len(labelled) // MOST_LISTS) or 1]  # every second, every third: some of each source
    lists = []
    for first in range(0, len(labelled), _SEARCHED_TOGETHER):
        part = labelled[first : first + _SEARCHED_TOGETHER]
        for world, outcome in zip(part, search_worlds(policy.scorer, policy.settings, part, look=True), strict=True):
            assert outcome.seen is not None  # it was asked for
            met = np.array([world.met_by(row) for row in outcome.seen.rows.tolist()], np.int64)
            lists.append(RankedList(outcome.seen, met, len(world.gold), sources[id(world.index)]))
        if progress is not None:
            progress("looking at what was seen", len(lists), len(labelled))
    return lists


class _Network(nn.Module):
    """The ranker as torch has it: see :class:`Ranker`."""

    def __init__(self, mean: Tensor, scale: Tensor, messages: bool) -> None:
        super().__init__()
        inputs = (2 + (len(EDGES) if messages else 0)) * WIDTH
        self.mean, self.scale = nn.Buffer(mean), nn.Buffer(scale)
        self.messages = messages
        self.first = nn.Linear(len(SEEN_FEATURES), WIDTH)
        self.second = nn.Linear(inputs, WIDTH)
        self.dropout = nn.Dropout(DROPOUT)
        self.out = nn.Linear(WIDTH, 1, bias=False)
        self.prior = nn.Parameter(torch.ones(()))
        with torch.no_grad():  # at first the order is nearly hybrid's
            self.out.weight *= 0.1

    def forward(self, features: Tensor, present: Tensor, edges: Tensor) -> Tensor:
        """Return scores [b, n] of features [b, n, f], with edges [b, kinds, n, n]."""
        first = torch.relu(self.first((features - self.mean) / self.scale)) * present.unsqueeze(2)
        mean = first.sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1)
        parts = [first, mean.unsqueeze(1).expand_as(first)]
        if self.messages:
            parts += list(torch.einsum("bgst,btw->gbsw", edges, first))
        second = torch.relu(self.second(self.dropout(torch.cat(parts, dim=2))))
        scores: Tensor = self.out(second).squeeze(2) + self.prior * features[:, :, PRIOR]
        return scores

    def load(self, ranker: Ranker, number: int) -> None:
        """Take over the weights of one of a ranker's networks."""
        weights = {name: torch.tensor(array[number]) for name, array in ranker.weights.items()}
        with torch.no_grad():
            for linear, name in ((self.first, "first"), (self.second, "second")):
                linear.weight.copy_(weights[name].T)
                linear.bias.copy_(weights[f"{name}_bias"])
            self.out.weight.copy_(weights["out"].unsqueeze(0))
            self.prior.copy_(weights["prior"])

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the weights as :class:`Ranker` wants them."""
        tensors = {
            "mean": self.mean,
            "scale": self.scale,
            "first": self.first.weight.T,
            "first_bias": self.first.bias,
            "second": self.second.weight.T,
            "second_bias": self.second.bias,
            "out": self.out.weight[0],
            "prior": self.prior,
        }
        return {name: np.array(tensor.detach().numpy(), np.float32, order="C") for name, tensor in tensors.items()}


def fit_ranker(
    lists: Sequence[RankedList], steps: int, seed: int, messages: bool = True, start: Ranker | None = None
) -> Ranker:
    """Fit a ranker to lists, of which at least one must have a passage that meets a label.

    With ``start`` it goes from there, only as far as questions that it does not learn from say that it pays.

    Args:
        lists: of searches, by the policy that the ranker is for.
        steps: of the optimizer, at least; many lists get ``EPOCHS``.
        seed: of everything random.
        messages: pass messages between neighbours; without is the ablation.
        start: the ranker to adapt.

    Raises:
        ValueError: when no list has a passage that meets a label.
    """
    useful = [one for one in lists if (one.met >= 0).any()]
    if not useful:
        raise ValueError("no search has seen a passage that meets a label: there is nothing to rank by")
    if start is None:
        return _fitted(useful, steps, seed, messages, None)
    steps = round(ADAPTED * steps)
    strength = _strength(useful, steps, seed, start.first) if len(useful) >= 2 * FOLDS else 0.0
    if not strength:
        return start
    return _between(start, _fitted(useful, steps, seed, start.passes_messages, start), strength)


def _strength(lists: Sequence[RankedList], steps: int, seed: int, start: Ranker) -> float:
    """Return how far to go from a ranker: the least of ``STRENGTHS`` within a standard error of the best nDCG@10.

    Every list is ranked by a ranker that was fitted to the other folds.
    """
    fold = np.random.default_rng([seed, 5]).permutation(len(lists)) % FOLDS
    gains = np.zeros((len(STRENGTHS), len(lists)))
    for number in range(FOLDS):
        others = [one for one, k in zip(lists, fold, strict=True) if k != number]
        fitted = _fitted(others, steps, seed, start.passes_messages, start)
        for k, strength in enumerate(STRENGTHS):
            ranker = _between(start, fitted, strength)
            for place in np.flatnonzero(fold == number).tolist():
                gains[k, place] = lists[place].gain(np.argsort(-ranker.scores(lists[place].seen), kind="stable"))
    means = gains.mean(axis=1)
    best = int(means.argmax())
    error = (gains[best] - gains).std(axis=1) / np.sqrt(len(lists))
    good = np.flatnonzero(means >= means[best] - error)
    return STRENGTHS[int(good[0])]


def _between(start: Ranker, end: Ranker, strength: float) -> Ranker:
    """Return the ranker whose weights lie so far on the way between two (Wortsman et al. 2022, arXiv:2109.01903)."""
    weights = {name: array + strength * (end.weights[name] - array) for name, array in start.weights.items()}
    return Ranker(weights)


def _fitted(lists: Sequence[RankedList], steps: int, seed: int, messages: bool, start: Ranker | None) -> Ranker:
    """Fit as many networks as ``start`` has, or ``NETWORKS``, each with random numbers of its own."""
    networks = NETWORKS if start is None else start.networks
    each = [_fitted_network(lists, steps, [seed, 4, number], messages, start) for number in range(networks)]
    return Ranker({name: np.stack([weights[name] for weights in each]) for name in each[0]})


def _fitted_network(
    lists: Sequence[RankedList], steps: int, seed: Sequence[int], messages: bool, start: Ranker | None
) -> dict[str, NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    torch.manual_seed(int(generator.integers(2**31)))
    if start is None:
        compared = [one.seen.features for one in lists if one.seen.features[:, LATE].any()]
        everything = np.concatenate([one.seen.features for one in lists])
        mean = torch.from_numpy(everything.mean(axis=0))
        scale = torch.from_numpy(np.maximum(everything.std(axis=0), 0.05))
        if compared:
            pieces = np.concatenate(compared)[:, LATE]
            mean[LATE] = torch.from_numpy(pieces.mean(axis=0))
            scale[LATE] = torch.from_numpy(np.maximum(pieces.std(axis=0), 0.05))
    else:
        mean, scale = (torch.from_numpy(start.weights[name][seed[-1]].copy()) for name in ("mean", "scale"))
    network = _Network(mean, scale, messages)
    if start is not None:
        network.load(start, seed[-1])
    share = 1.0 if start is None else ADAPTED
    optimizer = torch.optim.AdamW(network.parameters(), lr=share * LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    sizes = Counter(one.source for one in lists)
    chances = np.array([sizes[one.source] ** -0.5 for one in lists])
    chances /= chances.sum()
    steps = max(steps, EPOCHS * len(lists) // LISTS_PER_STEP)
    network.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = share * LEARNING_RATE * (1 - step / steps)
        chosen = generator.choice(len(lists), LISTS_PER_STEP, p=chances)
        features, present, edges, right = _batch([lists[k] for k in chosen], mean.numpy(), messages)
        gone = torch.from_numpy(generator.random(len(features)) < HIDDEN)
        features[gone, :, LATE] = mean[LATE]
        scores = network(features, present, edges).masked_fill(present == 0, -1e9)
        others = scores.masked_fill(right > 0, -1e9).logsumexp(dim=1, keepdim=True)
        losses = nn.functional.softplus(others - scores) * right
        loss = (losses.sum(dim=1) / right.sum(dim=1)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval().weights()


def _batch(
    lists: Sequence[RankedList], mean: NDArray[np.float32], messages: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features [b, n, f], what is there [b, n], edges [b, kinds, n, n] and what meets a label [b, n]."""
    kept = [_longest(one) for one in lists]
    b, n = len(lists), max(len(rows) for rows in kept)
    features = np.zeros((b, n, len(SEEN_FEATURES)), np.float32)
    present, right = np.zeros((b, n), np.float32), np.zeros((b, n), np.float32)
    edges = np.zeros((b, len(EDGES), n, n) if messages else (b, 0, 0, 0), np.float32)
    for k, (one, rows) in enumerate(zip(lists, kept, strict=True)):
        features[k, : len(rows)] = without_pieces(one.seen.features, mean)[rows]
        present[k, : len(rows)] = 1
        right[k, : len(rows)] = one.met[rows] >= 0
        if messages:
            edges[k, :, : len(rows), : len(rows)] = one.seen.edges[:, rows][:, :, rows]
    return torch.from_numpy(features), torch.from_numpy(present), torch.from_numpy(edges), torch.from_numpy(right)


def _longest(one: RankedList) -> NDArray[np.int64]:
    """Return the places of a list that are learned from."""
    if len(one.met) <= LONGEST:
        return np.arange(len(one.met))
    prior = one.seen.features[:, PRIOR] + 1e3 * (one.met >= 0)
    return np.sort(np.argsort(-prior, kind="stable")[:LONGEST])

r"""The downstream loss of a retriever: how likely what it retrieves makes the answer; and a fusion trained by it.

The evidence S of a question is latent. With :math:`p(y \mid q, S)` known up to a factor for every set in reach, by the
answer standing in it and, where there is one, by a reader (:mod:`._evidence_sets`),

.. math::
    L = - \log \sum_S p(S \mid q) \, p(y \mid q, S), \qquad
    \log p(S \mid q) = \frac{1}{|S|} \sum_{i \in S} \log \frac{e^{s_i}}{e^{s_i} + \sum_{j \notin S} e^{s_j}},

the marginal likelihood of REALM (arXiv:2002.08909, eq. 1) and RAG over sets instead of single passages: a passage of
a set is retrieved from among what is not in the set, so that none has to beat another, and the mean keeps a set
from being less likely for being larger. The gradient weighs every set by its posterior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from ...agent.reader._protocol import Reader
from ...envs._world import QuestionWorld
from ...errors import QuestionsError
from ...index.index import Index
from ...retrievers.differentiable.learned_fusion import LearnedFusion, fusion_features
from ...retrievers.records import Query
from .._reader import ReaderJudge
from ._evidence_sets import evidence_sets, shared_posteriors

_HAIR = 1e-6
"""Least share of the total that is left outside a set: its logarithm must stay finite."""


@dataclass(frozen=True, slots=True)
class WeighedSets:
    """The sets that could be the evidence of a question.

    Attributes:
        rows: int64 [r], the passages in any of them, ascending.
        members: bool [s, r], which are in which.
        log_weights: float32 [s], log p(y | q, S) up to a constant.
    """

    rows: Tensor
    members: Tensor
    log_weights: Tensor

    @classmethod
    def of(cls, sets: Sequence[Sequence[int]], weights: NDArray[np.float64]) -> WeighedSets:
        """Build from the rows of every set, and how probable each makes the answer."""
        rows = sorted({row for rows in sets for row in rows})
        members = torch.tensor([[row in one for row in rows] for one in map(set, sets)])
        floored = np.maximum(weights, np.finfo(np.float32).tiny)
        return cls(torch.tensor(rows), members, torch.from_numpy(np.log(floored)).float())

    def best(self) -> list[int]:
        """Return the rows of the set with the greatest weight."""
        return self.rows[self.members[int(self.log_weights.argmax())]].tolist()

    def within(self, rows: NDArray[np.int64]) -> WeighedSets | None:
        """Return the sets that lie within ``rows``, ascending, with places there instead of rows; None for none."""
        known = torch.from_numpy(np.isin(self.rows.numpy(), rows))
        whole = ~(self.members & ~known).any(dim=1)
        if not whole.any():
            return None
        used = self.members[whole].any(dim=0)
        places = torch.from_numpy(np.searchsorted(rows, self.rows[used].numpy()))
        return WeighedSets(places, self.members[whole][:, used], self.log_weights[whole])


def evidence_likelihood(scores: Tensor, evidence: Sequence[WeighedSets]) -> Tensor:
    """Return the loss, the mean over questions, for logits ``scores`` [b, n] of all passages of the corpus."""
    totals = torch.logsumexp(scores, dim=1)
    losses = [
        -torch.logsumexp(log_set_probabilities(row, total, sets) + sets.log_weights.to(row), dim=0)
        for row, total, sets in zip(scores, totals, evidence, strict=True)
    ]
    return torch.stack(losses).mean()


def log_set_probabilities(scores: Tensor, total: Tensor, sets: WeighedSets) -> Tensor:
    """Return log p(S | q) of every set, [s], for logits ``scores`` [n] with their log-sum ``total``."""
    members = sets.members.to(scores.device)
    own = scores[sets.rows.to(scores.device)].unsqueeze(0)  # [1, r]
    inside = torch.logsumexp(own.masked_fill(~members, -torch.inf), dim=1)  # [s]
    outside = total + torch.log(-torch.expm1((inside - total).clamp(max=-_HAIR)))  # [s]
    log_probabilities = -softplus(outside.unsqueeze(1) - own)  # [s, r]
    return (log_probabilities * members).sum(dim=1) / members.sum(dim=1)


def weighed_sets(worlds: Sequence[QuestionWorld], reader: Reader | None = None) -> list[WeighedSets | None]:
    """Return the sets of every question, by its answer alone; None where no passage in reach holds the answer.

    Args:
        worlds: questions with answers; their labels are not looked at.
        reader: says how likely each set makes the answer; without one, holding it is all that counts.
    """
    sets = [evidence_sets(world) for world in worlds]
    if not any(sets):
        return [None] * len(worlds)
    likelihoods = []
    for world, candidates in zip(worlds, sets, strict=True):
        found = np.zeros(len(candidates))
        if reader is not None and candidates:
            found = ReaderJudge(reader, world).log_likelihoods([one.rows for one in candidates])
        likelihoods.append(found)
    weights = shared_posteriors(worlds, sets, likelihoods)
    return [
        WeighedSets.of([one.rows for one in candidates], weight) if candidates else None
        for candidates, weight in zip(sets, weights, strict=True)
    ]


DEPTH = 50
"""Passages of every ranking that are fused."""

FUSED = ("lexical", "dense")
EPOCHS = 15
RATE = 0.05
BATCH = 32


@dataclass(frozen=True, slots=True)
class FusionQuestion:
    """What the sub-indexes say of a question's candidates, float32 [n, features], and its evidence among them."""

    features: Tensor
    evidence: WeighedSets


T = TypeVar("T")


def fusion_question(index: Index, query: Query, evidence: WeighedSets) -> FusionQuestion | None:
    """Ask the sub-indexes; None when they do not find any of the sets whole."""
    rows, features = fusion_features([index.sub_indexes[name].search(query, DEPTH) for name in FUSED])
    within = evidence.within(rows)
    return None if within is None else FusionQuestion(torch.from_numpy(features), within)


def fit_fusion(
    questions: Sequence[FusionQuestion], held_out: Sequence[FusionQuestion], seed: int
) -> tuple[LearnedFusion, dict[str, float]]:
    """Learn the weights by the marginal likelihood of the answers; returns also the loss before and after, held out.

    Raises:
        QuestionsError: when no question's evidence is found.
    """

    def loss(fusion: LearnedFusion, question: FusionQuestion) -> Tensor:
        return evidence_likelihood(fusion(question.features).unsqueeze(0), [question.evidence])

    fusion = fitted(LearnedFusion(FUSED), questions, loss, np.random.default_rng([seed, 2**31 + 5]))
    figures = {}
    with torch.no_grad():
        for name, one in (("fusion_untuned_loss", LearnedFusion(FUSED)), ("fusion_loss", fusion)):
            if held_out:
                figures[name] = float(np.mean([loss(one, question).item() for question in held_out]))
    return fusion, figures


def fitted(
    fusion: LearnedFusion,
    questions: Sequence[T],
    loss: Callable[[LearnedFusion, T], Tensor],
    generator: np.random.Generator,
    epochs: int = EPOCHS,
) -> LearnedFusion:
    """Move the weights and the temperature of ``fusion`` by the mean loss of random batches; returns it.

    Raises:
        QuestionsError: when there is no question.
    """
    if not questions:
        raise QuestionsError(
            "the sub-indexes find the evidence of no question: there is nothing to learn a fusion from"
        )
    optimizer = torch.optim.Adam(fusion.parameters(), lr=RATE)
    steps = epochs * -(-len(questions) // BATCH)
    done = 0
    for _ in range(epochs):
        order = generator.permutation(len(questions))
        for first in range(0, len(order), BATCH):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (1 - done / steps)
            mean = torch.stack([loss(fusion, questions[k]) for k in order[first : first + BATCH]]).mean()
            optimizer.zero_grad()
            mean.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            done += 1
    return fusion

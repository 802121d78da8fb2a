"""Trains the weights of a fusion over the rankings of sub-indexes, by labels or by a downstream loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ...errors import QuestionsError
from ...index.index import Index
from ...retrievers.differentiable.learned_fusion import LearnedFusion, fusion_features
from ...retrievers.records import Query
from .evidence_likelihood import WeighedSets, evidence_likelihood

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

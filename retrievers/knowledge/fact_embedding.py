r"""Learns vectors of entities and relations from facts: ComplEx with reciprocal relations and the N3 regulariser.

.. math::
    \phi(h, r, t) = \mathrm{Re} \sum_k h_k r_k \bar t_k, \qquad
    L = -\log \frac{e^{\phi(h, r, t)}}{\sum_{t'} e^{\phi(h, r, t')}}
        + \lambda \sum_k |h_k|^3 + |r_k|^3 + |t_k|^3

(Trouillon et al. 2016, arXiv:1606.06357, eq. 9; Lacroix et al. 2018, arXiv:1806.07297, eq. 4 and section 4.)

A policy must learn how far these vectors are to be trusted, and on the facts that they were made from they are
always right. So they are made several times (cross-fitting): once from all facts, for whoever asks, and once for
every fold without the facts of that fold, for questions that train a policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..protocols import Progress
from ..records import Vectors
from .facts import Facts

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """How the vectors are learned; chosen on UMLS and Kinship by training facts held out.

    Attributes:
        rank: complex numbers to a vector.
        folds: for cross-fitting.
        epochs, batch, learning_rate: of Adagrad.
        regulariser: weight of N3, lambda.
    """

    rank: int = 64
    folds: int = 4
    epochs: int = 15
    batch: int = 256
    learning_rate: float = 0.1
    regulariser: float = 3e-3


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors of one training: entities float32 [N, 2 rank], kinds of edges float32 [2 R, 2 rank].

    The first half of a vector holds the real parts, the second the imaginary ones.
    """

    entities: Vectors
    kinds: Vectors


def folds_of(facts: Facts, folds: int) -> NDArray[np.int64]:
    """Return the fold of every fact, int64 [m], drawn at random but always alike."""
    return np.random.default_rng(len(facts)).permutation(len(facts)) % folds


def embed_facts(facts: Facts, settings: EmbeddingSettings, progress: Progress | None = None) -> list[Embedding]:
    """Learn vectors from all facts, then for each fold without its facts."""
    fold = folds_of(facts, settings.folds)
    parts = [np.ones(len(facts), np.bool_), *(fold != k for k in range(settings.folds))]
    embeddings = []
    for number, part in enumerate(parts):
        if progress is not None:
            progress("learning vectors of entities", number, len(parts))
        embeddings.append(_embed(facts, part, settings, number))
    if progress is not None:
        progress("learning vectors of entities", len(parts), len(parts))
    return embeddings


def _embed(facts: Facts, part: NDArray[np.bool_], settings: EmbeddingSettings, seed: int) -> Embedding:
    """Learn from the facts of ``part``, read either way."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    heads, kinds, tails = facts.heads[part], facts.kinds[part], facts.tails[part]
    edges = torch.from_numpy(
        np.stack(
            (
                np.concatenate((heads, tails)),
                np.concatenate((kinds, kinds + len(facts.relations))),
                np.concatenate((tails, heads)),
            ),
            axis=1,
        )
    )  # [2 m, 3]
    size = 2 * settings.rank
    entities = (torch.randn(len(facts.entities), size, generator=generator) * 0.1).requires_grad_()
    relations = (torch.randn(facts.kind_count, size, generator=generator) * 0.1).requires_grad_()
    optimizer = torch.optim.Adagrad([entities, relations], lr=settings.learning_rate)
    for _ in range(settings.epochs):
        for batch in torch.split(torch.randperm(len(edges), generator=generator), settings.batch):
            head, kind, tail = edges[batch].T
            h, r, t = entities[head], relations[kind], entities[tail]  # [b, 2 rank]
            loss = torch.nn.functional.cross_entropy(product(h, r) @ entities.T, tail)
            loss = loss + settings.regulariser * (_n3(h) + _n3(r) + _n3(t)) / len(batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return Embedding(entities.detach().numpy(), relations.detach().numpy())


def product(heads: Tensor, kinds: Tensor) -> Tensor:
    """Return the vectors whose inner products with entities are their scores, [b, 2 rank]: h times r, complex."""
    import torch

    half = heads.shape[1] // 2
    a, b, c, d = heads[:, :half], heads[:, half:], kinds[:, :half], kinds[:, half:]
    return torch.cat((a * c - b * d, a * d + b * c), dim=1)


def _n3(vectors: Tensor) -> Tensor:
    half = vectors.shape[1] // 2
    return (vectors[:, :half] ** 2 + vectors[:, half:] ** 2 + 1e-12).pow(1.5).sum()

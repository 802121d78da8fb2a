r"""The encoder of a knowledge graph: queries ``HEAD relation`` and entities in one space, as MiniLM does for texts.

The vectors of entities and relations are ComplEx's, with reciprocal relations and the N3 regulariser.

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

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError
from .._atomic_file import load_arrays
from ..protocols import Progress
from ..records import Vectors
from ._facts import FactQuery, Facts

if TYPE_CHECKING:
    from torch import Tensor

_FILE = "encoder.safetensors"
_CODE = 0.5
"""Length of the part of a query's vector that names the kind of edge it asks for."""


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """How the vectors are learned by Adagrad; chosen on UMLS and Kinship by training facts held out.

    The rank counts complex numbers; the folds are those of cross-fitting, the regulariser is the weight of N3.
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
        embeddings.append(_embed(facts, part, settings, number))
        if progress is not None:
            progress("learning vectors of entities", number + 1, len(parts))
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


class FactEncoder:
    r"""Unit vectors of queries and entities whose inner product is ComplEx's score, but for one constant factor.

    A vector is a row of blocks, ``[block of all facts | block of fold 1 | ... | padding of entities | padding of
    queries | kind]``. An entity has its vector of every training in the block of that training. A query has
    ``h r`` in one block: the first, or, when it trains a policy, that of the fold in which the fact it asks for was
    hidden. The paddings bring both to length 1 without touching their inner product (as in the reduction of inner
    products to cosines by Bachrach et al. 2014). The last part is a one-hot code of the kind of edge that is asked.

    Fulfils ``Encoder``; texts are queries.
    """

    def __init__(self, facts: Facts, heads: Vectors, kinds: Vectors, longest: NDArray[np.float32], folds: int) -> None:
        self._facts = facts
        self._heads = heads
        self._kinds = kinds
        self._longest = longest
        self._folds = folds
        self._block = heads.shape[1] // (folds + 1)
        self._fold = folds_of(facts, folds)
        self.dimension = heads.shape[1] + 2 + facts.kind_count
        digest = blake2b(digest_size=6)
        for array in (facts.heads, facts.kinds, facts.tails, heads, kinds):
            digest.update(np.ascontiguousarray(array).tobytes())
        self.name = f"facts-complex@{digest.hexdigest()}"

    @property
    def scale(self) -> float:
        """What an inner product of a query and an entity is multiplied by to be ComplEx's score."""
        return float(self._longest[0] * self._longest[1]) / float(np.sqrt(1 - _CODE**2))

    @classmethod
    def learn(cls, facts: Facts, settings: EmbeddingSettings, progress: Progress | None = None) -> FactEncoder:
        """Learn the vectors from the facts."""
        embeddings = embed_facts(facts, settings, progress)
        heads = np.concatenate([embedding.entities for embedding in embeddings], axis=1)
        kinds = np.concatenate([embedding.kinds for embedding in embeddings], axis=1)
        longest = np.array([_longest_query(embeddings), np.linalg.norm(heads, axis=1).max()], np.float32)
        return cls(facts, heads, kinds, np.maximum(longest, 1e-6), settings.folds)

    def entity_vectors(self) -> Vectors:
        """Return the vectors of all entities, float32 [N, dimension], in row order."""
        vectors = np.zeros((len(self._heads), self.dimension), np.float32)
        size = self._heads.shape[1]
        vectors[:, :size] = self._heads / (self._longest[1] * 1.000001)
        vectors[:, size] = np.sqrt(np.maximum(1 - (vectors[:, :size] ** 2).sum(axis=1), 0))
        return vectors

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Encode queries ``HEAD relation``, float32 [n, dimension], with the vectors of all facts."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for number, text in enumerate(texts):
            vectors[number] = self.query_vector(self._facts.parse(text))
        return vectors

    def query_vector(self, query: FactQuery, hidden: int | None = None) -> Vectors:
        """Return the vector of a query [dimension]; it knows nothing of the fact whose number is ``hidden``."""
        place = 0 if hidden is None else 1 + int(self._fold[hidden])
        block = slice(place * self._block, (place + 1) * self._block)
        half = self._block // 2
        head = self._heads[query.head, block].view(np.float32)
        kind = self._kinds[query.kind, block]
        asked = (head[:half] + 1j * head[half:]) * (kind[:half] + 1j * kind[half:])
        vector = np.zeros(self.dimension, np.float32)
        vector[block] = np.concatenate((asked.real, asked.imag)) * (np.sqrt(1 - _CODE**2) / self._longest[0])
        size = self._heads.shape[1]
        vector[size + 2 + query.kind] = _CODE
        vector[size + 1] = np.sqrt(max(1 - float((vector**2).sum()), 0))
        return vector

    def save(self, folder: Path) -> None:
        """Write the vectors to ``folder``, which is there."""
        from safetensors.numpy import save_file

        arrays = {"heads": self._heads, "kinds": self._kinds, "longest": self._longest}
        save_file({**arrays, "folds": np.array([self._folds], np.int64)}, str(folder / _FILE))

    @classmethod
    def load(cls, folder: Path, facts: Facts) -> FactEncoder:
        """Read what :meth:`save` wrote."""
        arrays = load_arrays(folder / _FILE)
        try:
            heads, kinds = arrays["heads"], arrays["kinds"]
            folds = int(arrays["folds"].astype(np.int64)[0])
            fits = (
                len(heads) == len(facts.entities)
                and len(kinds) == facts.kind_count
                and heads.shape[1:] == kinds.shape[1:]
                and folds > 0
                and heads.shape[1] % (2 * (folds + 1)) == 0
                and arrays["longest"].shape == (2,)
            )
        except (KeyError, IndexError, TypeError) as error:
            raise DamagedIndexError(f"{folder / _FILE} lacks an array ({error}): build the index again") from error
        if not fits:
            raise DamagedIndexError(f"{folder / _FILE} belongs to other facts: build the index again")
        return cls(facts, heads, kinds, arrays["longest"].astype(np.float32), folds)


def _longest_query(embeddings: Sequence[Embedding]) -> float:
    """Bound the length of ``h r``: the square of |h_k r_k| summed, over every pair, one kind at a time."""
    longest = 0.0
    for embedding in embeddings:
        half = embedding.entities.shape[1] // 2
        heads = embedding.entities[:, :half] ** 2 + embedding.entities[:, half:] ** 2  # [N, rank]
        kinds = embedding.kinds[:, :half] ** 2 + embedding.kinds[:, half:] ** 2  # [2 R, rank]
        longest = max(longest, float((heads @ kinds.T).max()))
    return float(longest**0.5)

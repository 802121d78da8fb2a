"""Incremental retraining: a router learns of new passages without forgetting the old ones."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from ...retrievers.records import Rows, Vectors
from ...retrievers.router.clues import Corpus
from ...retrievers.router.docids import NONE, DocidTree
from ...retrievers.router.router import Networks, Router
from ...retrievers.router.shards import Partition
from .examples import Examples, joined
from .training import RouterTraining, train_decoder, train_shards


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """How a router is refreshed.

    Attributes:
        replay: old pairs that are trained on again, for each new pair.
        distillation: weight of the distance to the former decoder's query vectors.
        training: of the networks.
    """

    replay: float = 1.0
    distillation: float = 1.0
    training: RouterTraining = field(default_factory=lambda: RouterTraining(decoder_epochs=2, shard_epochs=10))


def carried_over(partition: Partition, tree: DocidTree, place: Rows, vectors: Vectors) -> tuple[Partition, DocidTree]:
    """Return shards and docids of a corpus that was changed and built anew; passages that stayed keep theirs.

    Args:
        partition, tree: of the former corpus.
        place: int64 [former rows], the new row of each passage, NONE for one that is gone.
        vectors: float32 [N, d], of the new corpus; those of new passages say where they belong.

    Raises:
        ValueError: when every docid is taken: tune the router again.
    """
    new = np.setdiff1d(np.arange(len(vectors)), place)
    shard = np.concatenate([place, new])
    grown = partition.with_added(vectors[new])
    there = shard != NONE
    shards = np.zeros(len(vectors), np.int64)
    shards[shard[there]] = grown.shard[there]
    with_new = tree.without(np.flatnonzero(place == NONE)).with_added(vectors[new])
    return replace(grown, shard=shards), with_new.renumbered(shard, len(vectors))


def refresh(
    router: Router, corpus: Corpus, new: Examples, old: Examples, settings: RefreshSettings, seed: int
) -> Router:
    """Return a router of the grown corpus that has learned new pairs; the given router does not change.

    Until then the new passages are reached all the same: they have docids and shards by their vectors, and the explicit
    sub-indexes hold them. Training replays a sample of the old pairs (experience replay, Rolnick et al. 2019,
    arXiv:1811.11682; DSI++, Mehta et al. 2022, arXiv:2212.09744) and holds the decoder near its former self.

    Args:
        router: the former one.
        corpus: the old passages, in the old order, and the new ones after them.
        new: pairs of the new passages, with clues of ``corpus``.
        old: pairs that the router was trained on, with clues of ``corpus``; a sample is drawn.
        settings: how.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    count = min(round(settings.replay * len(new)), len(old))
    sample = old.take(np.sort(rng.permutation(len(old))[:count]))
    examples = joined(new, sample)
    networks = Networks(
        deepcopy(router.networks.shards),
        deepcopy(router.networks.decoder),
        router.networks.plan,
        router.networks.choices,
    )
    grown = Router(corpus, router.partition, router.tree, networks, router.temperatures)
    training = replace(settings.training, distillation=settings.distillation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        train_shards(networks.shards, grown.statistics, grown.partition, examples, training, rng)
        train_decoder(networks.decoder, [(grown.view, examples)], training, rng, router.networks.decoder)
    return grown

"""What a router learns from: queries' clues, the passages they should lead to, and what each is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...retrievers.protocols import Encoder, Progress
from ...retrievers.records import Query, Rows, Vectors
from ...retrievers.router.clues import Clues, Corpus, clues_of
from ...retrievers.router.docids import NONE
from .docid_pairs import TrainingPair

MADE_WEIGHT = 0.3
"""What a made pair counts for beside a person's question."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Training examples.

    Attributes:
        queries: texts with vectors.
        clues: of each of n queries.
        wanted: int64 [n, g], rows, NONE for none.
        rewards: float32 [n, g], what leading to each is worth; 0 for none.
        in_shards: float32 [n, g], what it is worth to search the shard of each: the same, or what a policy's searches
            earned by finding it there. All 0 for a query that needs no shard.
        weights: float32 [n], what each query counts for.
        labelled: bool [n], whether people asked it.
    """

    queries: list[Query]
    clues: list[Clues]
    wanted: NDArray[np.int64]
    rewards: NDArray[np.float32]
    in_shards: NDArray[np.float32]
    weights: NDArray[np.float32]
    labelled: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.clues)

    def take(self, places: NDArray[np.int64] | Sequence[int]) -> Examples:
        """Return the examples at ``places``."""
        where = np.asarray(places, np.int64)
        return Examples(
            [self.queries[place] for place in where],
            [self.clues[place] for place in where],
            self.wanted[where],
            self.rewards[where],
            self.in_shards[where],
            self.weights[where],
            self.labelled[where],
        )

    def parted(self, share: float, rng: np.random.Generator) -> tuple[Examples, Examples]:
        """Return the examples without a held-out share, and that share: of people's questions where there are two.

        At least one is held out, and one is left, where there are two.
        """
        pool = np.flatnonzero(self.labelled) if self.labelled.sum() > 1 else np.arange(len(self))
        count = min(max(1, round(share * len(pool))), len(pool) - 1)
        held_out = np.sort(rng.permutation(pool)[:count])
        return self.take(np.setdiff1d(np.arange(len(self)), held_out)), self.take(held_out)

    def within(self, rows: Rows) -> NDArray[np.int64]:
        """Return the places of the examples all of whose wanted rows are among ``rows``."""
        inside = np.isin(self.wanted, rows) | (self.wanted == NONE)
        return np.flatnonzero(inside.all(axis=1))


def examples_of(
    pairs: Sequence[TrainingPair],
    vectors: Vectors,
    corpus: Corpus,
    rewards: Sequence[Sequence[float]] | None = None,
    in_shards: Sequence[Sequence[float]] | None = None,
) -> Examples:
    """Gather the clues of training pairs.

    Args:
        pairs: n of them.
        vectors: float32 [n, d], of their queries.
        corpus: what they are asked of.
        rewards: what each row of each pair is worth, above 0; 1 when None.
        in_shards: what it is worth to search the shard of each row, 0 or more; the rewards when None.

    Raises:
        ValueError: when there are no pairs, or the numbers differ.
    """
    if not pairs or len(pairs) != len(vectors):
        raise ValueError(f"{len(pairs)} training pairs with {len(vectors)} vectors: give at least one, one of each")
    width = max(len(pair.rows) for pair in pairs)
    wanted = np.full((len(pairs), width), NONE, np.int64)
    worth, there = (np.zeros((len(pairs), width), np.float32) for _ in range(2))
    for place, pair in enumerate(pairs):
        wanted[place, : len(pair.rows)] = pair.rows
        worth[place, : len(pair.rows)] = 1 if rewards is None else rewards[place]
        there[place, : len(pair.rows)] = worth[place, : len(pair.rows)] if in_shards is None else in_shards[place]
    queries = [Query(pair.query, vector) for pair, vector in zip(pairs, vectors, strict=True)]
    labelled = np.array([pair.kind == "labelled" for pair in pairs])
    weights = np.where(labelled, 1, MADE_WEIGHT).astype(np.float32)
    return Examples(queries, [clues_of(query, corpus) for query in queries], wanted, worth, there, weights, labelled)


def encoded(pairs: Sequence[TrainingPair], encoder: Encoder, progress: Progress | None = None) -> Vectors:
    """Return the vectors of the pairs' queries."""

    def relabelled(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress("encoding training queries", done, total)

    return encoder.encode([pair.query for pair in pairs], relabelled)


def joined(first: Examples, second: Examples) -> Examples:
    """Return both one after the other."""
    width = max(first.wanted.shape[1], second.wanted.shape[1])

    def wide(values: NDArray[np.int64], fill: int) -> NDArray[np.int64]:
        return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=fill)

    def wide_rewards(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.pad(values, ((0, 0), (0, width - values.shape[1])))

    return Examples(
        first.queries + second.queries,
        first.clues + second.clues,
        np.concatenate([wide(first.wanted, NONE), wide(second.wanted, NONE)]),
        np.concatenate([wide_rewards(first.rewards), wide_rewards(second.rewards)]),
        np.concatenate([wide_rewards(first.in_shards), wide_rewards(second.in_shards)]),
        np.concatenate([first.weights, second.weights]),
        np.concatenate([first.labelled, second.labelled]),
    )


def local_examples(examples: Examples, rows: Rows, corpus: Corpus) -> Examples | None:
    """Return the examples with a wanted passage among ``rows`` (ascending) as the part sees them; None for none.

    Of a question with passages in several parts, each part learns about its own passages only.
    """
    place = np.searchsorted(rows, np.maximum(examples.wanted, 0))
    inside = (examples.wanted != NONE) & (rows[np.minimum(place, len(rows) - 1)] == examples.wanted)
    mine = np.flatnonzero(inside.any(axis=1))
    if not len(mine):
        return None
    taken = examples.take(mine)
    return Examples(
        taken.queries,
        [clues_of(query, corpus) for query in taken.queries],
        np.where(inside[mine], place[mine], NONE),
        np.where(inside[mine], taken.rewards, 0).astype(np.float32),
        np.where(inside[mine], taken.in_shards, 0).astype(np.float32),
        taken.weights,
        taken.labelled,
    )

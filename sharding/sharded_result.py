"""What a search over shards hands over."""

from __future__ import annotations

from dataclasses import dataclass

from ..retrievers.records import Passage


@dataclass(frozen=True)
class ShardedPassage:
    """A passage that a search over shards found.

    Attributes:
        rank: from 1.
        passage: with its text, title and source.
        score: of the system that ranked it; higher is better.
        shard: where it is.
    """

    rank: int
    passage: Passage
    score: float
    shard: str


@dataclass(frozen=True)
class ShardedResult:
    """The answer to a search over shards.

    Attributes:
        question: as it was asked.
        passages: best first.
        system: that ranked them.
        unreachable: shards that did not answer, whose passages are not among these; empty where all did.
    """

    question: str
    passages: tuple[ShardedPassage, ...]
    system: str
    unreachable: tuple[str, ...]

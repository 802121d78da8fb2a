"""Which shards are asked what they find: those that probably hold it, by what is known before a passage is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from ..errors import ShardError
from ..retrievers.records import Rows, Vectors
from ..retrievers.router._clues import named_by
from ..retrievers.router._shard_judge import KnownOfShards, ShardJudge
from ..retrievers.words._terms import hashes_of
from ..retrievers.words._titles import EntityIndex
from ._messages import KnownWords, QuestionWords, shards_of
from ._regions import Regions


@dataclass(frozen=True)
class Choosing:
    """How many shards are asked: the most probable ones up to a share of all, or until they hold a mass.

    Attributes:
        share: of the shards, rounded up; 1 for all.
        mass: of the probability; 1 for all.

    Raises:
        ShardError: when one of them is not above 0 and at most 1.
    """

    share: float = 1.0
    mass: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what chooses none."""
        for name, value in (("share", self.share), ("mass", self.mass)):
            if not 0 < value <= 1:
                raise ShardError(f"a {name} of {value} of the shards cannot be asked: give more than 0, at most 1")

    @property
    def all(self) -> bool:
        """Whether none is left out."""
        return self.share == self.mass == 1

    def chosen(self, probabilities: Vectors) -> Rows:
        """Return the shards by their probabilities [S], int64 [k], most probable first."""
        order = np.argsort(-probabilities, kind="stable")
        enough = int((np.cumsum(probabilities[order]) < self.mass).sum()) + 1 if self.mass < 1 else len(order)
        return order[: min(enough, ceil(self.share * len(order) - 1e-9))]


def known_of(
    asked: QuestionWords, known: Mapping[int, KnownWords], passages: Mapping[int, int], text: str, entity: EntityIndex
) -> KnownOfShards:
    """Gather what shards know of the words of a question.

    Args:
        asked: its words.
        known: of them, by the number of the shard.
        passages: of every shard.
        text: of the question.
        entity: finds the titles that it names, in all shards.
    """
    numbers = list(known)
    counts = np.stack([known[number].hashes for number in numbers], axis=1).astype(np.float32)
    in_titles = np.zeros_like(counts)
    titles = [place for place, (field, _) in enumerate(asked.words) if field == "title"]
    place_of = {value: place for place, value in enumerate(asked.hashes.tolist())}
    for place, value in zip(titles, hashes_of(asked.words[one][1] for one in titles).tolist(), strict=True):
        if value in place_of:
            in_titles[place_of[value]] = [known[number].words[place] for number in numbers]
    rows, specificity = named_by(text, entity)
    where = np.array([numbers.index(number) for number in shards_of(rows).tolist()], np.int64)
    sizes = np.array([passages[number] for number in numbers], np.float32)
    return KnownOfShards(sizes, counts, in_titles, where, specificity)


@dataclass(frozen=True)
class Routing:
    """Chooses shards for queries.

    Attributes:
        regions: of all shards.
        judge: says how probable each is.
        choosing: how many.
        encode: returns the vector of a text, where a search has none.
    """

    regions: Regions
    judge: ShardJudge
    choosing: Choosing
    encode: Callable[[str], Vectors]

    def chosen(self, numbers: Sequence[int], known: KnownOfShards, text: str, vector: Vectors | None) -> list[int]:
        """Return which of the shards ``numbers``, of which that is known, are asked for a query."""
        vector = self.encode(text) if vector is None else vector
        clues = known.clues(self.regions.centroids[list(numbers)], vector)
        return sorted(numbers[place] for place in self.choosing.chosen(self.judge.probabilities(clues)).tolist())

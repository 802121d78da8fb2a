"""One ranking out of the lists of all shards."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..retrievers._fusion import reciprocal_rank_fusion
from ..retrievers.records import Hits, Rows
from ._shard_server import ShardAnswer

_LAST_DIGITS = 1e-6
"""Share of a score that its last digits are: scores are computed in float32."""


class Merger:
    """The answers of all shards. Equal scores are in the order of document ids, and of places in a document.

    A number of each passage, in that order, stands for it in the merged lists. So a ranking does not depend on how
    many shards there are: every document is in one of them, whose rows are in the order of its places.
    """

    def __init__(self, answers: Mapping[str, ShardAnswer]) -> None:
        self._answers = answers
        found = [
            (document, row, name) for name, answer in answers.items() for row, document in answer.documents.items()
        ]
        self._places = [(name, row) for _, row, name in sorted(found)]
        self._number = {place: number for number, place in enumerate(self._places)}

    def merged(self, kind: str, limit: int) -> Hits:
        """Return the best passages of one list of all shards, by their numbers."""
        numbers, scores = [], [np.zeros(0, np.float32)]
        for name, answer in self._answers.items():
            if kind in answer.lists:
                hits = answer.lists[kind]
                numbers += [self._number[name, row] for row in hits.rows.tolist()]
                scores.append(hits.scores)
        rows, of_all = np.array(numbers, np.int64), np.concatenate(scores)
        order = _order(rows, of_all)[:limit]
        return Hits(rows[order], of_all[order])

    def fused(self, limit: int, wide: int) -> Hits:
        """Fuse words, vectors and identifiers, as the fixed system *hybrid* does."""
        by_words, by_vector = self.merged("lexical", wide), self.merged("dense", wide)
        known = set(self.merged("identified", len(self._places)).rows.tolist())
        first = [row for row in by_words.rows.tolist() if row in known]
        named = np.array([*first, *sorted(known.difference(first))], np.int64)
        identified = Hits(named, np.ones(len(named), np.float32))
        return reciprocal_rank_fusion([by_words, by_vector, identified], limit)

    def places(self, hits: Hits) -> list[tuple[str, int]]:
        """Return the shards and rows that merged hits stand for."""
        return [self._places[number] for number in hits.rows.tolist()]


def _order(rows: Rows, scores: NDArray[np.float32]) -> Rows:
    """Return the order of merged hits: by score, and by number where scores differ by their last digits alone.

    Those depend on which shard computed a score.
    """
    best = np.argsort(-scores, kind="stable")
    fall = -np.diff(scores[best].astype(np.float64))
    level = np.cumsum(np.concatenate([[False], fall > _LAST_DIGITS * np.abs(scores[best[1:]])])) if len(best) else best
    return best[np.lexsort((rows[best], level))]

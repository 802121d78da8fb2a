"""The entity sub-index: passages whose title the query names."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np

from ..records import Hits, Query
from .titles import TitleMatcher, TitleMention


class EntityIndex:
    """Finds passages whose title (or an alias of it) stands in the query; fulfils ``SubIndex``.

    Longer, more exact and less ambiguous mentions come first. A passage's score is the length in characters of its
    best mention, times 1 for the exact title, 0.8 for a title without its parenthesis, 0.5 for an alias, divided by
    the square root of the number of passages that the mention fits.

    Args:
        titles: the title of every passage, "" for none, in row order.
        document_ids: the document of every passage; without them every passage counts as a document.
        matcher: a matcher over the same titles, to share its tables.
    """

    name = "entity"

    def __init__(
        self,
        titles: Sequence[str],
        document_ids: Sequence[str] | None = None,
        matcher: TitleMatcher | None = None,
    ) -> None:
        self.matcher = matcher if matcher is not None else TitleMatcher(titles, document_ids)

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages whose title the query names, most specific first, ties by row."""
        scores: dict[int, float] = {}
        for mention in self.matcher.find_in_question(query.text):
            score = _specificity(mention)
            for row in mention.rows:
                scores[row] = max(score, scores.get(row, 0.0))
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[: max(limit, 0)]
        rows = np.array([row for row, _ in best], np.int64)
        return Hits(rows, np.array([score for _, score in best], np.float32))


def _specificity(mention: TitleMention) -> float:
    trust = 0.5 if mention.kind == "alias" else 1.0 if mention.exact else 0.8
    return trust * (mention.end - mention.start) / sqrt(len(mention.rows))

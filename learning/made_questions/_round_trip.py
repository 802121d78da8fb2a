"""Which made questions a search can answer: it finds what they were made of, and nothing answers them as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...index.index import Index
from ...retrievers._fusion import reciprocal_rank_fusion
from ...retrievers.records import Query, Rows, Vectors
from ...retrievers.words._terms import among, term_hashes

DEPTH = 50
"""Passages that each sub-index ranks before fusion."""

WITHIN = 20
"""Rank that hybrid search must find the passage of a question about one at."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What searches find for a question, best first, int64 [``DEPTH`` at most] each."""

    text: str
    lexical: Rows
    dense: Rows
    hybrid: Rows

    @classmethod
    def of(cls, index: Index, text: str, vector: Vectors) -> Finding:
        """Ask the sub-indexes."""
        query = Query(text, vector)
        rankings = [index.lexical.search(query, DEPTH), index.dense.search(query, DEPTH)]
        return cls(text, rankings[0].rows, rankings[1].rows, reciprocal_rank_fusion(rankings, DEPTH).rows)


def place(ranking: Rows, row: int) -> int:
    """Return the rank of a passage, from 0; ``DEPTH`` where it is not there."""
    found = np.flatnonzero(ranking == row)
    return int(found[0]) if len(found) else DEPTH


def one_answers(index: Index, finding: Finding, row: int, exact: bool) -> bool:
    """Return whether a passage is found, by its meaning too unless ``exact``, and none before it answers as well.

    One does that has all words that the passage has of the question, and that both sub-indexes put before it.
    """
    first = place(finding.hybrid, row)
    if first >= WITHIN or not (exact or place(finding.dense, row) < DEPTH):
        return False
    asked = term_hashes(finding.text)
    own = asked[among(asked, index.terms.terms(row))]
    ranks = [place(ranking, row) for ranking in (finding.lexical, finding.dense)]
    for other in finding.hybrid[:first].tolist():
        before = place(finding.lexical, other) < ranks[0] and place(finding.dense, other) < ranks[1]
        if before and among(own, index.terms.terms(other)).all():
            return False
    return bool(len(own))


def best_places(finding: Finding, rows: Sequence[int]) -> tuple[int, int]:
    """Return the best rank of the passages by words and by meaning, from 0."""
    by_words, by_meaning = (min(place(ranking, row) for row in rows) for ranking in (finding.lexical, finding.dense))
    return by_words, by_meaning


def all_are_needed(index: Index, finding: Finding, rows: Sequence[int]) -> bool:
    """Return whether all passages are found, one of them early, and each has words of it that no other has."""
    places = [place(finding.hybrid, row) for row in rows]
    if max(places) >= DEPTH or min(places) >= WITHIN:
        return False
    asked = term_hashes(finding.text)
    has = np.array([among(asked, index.terms.terms(row)) for row in rows])
    alone = has & (has.sum(axis=0) == 1)
    wanted = asked[has.any(axis=0)]
    others = (row for row in finding.hybrid[:WITHIN].tolist() if row not in rows)
    in_one = any(among(wanted, index.terms.terms(row)).all() for row in others)
    return bool((alone.sum(axis=1) >= 2).all()) and not in_one


def any_is_found(finding: Finding, rows: Sequence[int]) -> bool:
    """Return whether at least one passage of a path is found, so that a search can begin there."""
    return bool(np.isin(finding.hybrid[:WITHIN], rows).any())

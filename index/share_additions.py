"""Which passages an added one shares rare names and phrases with, by the lexical index in place of all postings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import log1p

import numpy as np

from ..graph.linking import LEAST_FREQUENCY, STRONGEST, frequency_cap, phrase_hash, phrases_of
from ..retrievers.changing.changes import Share
from ..retrievers.protocols import Progress
from ..retrievers.words.terms import TermHashes, analyse
from .parts import LiveParts

_BETWEEN = 2
"""Stop words that may stand between the two terms of a pair, when the base is asked for it."""

_HARDLY_RARE = 4
"""A pair that chance alone would put into this many times the cap is not asked for."""


class ShareAdditions:
    """Terms and phrases of added passages, each with the rows that have it; only ever grows."""

    def __init__(self) -> None:
        self._rows: dict[tuple[bool, int], list[int]] = {}

    def add(self, row: int, text: str, terms: TermHashes) -> None:
        """Add the next passage: its text, and the terms of title and text."""
        for phrase in set(map(phrase_hash, phrases_of(text))):
            self._rows.setdefault((True, phrase), []).append(row)
        for term in terms.tolist():
            self._rows.setdefault((False, term), []).append(row)

    def with_phrase(self, phrase: str) -> Sequence[int]:
        """Return the added rows whose text has a phrase."""
        return self._rows.get((True, phrase_hash(phrase)), ())

    def with_term(self, term: int) -> Sequence[int]:
        """Return the added rows that have a term."""
        return self._rows.get((False, term), ())


def shares_of(parts: LiveParts, additions: ShareAdditions, new: range, progress: Progress | None = None) -> list[Share]:
    """Return the links of new passages over rare names and phrases: see :func:`share_edges`.

    A passage asks for the strongest, and older ones ask for it where it is among theirs.
    """
    found: dict[tuple[int, int], float] = {}
    for row in new:
        weights = _weights(parts, additions, row)
        order = sorted(weights, key=lambda other: (-weights[other], other))
        for place, other in enumerate(order):
            if place < STRONGEST or (other < new.start and _asks(parts, other, weights[other])):
                found[min(row, other), max(row, other)] = weights[other]
        if progress is not None:
            progress("linking shared phrases", row - new.start + 1, len(new))
    return [(low, high, weight) for (low, high), weight in sorted(found.items())]


def _asks(parts: LiveParts, row: int, weight: float) -> bool:
    """Return whether a link of this weight would be among the strongest of an older passage."""
    strongest = parts.graph.share_weights(row)
    return len(strongest) < STRONGEST or weight > float(strongest[STRONGEST - 1])


def _weights(parts: LiveParts, additions: ShareAdditions, row: int) -> dict[int, float]:
    """Return the summed idf of what each passage shares with the one at ``row``."""
    passage = parts.store.passage(row)
    passages = len(parts.store)
    cap = frequency_cap(passages)
    weights: defaultdict[int, float] = defaultdict(float)

    def count(rows: set[int]) -> None:
        rows.add(row)
        if LEAST_FREQUENCY <= len(rows) <= cap:
            idf = log1p((passages - len(rows) + 0.5) / (len(rows) + 0.5))
            for other in rows:
                weights[other] += idf

    for stem, term in _terms(f"{passage.title}\n{passage.text}"):
        frequency = int(parts.terms.document_frequency(term)[0])
        if LEAST_FREQUENCY <= frequency <= cap:
            added = _alive(parts, additions.with_term(int(term[0])))
            base = _with_term(parts, stem, int(term[0]), cap) if frequency > len(added) else []
            count({*added, *base})
    for phrase in phrases_of(passage.text):
        added = _alive(parts, additions.with_phrase(phrase))
        if len(added) <= cap:
            count({*added, *_in_base(parts, phrase, cap)})
    weights.pop(row, None)
    return dict(weights)


def _terms(text: str) -> list[tuple[str, TermHashes]]:
    """Return the distinct stems of a text, each with its hash, uint32 [1]."""
    return [(stem, np.array([phrase_hash(stem)], np.uint32)) for stem in dict.fromkeys(analyse(text))]


def _with_term(parts: LiveParts, stem: str, term: int, cap: int) -> list[int]:
    """Return the passages of the base that have a term, unless they are more than ``cap``."""
    if not parts.in_context:
        return parts.lexical.with_word(stem, cap)
    found = parts.lexical.with_word(stem, _HARDLY_RARE * cap)
    return [row for row in found if term in parts.terms.terms(row)]  # others have it in their context alone


def _alive(parts: LiveParts, rows: Sequence[int]) -> list[int]:
    return [row for row in list(rows) if parts.store.alive(row)]


def _in_base(parts: LiveParts, phrase: str, cap: int) -> list[int]:
    """Return the passages of the base that have a phrase, unless they are clearly more than ``cap``."""
    stems = [stem for word in phrase.split(" ") for stem in parts.lexical.stems(word)]
    frequencies = [parts.lexical.base_frequency("text", stem) for stem in stems]
    passages = max(len(parts.store), 1)
    by_chance = float(np.prod(np.array(frequencies, np.float64) / passages) * passages)
    if not all(frequencies) or by_chance > _HARDLY_RARE * cap:
        return []
    found = parts.lexical.with_phrase(stems, _BETWEEN if len(stems) == 2 else 0, _HARDLY_RARE * cap)
    if not parts.in_context:
        return found
    texts = zip(found, parts.store.passages(found), strict=True)
    return [row for row, passage in texts if phrase in phrases_of(passage.text)]

"""The edges that a change brings: who mentions whom now, and who shares rare phrases, without reading every passage."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from math import log1p

import numpy as np

from ..graph._edges import Edges, Relation
from ..graph._generic_titles import LONGEST, Phrase, are_headings, in_small_letters, is_generic, phrase_of
from ..graph._linking import (
    LEAST_FREQUENCY,
    STRONGEST,
    frequency_cap,
    link_neighbours,
    mentions_of,
    names_of,
    phrase_hash,
    phrases_of,
    term_pairs,
)
from ..retrievers.protocols import Progress
from ..retrievers.records import Rows
from ..retrievers.words._analyser import STOP_WORDS
from ..retrievers.words._phrases import words_of
from ..retrievers.words._terms import analyse
from ..retrievers.words._title_forms import title_forms
from ._segmented_graph import SegmentedGraph, SegmentGraph
from ._segments import Parts

Mention = tuple[int, int, int, int]
"""(mentioned row, relation, start, end)."""

_AT_ONCE = 500

_ASKED = 200
"""Passages that say whether a title is generic; when an index is built all do."""

_HARDLY_RARE = 4
"""A pair that chance alone would put into this many times the cap is not asked for."""


def new_edges(
    before: Parts, after: Parts, gone: Rows, in_context: bool, progress: Progress | None = None
) -> SegmentGraph:
    """Return the edges of the last segment of an index, which are not known yet.

    Args:
        before: the index without the segment.
        after: the index with it, and without the passages that were deleted with the same change.
        gone: rows of these passages.
        in_context: whether the lexical index knows more of passages than their own words.
        progress: called with (stage, done, total).
    """
    first, graph = len(before.alive), after.graph
    if not isinstance(graph, SegmentedGraph):
        raise TypeError("an index has a segment more after a change")
    new = range(first, len(after.alive))
    titles = {after.title_of[row] for row in new}
    gone_titles = {before.title_of[row] for row in gone.tolist()}
    titles |= {title for title in gone_titles if _was_crowded(before, title)}
    lost = {row for target in gone.tolist() for row in before.graph.neighbours(target, "mentioned_by").rows.tolist()}
    mentions = relinked(after, new, titles, lost, progress)
    near = link_neighbours([after.document_of[row] for row in new])
    adjacent = Edges.of(near.source.astype(np.int64) + first, near.target.astype(np.int64) + first, Relation.ADJACENT)
    edges = Edges.concatenate([_mention_edges(mentions), shares_of(after, new, in_context, progress), adjacent])
    others = np.unique([row for ends in (edges.source, edges.target) for row in ends.tolist() if row < first])
    serials = graph.serials(others.astype(np.int64))
    replaced = np.array(sorted(row for row in mentions if row < first), np.int64)
    rows = np.arange(first, len(after.alive), dtype=np.int64)
    known = dict(zip(others.astype(np.int64).tolist(), serials.tolist(), strict=True))
    return SegmentGraph.of(edges, rows, graph.serials(rows), known, graph.serials(replaced))


def relinked(
    parts: Parts, new: Sequence[int], titles: Iterable[str], lost: Iterable[int], progress: Progress | None = None
) -> Mapping[int, Sequence[Mention]]:
    """Return the mentions of passages that mention something else than before, by row.

    These are the new passages; those whose text has a form of a new title, which the lexical index finds; and those
    that mentioned a deleted passage. Each is read as when an index is built, so longer titles win over shorter ones
    and a name that has come to fit too many documents names none.

    Args:
        parts: the index with the new passages and without the deleted ones, their mentions not yet linked.
        new: rows of the new passages.
        titles: the new titles, and deleted ones that fitted too many documents before.
        lost: rows that mentioned a deleted passage.
        progress: called with (stage, done, total).
    """
    older = {row for row in lost if parts.alive[row]}
    for title in titles:
        older.update(_naming(parts, title))
    older.difference_update(new)
    names_nothing = _generic_test(parts)
    found: dict[int, Sequence[Mention]] = {}
    for done, (row, text) in enumerate(_texts(parts, [*sorted(older), *new]), start=1):
        mentions = mentions_of(row, text, parts.titles, parts.title_of, parts.document_of)
        named = (mention for mention in mentions if not names_nothing(text[mention[2] : mention[3]]))
        plain = [(other, int(relation), start, end) for other, relation, start, end in named]
        if row in older and plain == _known_mentions(parts, row):
            continue
        if plain or row in older:
            found[row] = plain
        if progress is not None and done % _AT_ONCE == 0:
            progress("linking titles", done, len(older) + len(new))
    return found


def shares_of(parts: Parts, new: range, in_context: bool, progress: Progress | None = None) -> Edges:
    """Return the links of new passages over rare names and phrases: see :func:`share_edges`.

    A passage asks for the strongest, and older ones ask for it where it is among theirs.
    """
    found: dict[tuple[int, int], float] = {}
    rare = _RarePassages(parts, in_context)
    for row in new:
        weights = rare.weights(row)
        order = sorted(weights, key=lambda other: (-weights[other], other))
        for place, other in enumerate(order):
            if place < STRONGEST or (other < new.start and _asks(parts, other, weights[other])):
                found[min(row, other), max(row, other)] = weights[other]
        if progress is not None and (row - new.start) % _AT_ONCE == 0:
            progress("linking shared phrases", row - new.start, len(new))
    pairs = np.array(sorted(found), np.int64).reshape(len(found), 2)
    weight = np.array([found[low, high] for low, high in pairs.tolist()], np.float32)
    return Edges.of(pairs[:, 0], pairs[:, 1], Relation.SHARES, weight)


def _mention_edges(mentions: Mapping[int, Sequence[Mention]]) -> Edges:
    columns = [(row, *mention) for row, some in mentions.items() for mention in some]
    source, target, relation, start, end = np.array(columns, np.int32).reshape(len(columns), 5).T
    return Edges(source, target, relation.astype(np.int8), start, end, np.ones(len(columns), np.float32))


def _known_mentions(parts: Parts, row: int) -> list[Mention]:
    links = parts.graph.neighbours(row, "mentions")
    columns = (links.rows.tolist(), links.relations.tolist(), links.starts.tolist(), links.ends.tolist())
    return list(zip(*columns, strict=True))


def _was_crowded(parts: Parts, title: str) -> bool:
    """Return whether a form of a title fitted too many documents: without one of them it may name the others."""
    return any(parts.titles.is_crowded(form.text) for form in title_forms(title))


def _generic_test(parts: Parts) -> Callable[[str], bool]:
    """Return what tells whether a mention names nothing, by some of the passages that have its words."""
    if not are_headings(parts.title_of):
        return lambda mention: False

    @cache
    def names_nothing(phrase: Phrase) -> bool:
        if len(phrase) > LONGEST:
            return False
        texts = [text for _, text in _texts(parts, parts.lexical.naming(" ".join(phrase)).tolist()[:_ASKED])]
        found = ((text, parts.titles.find(text)) for text in texts)
        named = sum(any(phrase_of(text[m.start : m.end]) == phrase for m in some) for text, some in found)
        return is_generic(in_small_letters([phrase], texts)[phrase], named)

    return lambda mention: names_nothing(phrase_of(mention))


def _naming(parts: Parts, title: str) -> Iterator[int]:
    """Iterate over the passages that may have a form of ``title`` in their text."""
    for words in dict.fromkeys(tuple(words_of(form.text)) for form in title_forms(title)):
        for row, text in _texts(parts, parts.lexical.naming(" ".join(words)).tolist()):
            if all(word in text for word in words):  # stems fit many words, and any case
                yield row


def _texts(parts: Parts, rows: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Iterate over rows with the texts of their passages."""
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        yield from zip(some, (passage.text for passage in parts.store.passages(some)), strict=True)


def _asks(parts: Parts, row: int, weight: float) -> bool:
    """Return whether a link of this weight would be among the strongest of an older passage."""
    graph = parts.graph
    strongest = graph.own_share_weights(row) if isinstance(graph, SegmentedGraph) else graph.share_weights(row)
    if len(strongest) >= STRONGEST and weight <= float(strongest[STRONGEST - 1]):
        return False  # most are, and later links only raise what is asked for
    strongest = graph.share_weights(row)
    return len(strongest) < STRONGEST or weight > float(strongest[STRONGEST - 1])


class _RarePassages:
    """Finds the passages that share what is rare; what many new passages have is looked up once."""

    def __init__(self, parts: Parts, in_context: bool) -> None:
        self._parts = parts
        self._in_context = in_context
        self._passages = len(parts.store)
        self._cap = frequency_cap(self._passages)
        self._frequency = cache(partial(parts.lexical.frequency, "text"))
        self._with_term = cache(self._find_term)
        self._with_pair = cache(self._find_words)
        self._with_name = cache(self._find_name)

    def weights(self, row: int) -> dict[int, float]:
        """Return the summed idf of what each passage shares with the one at ``row``."""
        passage = self._parts.store.passage(row)
        weights: defaultdict[int, float] = defaultdict(float)
        stems = list(dict.fromkeys(analyse(f"{passage.title}\n{passage.text}")))
        hashes = np.array([phrase_hash(stem) for stem in stems], np.uint32)
        frequencies = self._parts.terms.document_frequency(hashes)
        found = [
            self._with_term(stem, term)
            for stem, term, frequency in zip(stems, hashes.tolist(), frequencies.tolist(), strict=True)
            if LEAST_FREQUENCY <= frequency <= self._cap
        ]
        pairs = term_pairs(passage.text)
        names = names_of(passage.text) - {" ".join(pair) for pair in pairs}
        for rows in (*found, *map(self._with_pair, pairs), *map(self._with_name, names)):
            shared = rows | {row}
            if LEAST_FREQUENCY <= len(shared) <= self._cap:
                idf = log1p((self._passages - len(shared) + 0.5) / (len(shared) + 0.5))
                for other in shared:
                    weights[other] += idf
        weights.pop(row, None)
        return dict(weights)

    def _find_term(self, stem: str, term: int) -> frozenset[int]:
        """Return the passages that have a term, unless they are more than the cap."""
        parts = self._parts
        if not self._in_context:
            return frozenset(parts.lexical.with_word(stem, self._cap).tolist())
        found = parts.lexical.with_word(stem, _HARDLY_RARE * self._cap).tolist()
        return frozenset(row for row in found if term in parts.terms.terms(row))  # others have it in their context

    def _find_words(self, words: Sequence[str]) -> frozenset[int]:
        """Return the passages that have terms one after the other, unless they are clearly more than the cap."""
        passages = max(len(self._parts.alive), 1)
        by_chance = float(passages)
        for word in words:
            frequency = self._frequency(word)
            if frequency < LEAST_FREQUENCY:
                return frozenset()  # a word that only this passage has is shared with nobody
            by_chance *= frequency / passages
        if not words or by_chance > _HARDLY_RARE * self._cap:
            return frozenset()
        found = self._parts.lexical.with_phrase(words, "text", _HARDLY_RARE * self._cap).tolist()
        return self._having(" ".join(words), found) if self._in_context else frozenset(found)

    def _find_name(self, name: str) -> frozenset[int]:
        """Return the passages that have a name, unless they are clearly more than the cap."""
        found = self._find_words(analyse(name))
        # The index compares no stop words, and knows the small words inside a name by none of their places.
        return self._having(name, sorted(found)) if STOP_WORDS.intersection(name.split(" ")) else found

    def _having(self, phrase: str, rows: Sequence[int]) -> frozenset[int]:
        """Return those of the passages that have a phrase in their own text."""
        texts = zip(rows, self._parts.store.passages(rows), strict=True)
        return frozenset(row for row, passage in texts if phrase in phrases_of(passage.text))

"""The lexical sub-index with changes: tantivy over the base, and BM25 by the same statistics over what was added."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import log1p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Hits, Query, Rows
from ..words.lexical import LexicalIndex, words_asked
from .snapshot import GrowingArray, Snapshot, living_hits, merged

FIELDS = ("title", "text")

_K1 = 1.2
_B = 0.75
_LONGEST_WORD = 40
_FEW = 100
_NOTHING = Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))


def stored_lengths() -> NDArray[np.int64]:
    """Return the lengths that tantivy can store in its one byte, ascending; a length counts as the next below it.

    They are Lucene's (SmallFloat.byte4ToInt): exact below 40, then in steps of an eighth and less.
    """
    lengths = list(range(24))
    for code in range(256 - 24):
        fraction, shift = code & 7, (code >> 3) - 1
        lengths.append(24 + (fraction if shift < 0 else (fraction | 8) << shift))
    return np.array(lengths, np.int64)


class LexicalAdditions:
    """The words of added passages, and how many passages lost which words; only ever grows."""

    def __init__(self) -> None:
        self._analyser = _analyser()
        self._stored = stored_lengths()
        self._postings: dict[tuple[str, str], tuple[GrowingArray, GrowingArray]] = {}
        self._lengths = {field: GrowingArray(np.int64) for field in FIELDS}
        self._removed: dict[tuple[str, str], list[int]] = {}

    def stems(self, text: str) -> list[str]:
        """Return the words of a text as the index knows them."""
        found: list[str] = self._analyser.analyze(text)
        return found

    def add(self, title: str, text: str) -> None:
        """Add the words of the next passage."""
        for field, content in zip(FIELDS, (title, text), strict=True):
            stems = self.stems(content)
            place = len(self._lengths[field])
            length = self._stored[np.searchsorted(self._stored, len(stems), side="right") - 1]
            self._lengths[field].extend([int(length)])
            for stem, count in Counter(stems).items():
                posting = self._postings.get((field, stem))
                if posting is None:
                    posting = self._postings[field, stem] = (GrowingArray(np.int64), GrowingArray(np.int64))
                posting[1].extend([count])
                posting[0].extend([place])  # last: a place without its count would be seen

    def remove(self, title: str, text: str, version: int) -> None:
        """Note that a passage, of the base or added, is gone from ``version`` on."""
        for field, content in zip(FIELDS, (title, text), strict=True):
            for stem in set(self.stems(content)):
                self._removed.setdefault((field, stem), []).append(version)

    def posting(self, field: str, stem: str, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the added passages among the first ``count`` that have a word, and how often they have it."""
        posting = self._postings.get((field, stem))
        if posting is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        places = posting[0].first(len(posting[0]))
        seen = int(np.searchsorted(places, count))
        return np.asarray(places[:seen], np.int64), np.asarray(posting[1].first(seen), np.int64)

    def removed(self, field: str, stem: str, version: int) -> int:
        """Return how many passages that had a word are gone at ``version``."""
        return bisect_right(self._removed.get((field, stem), ()), version)

    def lengths(self, field: str, count: int) -> NDArray[np.int64]:
        """Return the lengths of a field of the first ``count`` added passages, as tantivy would have stored them."""
        return np.asarray(self._lengths[field].first(count), np.int64)


class BaseStatistics:
    """What tantivy's index of the base says about words; worked out once."""

    def __init__(self, base: LexicalIndex) -> None:
        self._base = base

    @cached_property
    def average_lengths(self) -> dict[str, float | None]:
        """The average length of each field, by which tantivy scores; None where no passage has any."""
        return {field: self._average_length(field) for field in FIELDS}

    def _average_length(self, field: str) -> float | None:
        import tantivy

        searcher = self._base.searcher
        terms = searcher.terms_with_prefix(field, "", limit=1)
        if not terms:
            return None
        query = tantivy.Query.term_query(self._base.opened.schema, field, terms[0][0])
        address = searcher.search(query, 1).hits[0][1]
        # tantivy tells it in an explanation only
        for detail in _details(json.loads(query.explain(searcher, address).to_json())):
            if detail["description"].startswith("avgdl"):
                return float(detail["value"])
        raise RuntimeError(
            "tantivy's explanation of a score names no average length: pin the version of constraints.txt"
        )


class LiveLexical:
    """BM25 over title and text, as of a snapshot; fulfils ``SubIndex``.

    Numbers of passages and document frequencies are those of all passages that are alive, for base and additions
    alike: the weight of every word in a query to tantivy is corrected by the ratio of its idf. What remains of the
    base are its average lengths; so scores differ from those of an index built anew by as much as these have moved.

    Args:
        base: the lexical index of the base.
        statistics: of the base.
        additions: words of added passages, shared with the writer.
        snapshot: how much is seen.
    """

    name = "lexical"

    def __init__(
        self, base: LexicalIndex, statistics: BaseStatistics, additions: LexicalAdditions, snapshot: Snapshot
    ) -> None:
        self._base = base
        self._statistics = statistics
        self._added = additions
        self._snapshot = snapshot
        self._count = snapshot.rows - snapshot.base

    def __len__(self) -> int:
        """Return the number of rows, removed ones among them."""
        return self._snapshot.rows

    def search(self, query: Query, limit: int) -> Hits:
        """Return at most ``limit`` passages that share a word with the query's text, best first, ties by row."""
        words = words_asked(query)
        limit = min(limit, self._snapshot.passages)
        if not words or limit < 1:
            return _NOTHING
        # tantivy's parser lets a word that is asked twice count once
        asked = list(dict.fromkeys(stems for word in words if (stems := tuple(self._added.stems(word)))))
        parsed = self._parsed(asked)
        base = _NOTHING
        if parsed is not None:
            base = living_hits(lambda wanted: self._in_base(parsed, wanted), limit, len(self._base), self._snapshot)
        if not self._count:
            return base
        scores = self._scores([stem for stems in asked for stem in stems])
        added = living_hits(lambda wanted: self._best_added(scores, wanted), limit, self._count, self._snapshot)
        return merged(base, added, limit)

    def mentioning(self, stems: Sequence[str], field: str = "text") -> Rows:
        """Return the passages whose text, or title, may have these words one after the other, int64 [k], ascending.

        Of the base they are exactly those; of the additions, all that have the words anywhere.
        """
        rows = self._matching(self._phrase(field, stems, 0), len(self._base))
        having = [set(self._added.posting(field, stem, self._count)[0].tolist()) for stem in stems]
        places = set.intersection(*having) if having else set[int]()
        rows = np.append(rows, np.array(sorted(places), np.int64) + self._snapshot.base)
        return rows[self._snapshot.living(rows)]

    def stems(self, text: str) -> list[str]:
        """Return the words of a text as the index knows them."""
        return self._added.stems(text)

    def base_frequency(self, field: str, stem: str) -> int:
        """Return how many passages of the base have a word in a field."""
        return int(self._base.searcher.doc_freq(field, stem))

    def with_word(self, stem: str, most: int) -> list[int]:
        """Return the passages of the base that have a word in title or text; none where they are more than ``most``."""
        import tantivy

        either = [(tantivy.Occur.Should, self._phrase(field, [stem], 0)) for field in FIELDS]
        return self._living(self._matching(tantivy.Query.boolean_query(either), most))

    def with_phrase(self, stems: Sequence[str], between: int, most: int) -> list[int]:
        """Return the passages of the base whose text has words one after the other; none if they are over ``most``.

        Args:
            stems: the words.
            between: other words that may stand between them.
            most: passages that are too many.
        """
        return self._living(self._matching(self._phrase("text", stems, between), most))

    def _phrase(self, field: str, stems: Sequence[str], between: int) -> Any:
        import tantivy

        schema = self._base.opened.schema
        if len(stems) == 1:
            return tantivy.Query.term_query(schema, field, stems[0])
        return tantivy.Query.phrase_query(schema, field, list(stems), slop=between)

    def _matching(self, query: Any, most: int) -> Rows:
        """Return the rows of the base that match a query of tantivy's, int64 [k], ascending; none if over ``most``."""
        searcher = self._base.searcher
        found = searcher.search(query, min(most, _FEW), count=True)
        if not 0 < found.count <= most:
            return np.zeros(0, np.int64)
        hits = found.hits
        if len(hits) < found.count:
            hits = searcher.search(query, found.count, count=False).hits
        return np.sort(np.array(searcher.fast_field_values("row", [address for _, address in hits]), np.int64))

    def _living(self, rows: Rows) -> list[int]:
        alive: list[int] = rows[self._snapshot.living(rows)].tolist()
        return alive

    def _idf(self, field: str, stem: str, in_base: int) -> float:
        places, _ = self._added.posting(field, stem, self._count)
        frequency = in_base + len(places) - self._added.removed(field, stem, self._snapshot.version)
        return _idf(self._snapshot.passages, frequency)

    def _parsed(self, asked: Sequence[Sequence[str]]) -> Any:
        """Return the query to tantivy: every word in either field, at the weight it has by now; None for no words."""
        import tantivy

        schema, searcher = self._base.opened.schema, self._base.searcher
        parts = []
        for stems in asked:
            for field in FIELDS:
                if len(stems) > 1:  # a word that the index cuts up is a phrase, as tantivy's own parser has it
                    parts.append((tantivy.Occur.Should, tantivy.Query.phrase_query(schema, field, list(stems))))
                    continue
                frequency = searcher.doc_freq(field, stems[0])
                if frequency:
                    query = tantivy.Query.term_query(schema, field, stems[0], index_option="freq")
                    ratio = self._idf(field, stems[0], frequency) / _idf(len(self._base), frequency)
                    parts.append((tantivy.Occur.Should, tantivy.Query.boost_query(query, ratio)))
        return tantivy.Query.boolean_query(parts) if parts else None

    def _in_base(self, parsed: Any, wanted: int) -> Hits:
        searcher = self._base.searcher
        found = searcher.search(parsed, wanted, count=False).hits
        scores = np.array([score for score, _ in found], np.float32)
        rows = np.array(searcher.fast_field_values("row", [address for _, address in found]), np.int64)
        order = np.lexsort((rows, -scores))
        return Hits(rows[order], scores[order])

    def _scores(self, stems: Sequence[str]) -> NDArray[np.float32]:
        """Return the score of every added passage, float32 [k]; 0 where it has none of the words."""
        scores = np.zeros(self._count, np.float64)
        for stem in stems:
            for field in FIELDS:
                places, counts = self._added.posting(field, stem, self._count)
                if not len(places):
                    continue
                lengths = self._added.lengths(field, self._count)
                average = self._statistics.average_lengths[field] or max(float(lengths.mean()), 1.0)
                norm = _K1 * (1 - _B + _B * lengths[places] / average)
                idf = self._idf(field, stem, self._base.searcher.doc_freq(field, stem))
                scores[places] += idf * (_K1 + 1) * counts / (counts + norm)
        return scores.astype(np.float32)

    def _best_added(self, scores: NDArray[np.float32], wanted: int) -> Hits:
        places = np.flatnonzero(scores > 0)
        if len(places) > wanted:
            last = np.partition(scores[places], len(places) - wanted)[len(places) - wanted]
            places = places[scores[places] >= last]
        order = np.lexsort((places, -scores[places]))[:wanted]
        return Hits(places[order] + self._snapshot.base, scores[places[order]])


def _idf(passages: int, frequency: int) -> float:
    return log1p((passages - frequency + 0.5) / (frequency + 0.5))


def _analyser() -> Any:
    """Return what tantivy calls ``en_stem``."""
    import tantivy

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple()).filter(tantivy.Filter.remove_long(_LONGEST_WORD))
    return builder.filter(tantivy.Filter.lowercase()).filter(tantivy.Filter.stemmer("english")).build()


def _details(explanation: Any) -> Iterator[Any]:
    """Iterate over an explanation and everything in it."""
    yield explanation
    for inner in explanation.get("details") or ():
        yield from _details(inner)

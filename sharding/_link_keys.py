"""The first step of linking shards: what may link the passages of one to any other, as sorted keys of 32 bits.

A term or a phrase is the key of what shares it, as in one index. A title is known by the first two words of each of its
forms, and a text may mention it where these words stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from ..graph._linking import frequency_cap, gather_phrases, phrase_hash
from ..index._segment_rows import Base, open_base
from ..index._segments import TERMS
from ..retrievers.protocols import Progress
from ..retrievers.words._phrases import words_of
from ..retrievers.words._terms import TermIndex
from ..retrievers.words._title_tables import FormKey, most_rows
from ..retrievers.words._titles import TitleMatcher
from ._building import place_of_order
from ._link_files import LinkFiles, Write, packed, write_once
from ._messages import row_in_all
from ._tasks import Warn

_AT_ONCE = 1 << 13
"""Texts whose pairs of words are gathered together."""

_MERGED = 1 << 22
"""Keys that are merged with those of earlier texts at the earliest."""

_BUCKETS = 16
"""Parts in which postings are sorted, so that places take little memory."""


@dataclass(frozen=True)
class GatherKeys:
    """Writes the keys of a shard.

    ``rows`` are those of its passages among all; ``terms`` and ``phrases`` keys with ``term_rows`` and ``phrase_rows``;
    ``forms`` the keys of its titles' forms with ``form_rows``, ``form_kinds``, ``form_texts`` and ``form_titles``; and
    ``words`` the keys of what its texts have.
    """

    files: LinkFiles
    shard: int
    stage = "gathering what links shards"

    def run(self, warn: Warn, progress: Progress | None) -> None:
        """Do it."""
        write_once(self.files.keys(self.shard), lambda write: self._write(write, progress))

    def _write(self, write: Write, progress: Progress | None) -> None:
        base = open_base(self.files.shards[self.shard])
        store, cap = base.store, frequency_cap(self.files.passages)
        write("rows", _rows(self.files, self.shard, base))
        terms = TermIndex.load(base.folder / TERMS)
        _write_postings(write, "term", terms.hashes, np.diff(terms.offsets), cap)
        del terms
        words = WordKeys()
        phrases, counts = gather_phrases(words.passing(p.text for p in store), len(store), progress)
        _write_postings(write, "phrase", phrases, counts, cap)
        del phrases
        write("words", words.keys())
        for name, column in _title_columns(*store.columns()).items():
            write(name, column)
        store.close()


def _rows(files: LinkFiles, shard: int, base: Base) -> NDArray[np.int64]:
    """Return the rows of the passages of a shard among all."""
    order = np.load(place_of_order(files.shards[shard]), allow_pickle=False)
    if len(order) != base.store.documents:
        raise DamagedIndexError(
            f"{files.shards[shard]} has {base.store.documents} documents, not {len(order)}: build it again"
        )
    return row_in_all(order[base.store.document_numbers()], shard, np.arange(len(base.store)))


def _write_postings(write: Write, name: str, hashes: NDArray[np.uint32], counts: NDArray[np.int64], cap: int) -> None:
    """Write which passages have what, by the sorted hashes; of what more than ``cap`` have only one more than that."""
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    keys, rows = [], []
    bucket = (hashes >> np.uint32(32 - _BUCKETS.bit_length() + 1)).astype(np.uint8)
    for number in range(_BUCKETS):
        inside = bucket == number
        order = np.argsort(hashes[inside], kind="stable")
        key, row = hashes[inside][order], owners[inside][order]
        kept = np.arange(len(key)) - np.searchsorted(key, key) <= cap
        keys.append(key[kept])
        rows.append(row[kept])
    write(f"{name}s", np.concatenate(keys))
    write(f"{name}_rows", np.concatenate(rows))


def _title_columns(titles: list[str], documents: list[str]) -> dict[str, NDArray[Any]]:
    """Return the forms of titles by their keys: of one that names nothing as many as show it."""
    named: dict[FormKey, list[int]] = {}
    phrases: list[str] = []
    records: list[tuple[int, int, str, str]] = []
    for key, form in TitleMatcher(titles, documents).forms(folded=False):
        (row,) = form.rows
        known = named.setdefault(key, [])
        if known and known[-1] == row:
            pass  # written in several ways
        elif len(known) > most_rows(key[1]):
            continue
        else:
            known.append(row)
        kind = 2 * (key[1] == "alias") + key[2]
        phrases.append(key[0])
        records.append((row, kind, form.text, "" if titles[row] == form.text else titles[row]))
    keys = form_keys(phrases)
    order = np.argsort(keys, kind="stable")
    rows, kinds, texts, whole = zip(*(records[one] for one in order.tolist()), strict=True) if records else [()] * 4
    return {
        "forms": keys[order],
        "form_rows": np.array(rows, np.int32),
        "form_kinds": np.array(kinds, np.uint8),
        **packed("form_texts", texts),
        **packed("form_titles", whole),
    }


def form_keys(phrases: Sequence[str]) -> NDArray[np.uint32]:
    """Return the keys of forms of titles, given the words of each joined by spaces."""
    words = [[*map(_hash, phrase.split(" ", 2)[:2]), 0] for phrase in phrases]
    first, second = np.array([two[:2] for two in words], np.uint64).reshape(-1, 2).T
    return _mixed(first, second)


class WordKeys:
    """The keys of all words of some texts, and of all pairs of neighbours: see :func:`form_keys`."""

    def __init__(self) -> None:
        self._hashes: list[int] = []
        self._ends: list[int] = []
        self._keys = np.zeros(0, np.uint32)
        self._new: list[NDArray[np.uint32]] = []

    def passing(self, texts: Iterator[str]) -> Iterator[str]:
        """Iterate over texts, and keep their words."""
        for text in texts:
            self._hashes += map(_hash, words_of(text))
            self._ends.append(len(self._hashes))
            if len(self._ends) == _AT_ONCE:
                self._gather()
            yield text

    def keys(self) -> NDArray[np.uint32]:
        """Return the keys, uint32 [k], sorted."""
        self._gather()
        return self._merged()

    def _gather(self) -> None:
        words = np.array(self._hashes, np.uint64)
        after = np.append(words[1:], np.uint64(0))[: len(words)]
        ends = np.array(self._ends, np.int64) - 1
        after[ends[ends >= 0]] = 0  # no pair over the end of a text; a single word is a key anyway
        self._new.append(np.unique(np.concatenate([_mixed(words, np.zeros(1, np.uint64)), _mixed(words, after)])))
        self._hashes, self._ends = [], []
        if sum(map(len, self._new)) > max(_MERGED, len(self._keys)):
            self._merged()

    def _merged(self) -> NDArray[np.uint32]:
        self._keys = np.unique(np.concatenate([self._keys, *self._new]))
        self._new = []
        return self._keys


def _mixed(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return keys of pairs of hashes, spread over all numbers of 32 bits."""
    mixed = first * np.uint64(0x9E3779B97F4A7C15) + second * np.uint64(0xC2B2AE3D27D4EB4F)
    return (mixed >> np.uint64(32)).astype(np.uint32)


# It keeps what a word's letters alone decide; it is bounded.
@lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return phrase_hash(word)

"""Which passages an index can do without: those that say again what another says, and those nobody ever finds."""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError
from .._atomic_file import write_json
from ..records import Passage
from ..words._phrases import words_of

Reason = Literal["equal", "near"]

Entry = Mapping[str, str]
"""A passage that was left out: see :func:`load_dropped`."""

DUPLICATES = "duplicates.json"
"""Passages that were left out because they repeat another; in an index where they were looked for."""

MARKS = "marks.npy"
"""The marks of the passages that were not left out, uint64 [N, 18], in such an index."""

SHINGLE = 3
"""Words to a shingle."""

ALIKE = 0.8
"""Share of common shingles (Jaccard) from which on two texts are nearly equal."""

_BANDS = 16
_ROWS = 4
"""16 bands of 4 minima: of pairs with 0.8 of their shingles in common all but 1 in 5,000 meet in a band."""
_PRIME = (1 << 61) - 1
_NEGATIONS = frozenset(("no", "not", "never", "nor", "neither", "none", "without", "hardly", "t"))
"""What turns a sentence round; "t" is what is left of "isn't"."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A row that can be dropped, because the row ``kept`` says the same.

    It is ``equal`` but for case, accents and punctuation, or ``near``, with the same numbers and names.
    """

    row: int
    reason: Reason
    kept: int


@dataclass(frozen=True)
class Mark:
    """What a passage is compared by.

    Attributes:
        numbers: uint64 [18]: two for the whole text but for its writing, then one for each band; only passages with
            the same title and the same numbers, names and negations share one. Bands are 0 where there is no shingle.
        shingles: runs of words, as hashes.
    """

    numbers: NDArray[np.uint64]
    shingles: frozenset[int]


WHOLE = 2
"""Numbers of a mark that stand for the whole text; those after them are its bands."""


class DuplicateFilter:
    """Lets through the passages of a corpus that repeat none, document by document, and lists the others.

    Near duplicates are found by MinHash (Broder 1997) over shingles of ``SHINGLE`` words in bands (Leskovec, Rajaraman
    and Ullman, "Mining of Massive Datasets", section 3.4), and then compared shingle by shingle. Two passages that
    differ in their title, a number, a capitalised word or a negation are different however alike they are: "born in
    1971" is not "born in 1972". It keeps a mark, and a number for each word, of what was let through.

    Attributes:
        dropped: what was left out: see :func:`load_dropped`.
    """

    def __init__(self, known: KnownPassages | None = None) -> None:
        self._known = known
        self._first = 0 if known is None else known.rows
        self._ids: list[str] = []
        self.dropped: list[dict[str, str]] = []
        self._marks: list[NDArray[np.uint64]] = []
        self._equal: dict[bytes, int] = {}
        self._bands: dict[tuple[int, int], list[int]] = {}
        self._shingles: dict[int, frozenset[int]] = {}

    def pass_through(self, passages: Iterable[Passage]) -> list[Passage]:
        """Return the new ones among the passages of the next document."""
        new: list[Passage] = []
        for passage in passages:
            twin = self.check(self._first + len(self._ids), passage.title, passage.text)
            if twin is None:
                self._ids.append(passage.id)
                new.append(passage)
                continue
            entry = {"document": passage.document_id, "passage": passage.id, "reason": twin.reason}
            self.dropped.append({**entry, "found_as": self._id_of(twin.kept)})
        return new

    def check(self, row: int, title: str, text: str) -> Dropped | None:
        """Return why the passage can be dropped, or None, when it is let through."""
        mark = mark_of(title, text)
        whole = mark.numbers[:WHOLE].tobytes()
        known = self._known
        twin = None if known is None else known.equal(mark)
        twin = self._equal.get(whole) if twin is None else twin
        if twin is not None:
            return Dropped(row, "equal", twin)
        bands = list(enumerate(mark.numbers[WHOLE:].tolist())) if mark.shingles else []
        meeting = {row for band in bands for row in self._bands.get(band, ())}
        if known is not None:
            meeting.update(known.meeting(mark))
        for other in sorted(meeting):
            others = known.shingles(other) if known is not None and other < known.rows else self._shingles[other]
            if len(mark.shingles & others) >= ALIKE * len(mark.shingles | others):
                return Dropped(row, "near", other)
        self._marks.append(mark.numbers)
        self._equal[whole] = row
        self._shingles[row] = mark.shingles
        for band in bands:
            self._bands.setdefault(band, []).append(row)
        return None

    def _id_of(self, row: int) -> str:
        if self._known is not None and row < self._first:
            return self._known.id_of(row)
        return self._ids[row - self._first]

    @property
    def marks(self) -> NDArray[np.uint64]:
        """By what further passages are compared with those that were let through, uint64 [n, 18]."""
        return np.array(self._marks, np.uint64).reshape(-1, WHOLE + _BANDS)


def save_dropped(folder: Path, dropped: Sequence[Entry], marks: NDArray[np.uint64]) -> None:
    """Write what was left out of a segment, and the marks of its passages."""
    write_json(folder / DUPLICATES, list(dropped))
    np.save(folder / MARKS, marks, allow_pickle=False)


def load_dropped(folder: Path) -> list[dict[str, str]]:
    """Return what was left out: ``document``, ``passage`` and ``found_as`` are ids, ``reason`` "equal" or "near"."""
    try:
        dropped: list[dict[str, str]] = json.loads((folder / DUPLICATES).read_text("utf-8"))
        if not all(
            isinstance(entry, dict) and {"document", "passage", "found_as"} <= entry.keys() for entry in dropped
        ):
            raise ValueError("an entry names no document")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedIndexError(f"{folder / DUPLICATES} cannot be read ({error}): build the index again") from error
    return dropped


class MarkTable:
    """The marks of a segment's passages, uint64 [n, 18], to be looked up by each of their numbers."""

    def __init__(self, marks: NDArray[np.uint64]) -> None:
        self.marks = marks

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.marks)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self.marks, axis=0, kind="stable")  # [n, 18]

    @cached_property
    def _sorted(self) -> NDArray[np.uint64]:
        return np.take_along_axis(self.marks, self._order, axis=0)

    def having(self, column: int, number: int) -> list[int]:
        """Return the rows that have a number in a column."""
        values, wanted = self._sorted[:, column], np.uint64(number)
        first, last = np.searchsorted(values, wanted), np.searchsorted(values, wanted, side="right")
        rows: list[int] = self._order[first:last, column].tolist()
        return rows


class KnownPassages:
    """The living passages of an index, for a :class:`DuplicateFilter` that additions pass through.

    Args:
        tables: marks of each segment, with the row of its first passage.
        alive: bool [N], which rows count.
        passage: returns the passage of a row.
    """

    def __init__(
        self, tables: Sequence[tuple[MarkTable, int]], alive: NDArray[np.bool_], passage: Callable[[int], Passage]
    ) -> None:
        self.rows = len(alive)
        self._tables = tables
        self._alive = alive
        self._passage = passage

    def equal(self, mark: Mark) -> int | None:
        """Return the first passage that is equal but for its writing."""
        halves = (self._having(column, int(mark.numbers[column])) for column in range(WHOLE))
        return min(set.intersection(*halves), default=None)

    def meeting(self, mark: Mark) -> list[int]:
        """Return the passages that share a band."""
        bands = range(WHOLE, len(mark.numbers)) if mark.shingles else ()
        return sorted({row for band in bands for row in self._having(band, int(mark.numbers[band]))})

    def shingles(self, row: int) -> frozenset[int]:
        """Return the shingles of a passage."""
        passage = self._passage(row)
        return mark_of(passage.title, passage.text).shingles

    def id_of(self, row: int) -> str:
        """Return the id of a passage."""
        return self._passage(row).id

    def _having(self, column: int, number: int) -> set[int]:
        found = (row + first for table, first in self._tables for row in table.having(column, number))
        return {row for row in found if self._alive[row]}


def mark_of(title: str, text: str) -> Mark:
    """Return what a passage is compared by."""
    words = _words(f"{title}\n{text}")
    folded = [word.casefold() for word in words]
    whole = blake2b(" ".join(map(_plain, folded)).encode("utf-8", "surrogatepass"), digest_size=8 * WHOLE).digest()
    numbers = np.zeros(WHOLE + _BANDS, np.uint64)
    numbers[:WHOLE] = np.frombuffer(whole, np.uint64)
    shingles = _shingles(folded)
    if shingles:
        telling = [*_words(title.casefold()), "", *sorted(filter(_is_telling, words))]
        numbers[WHOLE:] = _bands(shingles, " ".join(telling).encode("utf-8", "surrogatepass"))
    return Mark(numbers, shingles)


def _bands(shingles: frozenset[int], said: bytes) -> NDArray[np.uint64]:
    """Return a number for every band, uint64 [16]: of its minima, and of what is said besides."""
    hashes = np.fromiter(shingles, np.uint64, len(shingles))
    factors = _factors()
    minima = ((hashes[:, None] * factors[0] + factors[1]) % np.uint64(_PRIME)).min(axis=0)
    digests = (blake2b(part.tobytes() + said, digest_size=8).digest() for part in minima.reshape(_BANDS, _ROWS))
    return np.frombuffer(b"".join(digests), np.uint64)


@cache
def _factors() -> NDArray[np.uint64]:
    return np.random.default_rng(0).integers(1, _PRIME >> 32, (2, _BANDS * _ROWS), np.uint64)


def _words(text: str) -> list[str]:
    return words_of(unicodedata.normalize("NFKC", text))


def _plain(word: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))


def _is_telling(word: str) -> bool:
    return word[0].isupper() or any(map(str.isdigit, word)) or word in _NEGATIONS


def _shingles(words: Sequence[str]) -> frozenset[int]:
    runs = (words[first : first + SHINGLE] for first in range(max(1, len(words) - SHINGLE + 1)))
    return frozenset(zlib.crc32(" ".join(run).encode("utf-8", "surrogatepass")) for run in runs if run)

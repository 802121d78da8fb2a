"""Which passages an index can do without: those that say again what another says, and those nobody ever finds."""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError
from .atomic_file import write_json
from .phrases import words_of
from .records import Passage, Rows

Reason = Literal["equal", "near", "never retrieved"]

DUPLICATES = "duplicates.json"
"""Passages that were left out because they repeat another; in an index where they were looked for."""

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
    """A passage that can be dropped.

    Attributes:
        row: of the passage.
        reason: ``equal`` to another but for case, accents and punctuation; ``near`` to another, with the same numbers
            and names; ``never retrieved`` by any question of a log.
        kept: the row of the passage that says the same and is found in its place; None where nothing does. Then what
            keeps it findable is the sub-indexes that it stays in: drop it from a memory, not from the store.
    """

    row: int
    reason: Reason
    kept: int | None


class DuplicateFilter:
    """Sees passages one after the other, and says which of them repeat one that it has let through.

    Near duplicates are found by MinHash (Broder 1997) over shingles of ``SHINGLE`` words in bands (Leskovec, Rajaraman
    and Ullman, "Mining of Massive Datasets", section 3.4), and then compared shingle by shingle. Two passages that
    differ in their title, a number, a capitalised word or a negation are different however alike they are: "born in
    1971" is not "born in 1972". Memory is 16 hashes, and a number for each word, of what was let through.
    """

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self._factors = generator.integers(1, _PRIME >> 32, (2, _BANDS * _ROWS), np.uint64)
        self._equal: dict[bytes, int] = {}
        self._bands: dict[tuple[int, bytes], list[int]] = {}
        self._shingles: dict[int, frozenset[int]] = {}

    def check(self, row: int, title: str, text: str) -> Dropped | None:
        """Return why the passage can be dropped, or None, when it is let through."""
        words = _words(f"{title}\n{text}")
        folded = [word.casefold() for word in words]
        whole = blake2b(" ".join(map(_plain, folded)).encode("utf-8", "surrogatepass"), digest_size=16).digest()
        twin = self._equal.get(whole)
        if twin is not None:
            return Dropped(row, "equal", twin)
        shingles = _shingles(folded)
        keys = self._keys(shingles, [*_words(title.casefold()), "", *sorted(filter(_is_telling, words))])
        for other in sorted({row for key in keys for row in self._bands.get(key, ())}):
            known = self._shingles[other]
            if len(shingles & known) >= ALIKE * len(shingles | known):
                return Dropped(row, "near", other)
        self._equal[whole] = row
        self._shingles[row] = shingles
        for key in keys:
            self._bands.setdefault(key, []).append(row)
        return None

    def _keys(self, shingles: frozenset[int], telling: Sequence[str]) -> list[tuple[int, bytes]]:
        """Return the bands of a passage; only passages with the same ``telling`` words share one."""
        if not shingles:
            return []
        hashes = np.fromiter(shingles, np.uint64, len(shingles))
        minima = ((hashes[:, None] * self._factors[0] + self._factors[1]) % np.uint64(_PRIME)).min(axis=0)
        said = " ".join(telling).encode("utf-8", "surrogatepass")
        bands = enumerate(minima.reshape(_BANDS, _ROWS))
        return [(band, blake2b(part.tobytes() + said, digest_size=8).digest()) for band, part in bands]


class Sieve:
    """Lets through the passages of a corpus that repeat none, document by document, and takes down the others."""

    def __init__(self) -> None:
        self._filter = DuplicateFilter()
        self._ids: list[str] = []
        self._dropped: list[dict[str, str]] = []

    def pass_through(self, passages: Iterable[Passage]) -> list[Passage]:
        """Return the new ones among the passages of the next document."""
        new: list[Passage] = []
        for passage in passages:
            dropped = self._filter.check(len(self._ids), passage.title, passage.text)
            if dropped is None or dropped.kept is None:
                self._ids.append(passage.id)
                new.append(passage)
            else:
                found = self._ids[dropped.kept]
                self._dropped.append({"passage": passage.id, "reason": dropped.reason, "found_as": found})
        return new

    def save(self, folder: Path) -> None:
        """Write down what was left out."""
        write_json(folder / DUPLICATES, self._dropped)

    @staticmethod
    def load(folder: Path) -> list[dict[str, str]]:
        """Return what was left out: ``passage`` and ``found_as`` are ids, ``reason`` is "equal" or "near".

        Raises:
            DamagedIndexError: when the file cannot be read.
        """
        try:
            dropped: list[dict[str, str]] = json.loads((folder / DUPLICATES).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DamagedIndexError(f"{folder / DUPLICATES} cannot be read ({error}): build the index again") from error
        return dropped


def duplicates(titles: Sequence[str], texts: Sequence[str]) -> list[Dropped]:
    """Return the passages that repeat an earlier one, in the order of their rows."""
    seen = DuplicateFilter()
    checked = (seen.check(row, *both) for row, both in enumerate(zip(titles, texts, strict=True)))
    return [dropped for dropped in checked if dropped is not None]


def never_retrieved(log: Iterable[Rows], passages: int) -> list[Dropped]:
    """Return the passages that no search of a log found.

    Args:
        log: the rows that each search found, as far down as somebody looks.
        passages: N.

    Raises:
        IndexError: when a search found a row that is not there: the log is of another index.
    """
    found: NDArray[np.bool_] = np.zeros(passages, np.bool_)
    for rows in log:
        if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= passages):
            raise IndexError(f"the log has row {int(rows.max())} of {passages} passages: it is of another index")
        found[rows] = True
    return [Dropped(row, "never retrieved", None) for row in np.flatnonzero(~found).tolist()]


def _words(text: str) -> list[str]:
    return words_of(unicodedata.normalize("NFKC", text))


def _plain(word: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", word) if not unicodedata.combining(char))


def _is_telling(word: str) -> bool:
    return word[0].isupper() or any(char.isdigit() for char in word) or word in _NEGATIONS


def _shingles(words: Sequence[str]) -> frozenset[int]:
    runs = (words[first : first + SHINGLE] for first in range(max(1, len(words) - SHINGLE + 1)))
    return frozenset(zlib.crc32(" ".join(run).encode("utf-8", "surrogatepass")) for run in runs if run)

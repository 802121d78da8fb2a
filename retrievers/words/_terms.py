"""The analysed terms of every passage as hashes, with their document frequencies."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence, Sized
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError
from .._atomic_file import load_arrays
from ..protocols import Progress
from ._analyser import STOP_WORDS, words

TermHashes = NDArray[np.uint32]
"""CRC-32 of the UTF-8 stem of each term; two stems that collide count as one term."""


def analyse(text: str) -> list[str]:
    """Return the words of ``text`` as the analyser has them, in order, stop words dropped."""
    return [word for word in words(text) if word not in STOP_WORDS]


def term_hashes(text: str) -> TermHashes:
    """Return the distinct terms of ``text``, uint32 [k], sorted."""
    return np.array(_distinct(text), np.uint32)


# Titles come into view again and again; what a title's letters alone decide is safe to share between threads.
@lru_cache(maxsize=1 << 14)
def title_hashes(title: str) -> TermHashes:
    """Return :func:`term_hashes` of a title, read-only."""
    hashes = term_hashes(title)
    hashes.flags.writeable = False
    return hashes


def hashes_of(words: Iterable[str]) -> TermHashes:
    """Return the hash of each analysed word, uint32 [k], in their order."""
    return np.array([_hash(word) for word in words], np.uint32)


def among(hashes: TermHashes, known: TermHashes) -> NDArray[np.bool_]:
    """Return whether each term is among the sorted terms ``known``, bool [k]."""
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    place = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return np.asarray(known[place] == hashes)


class TermSets:
    """Sets of sorted terms, one behind the other, in which terms are looked up, each in its own set.

    Attributes:
        begins: int64 [k]; set ``i`` begins at ``begins[i]``.
        longest: how many terms the largest has.
    """

    def __init__(self, sets: Sequence[TermHashes]) -> None:
        sizes = np.array([len(terms) for terms in sets], np.int64)
        self.begins = np.cumsum(sizes) - sizes
        self.longest = int(sizes.max(initial=0))
        self._keys = _keys(np.concatenate([np.zeros(0, np.uint32), *sets]), np.repeat(np.arange(len(sets)), sizes))

    def find(self, terms: TermHashes, owner: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return whether each term is in the set ``owner``, bool [m], and where it then stands in all of them."""
        if not len(self._keys):
            return np.zeros(len(terms), np.bool_), np.zeros(len(terms), np.int64)
        keys = _keys(terms, owner)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.asarray(self._keys[place] == keys), place


def _keys(terms: TermHashes, owner: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return one number for each term and its owner, which orders by owners first."""
    return (owner.astype(np.uint64) << np.uint64(32)) | terms


def rarity(frequency: NDArray[np.int64], passages: int) -> NDArray[np.float32]:
    """Return the idf of terms that so many of the passages have: see :meth:`TermIndex.idf`."""
    return np.log1p((passages - frequency + 0.5) / (frequency + 0.5)).astype(np.float32)


class TermIndex:
    """The distinct terms of every passage, as sorted hashes in compressed rows.

    Args:
        offsets: int64 [N+1]; the terms of row ``i`` are ``hashes[offsets[i]:offsets[i+1]]``.
        hashes: uint32 [nnz], sorted and distinct within a row.
        vocabulary: uint32 [V], every hash that occurs, sorted.
        frequencies: int64 [V], the number of passages that have it.
    """

    def __init__(
        self,
        offsets: NDArray[np.int64],
        hashes: TermHashes,
        vocabulary: TermHashes,
        frequencies: NDArray[np.int64],
    ) -> None:
        self.offsets = offsets
        self.hashes = hashes
        self.vocabulary = vocabulary
        self.frequencies = frequencies

    @classmethod
    def build(cls, texts: Iterable[str], progress: Progress | None = None) -> TermIndex:
        """Analyse ``texts``, one per passage in row order (title and text together).

        ``progress`` is called for every thousandth passage; the total is 0 when ``texts`` has no length.
        """
        total = len(texts) if isinstance(texts, Sized) else 0
        # Four bytes a term: lists of numbers would take ten times that.
        gathered, lengths = array("I"), array("I")
        for row, text in enumerate(texts):
            found = _distinct(text)
            gathered.extend(found)
            lengths.append(len(found))
            if progress is not None and row % 1000 == 999:
                progress("analysing terms", row + 1, total)
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(np.frombuffer(lengths, np.uint32), out=offsets[1:])
        hashes = np.frombuffer(gathered, np.uint32)
        vocabulary, frequencies = np.unique(hashes, return_counts=True)
        if progress is not None:
            progress("analysing terms", len(lengths), len(lengths))
        return cls(offsets, hashes, vocabulary, frequencies.astype(np.int64))

    @classmethod
    def of(cls, hashes: TermHashes, owner: NDArray[np.int64], passages: int) -> TermIndex:
        """Return an index of what :meth:`terms_of` returned for so many passages."""
        offsets = np.zeros(passages + 1, np.int64)
        np.cumsum(np.bincount(owner, minlength=passages), out=offsets[1:])
        vocabulary, frequencies = np.unique(hashes, return_counts=True)
        return cls(offsets, np.ascontiguousarray(hashes), vocabulary, frequencies.astype(np.int64))

    def __len__(self) -> int:
        """Return the number of passages."""
        return len(self.offsets) - 1

    def terms(self, row: int) -> TermHashes:
        """Return the terms of a passage, uint32 [k], sorted; a view, not a copy.

        Raises:
            IndexError: when there is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} is not one of the {len(self)} passages")
        return self.hashes[self.offsets[row] : self.offsets[row + 1]]

    def terms_of(self, rows: NDArray[np.int64]) -> tuple[TermHashes, NDArray[np.int64]]:
        """Return the terms of several passages one after the other, and the place in ``rows`` that each belongs to."""
        begins = self.offsets[rows]
        counts = self.offsets[rows + 1] - begins
        owner = np.repeat(np.arange(len(rows)), counts)
        return self.hashes[np.arange(len(owner)) + np.repeat(begins - np.cumsum(counts) + counts, counts)], owner

    def document_frequency(self, hashes: TermHashes, frequencies: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Return the number of passages that have each term, int64 [k]; 0 for a term that never occurs.

        Args:
            hashes: the terms.
            frequencies: of the vocabulary among some of the passages, int64 [V], as :meth:`frequencies_among` returns
                them; all passages count when None.
        """
        if not len(self.vocabulary):
            return np.zeros(len(hashes), np.int64)
        counted = self.frequencies if frequencies is None else frequencies
        place = np.minimum(np.searchsorted(self.vocabulary, hashes), len(self.vocabulary) - 1)
        return np.where(self.vocabulary[place] == hashes, counted[place], 0)

    def frequencies_among(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return how many of the chosen passages, bool [N], have each term of the vocabulary, int64 [V]."""
        inside = np.repeat(chosen, np.diff(self.offsets))
        return np.bincount(self._places[inside], minlength=len(self.vocabulary))

    @cached_property
    def _places(self) -> NDArray[np.int32]:
        """Return the place of each of the ``hashes`` in the vocabulary, int32 [nnz]."""
        return np.searchsorted(self.vocabulary, self.hashes).astype(np.int32)

    def idf(self, hashes: TermHashes) -> NDArray[np.float32]:
        """Return ln(1 + (N - df + 0.5) / (df + 0.5)) of each term, float32 [k].

        Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), eq. 3.1, kept above 0 by the 1.
        """
        return rarity(self.document_frequency(hashes), len(self))

    def save(self, path: Path) -> None:
        """Write the arrays to ``path`` (safetensors)."""
        from safetensors.numpy import save_file

        arrays: dict[str, NDArray[Any]] = {
            "offsets": self.offsets,
            "hashes": self.hashes,
            "vocabulary": self.vocabulary,
            "frequencies": self.frequencies,
        }
        save_file(arrays, str(path))

    @classmethod
    def load(cls, path: Path) -> TermIndex:
        """Read what ``save`` wrote.

        Raises:
            DamagedIndexError: when the file cannot be read or its arrays do not fit together.
        """
        arrays = load_arrays(path)
        problem = _problem(arrays)
        if problem:
            raise DamagedIndexError(f"{path}: {problem}; build the index again")
        return cls(arrays["offsets"], arrays["hashes"], arrays["vocabulary"], arrays["frequencies"])


def _problem(arrays: dict[str, NDArray[np.generic]]) -> str:
    """Return what is wrong with the arrays of a term index, or nothing."""
    expected = {"offsets": np.int64, "hashes": np.uint32, "vocabulary": np.uint32, "frequencies": np.int64}
    for name, kind in expected.items():
        if name not in arrays:
            return f"has no array {name!r}"
        if arrays[name].ndim != 1 or arrays[name].dtype != kind:
            return f"{name} is {arrays[name].dtype} {arrays[name].shape}, not one-dimensional {np.dtype(kind)}"
    offsets, hashes = arrays["offsets"].astype(np.int64), arrays["hashes"]
    vocabulary, frequencies = arrays["vocabulary"].astype(np.uint32), arrays["frequencies"].astype(np.int64)
    inner = np.diff(offsets)
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(hashes) or bool((inner < 0).any()):
        return f"offsets do not divide its {len(hashes)} hashes into rows"
    if len(vocabulary) != len(frequencies) or bool((vocabulary[1:] <= vocabulary[:-1]).any()):
        return f"vocabulary ({len(vocabulary)}) and frequencies ({len(frequencies)}) do not belong together"
    if int(frequencies.sum()) != len(hashes) or bool((frequencies < 1).any()):
        return f"frequencies add up to {frequencies.sum()} where there are {len(hashes)} hashes"
    return ""


def _distinct(text: str) -> list[int]:
    """Return the distinct term hashes of ``text``, sorted."""
    return sorted(set(map(_hash, set(analyse(text)))))


# It keeps what a word's letters alone decide; it is bounded, and safe to share between threads.
@lru_cache(maxsize=1 << 18)
def _hash(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass"))

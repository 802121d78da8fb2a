"""Finding many phrases in a text at once: whole words, the longest phrase wins.

A text is compared as its words joined by single spaces, so that ``J. R. R.`` and ``J.R.R.``, ``lay-abbot`` and
``lay- abbot``, or ``Teutberga( died`` and ``Teutberga (died`` are alike. Scripts that do not part words by
spaces or punctuation are matched only where the whole run of letters is the phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from typing import Generic, TypeVar

Entry = TypeVar("Entry")

Accept = Callable[[int, int, list[Entry]], list[Entry]]
"""Given the places ``[first, last)`` of a phrase and its entries, returns those that hold."""

_BREAKS = frozenset(".,;:!?")
PARAGRAPH_END = "\n\n"
_ABBREVIATION = 3
"""A full stop after a word this short (an initial, "St.", "Vol.") does not end a sentence."""


def words_of(text: str) -> list[str]:
    """Return the words of ``text``: runs of letters, digits and underscores, with the marks on them.

    Combining marks (category M of the Unicode Character Database) belong to the letter before them, so that neither
    a decomposed accent nor an Indic vowel sign cuts a word in two; a mark on no letter is no word.
    """
    return _word_pattern().findall(text)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return ``[start, end)`` of each of ``words_of(text)``."""
    return [match.span() for match in _word_pattern().finditer(text)]


@cache
def _word_pattern() -> re.Pattern[str]:
    # A few milliseconds on first use. Marks beyond U+FFFF (historic scripts) would slow every match tenfold.
    marks = "".join(char for char in map(chr, range(0x10000)) if unicodedata.category(char)[0] == "M")
    return re.compile(rf"\w[\w{marks}]*")


@lru_cache(maxsize=1 << 16)
def fold(word: str) -> str:
    """Return ``word`` in lower case without accents and other combining marks."""
    lowered = word.lower()
    if lowered.isascii():
        return lowered
    return without_marks(lowered)


def without_marks(text: str) -> str:
    """Return ``text`` without accents and other combining marks, case kept."""
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(char for char in parts if not unicodedata.combining(char)))


def joins(text: str, spans: Sequence[tuple[int, int]], allowed: str) -> bool:
    """Return whether the words at ``spans`` read as one phrase: no clause or paragraph ends between them.

    Punctuation that the phrase itself has (``allowed``) and full stops after short words end nothing.
    """
    for (start, end), (following, _) in pairwise(spans):
        between = text[end:following]
        if PARAGRAPH_END in between:
            return False
        for char in between:
            if char in _BREAKS and char not in allowed and not (char == "." and end - start <= _ABBREVIATION):
                return False
    return True


class PhraseTable(Generic[Entry]):
    """Phrases, each with the entries it stands for, looked up by their words.

    Every word of a text costs one look-up, and one more per length of the phrases that begin with it; memory
    is that of one dictionary over the phrases.
    """

    def __init__(self) -> None:
        self._entries: dict[str, list[Entry]] = {}
        self._lengths: dict[str, tuple[int, ...]] = {}

    def __len__(self) -> int:
        """Return the number of phrases."""
        return len(self._entries)

    def add(self, words: Sequence[str], entry: Entry) -> None:
        """Let the phrase ``words`` (not empty) stand for ``entry`` too."""
        self._entries.setdefault(" ".join(words), []).append(entry)
        lengths = self._lengths.get(words[0], ())
        if len(words) not in lengths:  # replaced, not changed: another thread may be walking through it
            self._lengths[words[0]] = tuple(sorted((*lengths, len(words)), reverse=True))

    def items(self) -> Iterator[tuple[str, list[Entry]]]:
        """Iterate over the phrases and the entries they stand for, in the order they were added."""
        return iter(self._entries.items())

    def lengths(self, word: str) -> tuple[int, ...]:
        """Return the lengths in words of the phrases that begin with ``word``, longest first."""
        return self._lengths.get(word, ())

    def entries(self, phrase: str) -> list[Entry] | None:
        """Return what the words of ``phrase``, joined by spaces, stand for."""
        return self._entries.get(phrase)

    def find(self, words: Sequence[str], accept: Accept[Entry]) -> list[tuple[int, int, list[Entry]]]:
        """Find phrases from left to right: see :func:`find_phrases`."""
        lengths_of = self._lengths
        begins = [place for place, word in enumerate(words) if word in lengths_of]
        return find_phrases(words, begins, lengths_of.__getitem__, self._entries.get, accept)


def find_phrases(
    words: Sequence[str],
    begins: Sequence[int],
    lengths_of: Callable[[str], Sequence[int]],
    entries_of: Callable[[str], list[Entry] | None],
    accept: Accept[Entry],
) -> list[tuple[int, int, list[Entry]]]:
    """Find phrases from left to right, the longest accepted one at each word, none overlapping.

    Args:
        words: the text's words, folded as the phrases were.
        begins: the places in ``words`` at which a phrase may begin, ascending.
        lengths_of: a word at one of them -> the lengths in words of the phrases it begins, longest first.
        entries_of: the words of a phrase, joined by spaces -> what it stands for.
        accept: given the places ``[first, last)`` of a phrase and its entries, returns those that hold.

    Returns:
        (first, last, accepted entries) of each phrase found.
    """
    found: list[tuple[int, int, list[Entry]]] = []
    free = 0
    for first in begins:
        if first < free:
            continue
        for length in lengths_of(words[first]):
            entries = entries_of(" ".join(words[first : first + length]))
            if entries is None or first + length > len(words):
                continue
            accepted = accept(first, first + length, entries)
            if accepted:
                found.append((first, first + length, accepted))
                free = first + length
                break
    return found

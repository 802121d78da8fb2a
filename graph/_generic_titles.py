"""Which titles name nothing: headings such as "Examples" or "System prompt", whose words are used like any others.

Only where titles are headings: many of them are written like sentences, with small letters after the first word. Among
names of people, places and works a common word is still one of them (Run, Live), and must only be capitalised.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..retrievers.words._analyser import STOP_WORDS
from ..retrievers.words._phrases import words_of

Phrase = tuple[str, ...]
"""The words by which a text names a title, in lower case."""

LONGEST = 3
"""Words of a phrase that may be generic; a longer title says enough."""

LEAST = 5
"""Passages that must have a phrase in small letters."""

SHARE = 0.5
"""Of the passages that have it in small letters or name the title by it, those that must have it in small letters."""

_HEADINGS = 0.3
"""Share of the titles of several words that must be written like sentences."""

_LOOKED_AT = 2000
"""Titles that are looked at, so that a change of a large index does not read all."""


def are_headings(titles: Sequence[str]) -> bool:
    """Return whether the titles of a corpus are headings rather than names."""
    return read_like_headings(titles[place] for place in looked_at(len(titles)))


def looked_at(passages: int) -> range:
    """Return the rows whose titles say whether those of all passages are headings."""
    return range(0, passages, max(1, passages // _LOOKED_AT))


def read_like_headings(titles: Iterable[str]) -> bool:
    """Return whether all of these titles together are headings."""
    several = small = 0
    for title in titles:
        later = [word for word in words_of(title)[1:] if word.isalpha() and word.lower() not in STOP_WORDS]
        several += bool(later)
        small += bool(later) and sum(map(str.islower, later)) * 2 > len(later)
    return small > _HEADINGS * several


def phrase_of(mention: str) -> Phrase:
    """Return the phrase of a mention as it is written in a text."""
    return tuple(words_of(mention.lower()))


def in_small_letters(phrases: Iterable[Phrase], texts: Iterable[str]) -> Counter[Phrase]:
    """Return how many texts have each phrase in small letters."""
    wanted = set(phrases)
    lengths: dict[str, set[int]] = defaultdict(set)
    for phrase in wanted:
        lengths[phrase[0]].add(len(phrase))
    found: Counter[Phrase] = Counter()
    for text in texts:
        words = words_of(text)
        starts = ((place, length) for place, word in enumerate(words) for length in lengths.get(word, ()))
        found.update(wanted.intersection(tuple(words[place : place + length]) for place, length in starts))
    return found


def is_generic(small: int, named: int) -> bool:
    """Return whether a phrase names nothing that ``small`` passages have in small letters, and ``named`` as a title."""
    return small >= LEAST and small >= SHARE * (small + named)


def generic_phrases(named: Mapping[Phrase, int], texts: Iterable[str]) -> set[Phrase]:
    """Return the phrases that name nothing, of those by which so many passages name a title."""
    short = may_be_generic(named)
    small = in_small_letters(short, texts) if short else Counter[Phrase]()
    return {phrase for phrase in short if is_generic(small[phrase], named[phrase])}


def may_be_generic(named: Iterable[Phrase]) -> list[Phrase]:
    """Return the phrases that are short enough to name nothing."""
    return [phrase for phrase in named if len(phrase) <= LONGEST]

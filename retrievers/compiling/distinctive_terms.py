"""What a document is about, in its own words: the terms that it says often and other documents seldom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from math import log1p

from ..words.phrases import words_of
from ..words.terms import analyse

MOST_TERMS = 12
"""Terms of a document that are looked at; a passage is told a few that it lacks."""

_NAME_WEIGHT = 2.0
"""A word that is never written small is the name of something, and says more of what a text is about."""


class DistinctiveTerms:
    """The terms of documents by tf-idf over a corpus: Salton and Buckley 1988, "Term-weighting approaches".

    Terms are compared by their stems, and shown as they are written most often.

    Args:
        texts: of every document of the corpus; walked through once.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        counts: Counter[str] = Counter()
        self._documents = 0
        for text in texts:
            counts.update(set(analyse(text)))
            self._documents += 1
        self._frequency: Callable[[str], int] = counts.__getitem__

    @classmethod
    def counted(cls, frequency: Callable[[str], int], documents: int) -> DistinctiveTerms:
        """Return those over a corpus that was counted already: in how many of so many documents a stem is."""
        terms = cls(())
        terms._frequency, terms._documents = frequency, documents
        return terms

    def of(self, text: str) -> list[tuple[str, str]]:
        """Return (stem, word) of the ``MOST_TERMS`` most distinctive terms said twice or more, best first."""
        written: dict[str, Counter[str]] = {}
        for word in words_of(text):
            for stem in analyse(word):
                written.setdefault(stem, Counter())[word] += 1
        ranked = sorted(
            ((-self._weight(stem, words), stem) for stem, words in written.items() if words.total() > 1),
        )
        return [(stem, written[stem].most_common(1)[0][0]) for _, stem in ranked[:MOST_TERMS]]

    def _weight(self, stem: str, words: Counter[str]) -> float:
        """Return tf times ln(1 + (N - df + 0.5) / (df + 0.5)), more for a name."""
        frequency = self._frequency(stem)
        named = all(word[0].isupper() for word in words)
        idf = log1p((self._documents - frequency + 0.5) / (frequency + 0.5))
        return words.total() * idf * (_NAME_WEIGHT if named else 1.0)

"""What a document says often and others seldom."""

import math
from collections import Counter

from trailhound.retrievers.compiling._context import MOST_TERMS, DistinctiveTerms
from trailhound.retrievers.words._terms import analyse

TEXTS = [
    "Lena Marsk painted gates. Marsk sold gates. The gates of Torl are green; green gates.",
    "Torl has gates. Torl is green.",
    "Nothing of that kind is green.",
]


def terms_of(texts: list[str]) -> DistinctiveTerms:
    return DistinctiveTerms(Counter(stem for text in texts for stem in set(analyse(text))).__getitem__, len(texts))


def test_ranked_by_frequency_and_rarity() -> None:
    """By hand, N = 3: gate 4 x ln(1 + 1.5/2.5), marsk 2 x 2 x ln(1 + 2.5/1.5) as a name, green 2 x ln(1 + 0.5/3.5)."""
    assert 4 * math.log(1 + 2.5 / 1.5) > 4 * math.log(1 + 1.5 / 2.5) > 2 * math.log(1 + 0.5 / 3.5)
    assert terms_of(TEXTS).of(TEXTS[0]) == [("marsk", "Marsk"), ("gate", "gates"), ("green", "green")]


def test_no_stop_words_nothing_said_once_and_a_bound() -> None:
    terms = terms_of(TEXTS)
    assert terms.of(TEXTS[2]) == []
    assert len(terms.of(" ".join(f"word{n} word{n}" for n in range(99)))) == MOST_TERMS

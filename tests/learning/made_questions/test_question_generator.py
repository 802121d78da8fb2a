"""Words of a passage's own sentences, and what is left out of them."""

from __future__ import annotations

import numpy as np
from trailhound.learning.made_questions._question_generator import keywords, masked


def test_one_name_number_or_word_is_asked_for() -> None:
    predicate = "directed 130 films in 1934 with Jo Hill in Rome"
    seen = {masked(predicate, np.random.default_rng(seed)) for seed in range(40)}
    assert seen == {
        "directed how many films in 1934 with Jo Hill in Rome",
        "directed 130 films in which year with Jo Hill in Rome",
        "directed 130 films in 1934 with whom in Rome",
        "directed 130 films in 1934 with Jo Hill in which place",
    }
    rng = np.random.default_rng(0)
    assert masked("was fond of bread", rng) == "was fond of what"
    assert masked("was a baker", rng) == ""


def test_keywords_are_words_of_the_text_in_their_order() -> None:
    text = "The old, grey harbour of the town (built in 1402) froze over."
    words = text.replace(",", "").replace("(", "").replace(")", "").replace(".", "").split()
    for seed in range(20):
        kept = keywords(text, np.random.default_rng(seed), 5).split()
        assert 0 < len(kept) <= 5
        remaining = iter(words)
        assert all(word in remaining for word in kept)

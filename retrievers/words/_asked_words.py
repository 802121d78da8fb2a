"""What a question asks the fields of the lexical index for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

from ._analyser import STOP_WORDS, identifiers, terms

_WEIGHTS = {"both": 1.0, "title": 0.5}
"""What the words of a question weigh in a field."""

_IDENTIFIER_WEIGHT = 1.0
"""What an identifier as a whole weighs beside that."""

_WORD_AS_FORM = 0.1
"""What a word of letters alone weighs among the forms of a passage: it may be written in two words there."""

_FORM_WEIGHT = 0.5
"""What other forms of a question's words weigh, among the forms of a passage and among its words."""


_ASKED = 128
"""Questions whose words are remembered: every segment and shard is asked for the same ones."""


@dataclass(frozen=True, slots=True)
class AskedWord:
    """A term that a question asks a field for, and what it weighs."""

    field: str
    term: str
    weight: float


@lru_cache(_ASKED)
def asked_words(text: str) -> tuple[AskedWord, ...]:
    """Return what a question asks for: words and identifiers by field, with their weights."""
    found, forms = terms(text)
    counts = Counter(word for word in found if word not in STOP_WORDS)
    weights = dict(_WEIGHTS)
    if not counts and not forms:
        counts, weights = Counter(found), {"both": 1.0, "common": 1.0}
    asked = []
    for word, count in counts.items():
        as_form = _WORD_AS_FORM if word.isalpha() else _FORM_WEIGHT
        for field, weight in (*weights.items(), ("forms", as_form)):
            asked.append(AskedWord(field, word, weight * sqrt(count)))
    for form, count in Counter(forms).items():
        weight = _FORM_WEIGHT * sqrt(count)
        asked.append(AskedWord("forms", form, weight))
        asked += [AskedWord(field, form, weight * share) for field, share in _WEIGHTS.items()]
    asked += [AskedWord("forms", one.terms[0], _IDENTIFIER_WEIGHT) for one in identifiers(text)]
    return tuple(asked)

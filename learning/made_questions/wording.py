"""How people put a question: what they call its start, and how carelessly they write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ...retrievers.words.terms import STOP_WORDS
from .portrait import Portrait

T = TypeVar("T")

_KEYWORDS = 0.08
_LOWER_CASE = 0.05
_LOST_WORD = 0.06


def choose(items: Sequence[T], rng: np.random.Generator) -> T:
    """Return one of ``items``."""
    return items[int(rng.integers(len(items)))]


def call(portrait: Portrait, namesakes: int, rng: np.random.Generator) -> str:
    """Return a name for what a passage is about: its title, with or without parenthesis or kind.

    Args:
        portrait: the passage.
        namesakes: passages whose title is the same but for the parenthesis; of several, the parenthesis tells.
        rng: the generator.
    """
    name, title = portrait.name, portrait.title
    if title != name and rng.random() < (0.8 if namesakes > 1 else 0.25):
        name = title
    elif not portrait.is_person and portrait.kind and rng.random() < 0.4:
        first = portrait.kind if rng.random() < 0.8 else f"the {portrait.kind}"
        if portrait.kind not in name.lower():
            name = f"{first} {name}"
    return _capitalised(name) if rng.random() < 0.3 else name


def plural(noun: str) -> str:
    """Return the plural of an English noun, by rule."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def careless(text: str, rng: np.random.Generator) -> str:
    """Return the question as some people type it: now and then as keywords, in lower case, or with a word lost."""
    text = text[:1].upper() + text[1:]
    drawn = rng.random()
    if drawn < _KEYWORDS:
        return " ".join(word for word in text.rstrip("?").split() if word.lower() not in STOP_WORDS)
    if drawn < _KEYWORDS + _LOWER_CASE:
        return text.lower().rstrip("?")
    if drawn < _KEYWORDS + _LOWER_CASE + _LOST_WORD:
        words = text.split()
        small = [k for k, word in enumerate(words[:-1]) if word.islower()]
        if small:
            del words[choose(small, rng)]
        return " ".join(words)
    return text


def _capitalised(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split(" "))

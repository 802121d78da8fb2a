"""Questions and descriptions from a passage's own sentences: a clause, with a name, a number or a noun left out."""

from __future__ import annotations

import re

import numpy as np

from .portrait import Portrait

_SUBJECT = r"(?:He|She|It|They|This \w+|The \w+|His \w+|Her \w+|Its \w+)"
_PREDICATE = re.compile(
    rf"^(?:{_SUBJECT}|(?P<name>[^.,;(]{{2,60}}?)(?:\s?\([^)]*\))?)\s(?P<rest>(?:also |then |later |first )?"
    r"(?:is|was|are|were|has|had|[a-z]{3,}ed|became|won|wrote|made|led|began|took|stars|tells|follows)\b.+)"
)
_STOP = re.compile(r"[;.]|,\s(?:and|but|which|who|where|while|with)\b|\s\(")
_NUMBER = re.compile(r"\b\d[\d,.]*\b")
_NAME = re.compile(r"\b[A-Z][\w'’-]+(?:\s(?:(?:of|the|de)\s)?[A-Z][\w'’-]+)*")
_MOST_WORDS = 14
_BARE = re.compile(r"[^\w\s'’-]+")


def predicates(portrait: Portrait, avoid: tuple[int, int] | None = None) -> list[str]:
    """Return what the passage says of its subject, as predicates ("directed 130 films between 1914 and 1934").

    Args:
        portrait: the passage.
        avoid: a span; the sentence that holds it is left out.
    """
    found = []
    for begin, end in portrait.sentences:
        if avoid is not None and begin <= avoid[0] < end:
            continue
        match = _PREDICATE.match(portrait.text[begin:end].strip().lstrip('"“ '))
        if match is None:
            continue
        name = match.group("name")
        if name is not None and not _names(name, portrait.name):
            continue
        words = _STOP.split(match.group("rest"))[0].split()
        if 3 <= len(words) <= 30:
            found.append(" ".join(words[:_MOST_WORDS]))
    return found


def _names(name: str, title: str) -> bool:
    """Return whether ``name`` names what ``title`` does: they share their last word, or most of their words."""
    first, second = name.lower().split(), title.lower().split()
    return bool(first and second) and (first[-1] == second[-1] or first[0] == second[0])


def masked(predicate: str, rng: np.random.Generator) -> str:
    """Return a predicate with one name, number or last word replaced by a question word; "" when nothing can be."""
    spans = [(m.start(), m.end(), _asks_number(predicate, m.start(), m.group())) for m in _NUMBER.finditer(predicate)]
    spans += [(m.start(), m.end(), _asks_name(predicate, m.start())) for m in _NAME.finditer(predicate)]
    if not spans:
        words = predicate.split()
        return " ".join([*words[:-1], "what"]) if len(words) > 3 else ""
    start, end, word = spans[int(rng.integers(len(spans)))]
    return f"{predicate[:start]}{word}{predicate[end:]}"


def _asks_number(text: str, start: int, number: str) -> str:
    if len(number) == 4 and number[0] in "12":
        return (
            "which year"
            if text[:start].rstrip().endswith((" in", " of", " between", " and", " since"))
            else "what year"
        )
    return "how many"


def _asks_name(text: str, start: int) -> str:
    before = text[:start].rstrip()
    if before.endswith((" in", " at", " near", " from")):
        return "which place"
    return "whom" if before.endswith((" by", " with", " to")) else "what"


def keywords(text: str, rng: np.random.Generator, most: int, drop: float = 0.3) -> str:
    """Return some of the words of ``text`` in their order, without marks, each left out with probability ``drop``."""
    words = _BARE.sub(" ", text).split()
    kept = [word for word in words if rng.random() >= drop]
    if len(kept) > most:
        first = int(rng.integers(len(kept) - most + 1))
        kept = kept[first : first + most]
    return " ".join(kept)

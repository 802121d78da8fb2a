"""A question as a reader sees it: what kind of answer it wants, and the two things it compares."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...retrievers.records import Vectors
from ...retrievers.words.terms import STOP_WORDS
from .answer_text import normalise_answer
from .word_vectors import DIMENSION, WordVectors

CUES = (
    "when", "date", "year", "where", "place", "city", "country", "nationality", "who", "whom", "which", "what", "how",
    "many", "name", "birth", "born", "die", "dea", "bur", "direct", "compos", "perform", "same", "both", "film",
    "song", "father", "mother", "husband|wife|spouse|married", "child|son|daughter", "sibling|brother|sister",
    "grand", "law", "aunt|uncle", "step", "award|prize", "stud|educat|graduat|school|universit", "work|employ", "cause",
    "found|establish|start|form", "old", "young", "first", "earl", "lat", "last|recent", "longer|long", "more|most",
    "release|came|publish", "located|locat", "profession|occupation|job", "language|religion|gender", "actor|actress",
    "band|group|company|team", "writer|author|wrote|novel|book",
)  # fmt: skip
"""Beginnings of words; a cue is there when a word of the question begins with one of its alternatives."""

_CUE_PATTERNS = tuple(re.compile(rf"\b(?:{cue})") for cue in CUES)
_CLOSED = re.compile(r"^(?:are|is|was|were|do|does|did|has|have|had|can|could)\b", re.IGNORECASE)
_EITHER = re.compile(r"(?:.*?(?:[,:;]| between| is it|\?))?\s*(.+?),?\s+or\s+(.+?)\s*\?*\s*$", re.IGNORECASE)
_BETWEEN = re.compile(
    r"(?:between|of|both|are|is|were|was|do|did|does|have|has)\s+(?:both\s+)?(.+?),?\s+and\s+(.+?)(?:,|\?|\s+\w+\?|$)",
    re.IGNORECASE,
)
_HEAD = re.compile(r"^(?:was|is|were|are|does|do|did)\s+(?:either\s+)?", re.IGNORECASE)
_TAIL = re.compile(r",?\s+(?:was|were|is|are|had|has|born|come|comes|located|founded|released|died)\b.*$")
_UPWARD = re.compile(r"\b(?:later|latest|last|recent\w*|young\w*|newer|newest|longer|longest|more|most|after)\b")
_DOWNWARD = re.compile(r"\b(?:first|earl\w*|old\w*|elder\w*|before|shorter|fewer|less)\b")


@dataclass(frozen=True, slots=True)
class QuestionReading:
    """A question, analysed once.

    Attributes:
        text: the question.
        closed: it can be answered with yes or no.
        choices: the two answers it offers ("... , A or B?"), or none.
        cues: float32 [len(CUES)].
        upward: 1 when more or later is asked for, -1 for less or earlier, 0 for neither.
        vector: float32 [DIMENSION], mean of the word vectors outside names.
        words: its normalised words.
        content: those that are neither stop words nor in a name.
    """

    text: str
    closed: bool
    choices: tuple[str, ...]
    cues: NDArray[np.float32]
    upward: float
    vector: Vectors
    words: frozenset[str]
    content: frozenset[str]

    @classmethod
    def of(cls, text: str, names: list[tuple[int, int]], vectors: WordVectors) -> QuestionReading:
        """Analyse a question in which ``names`` are the places of the titles that it names."""
        outside = _without(text, names)
        lowered = outside.lower()
        pieces = vectors.cut(outside)
        vector = pieces.vectors.mean(axis=0) if len(pieces.starts) else np.zeros(DIMENSION, np.float32)
        closed = bool(_CLOSED.match(text.strip()))
        content = frozenset(word for word in normalise_answer(outside).split() if word not in STOP_WORDS)
        return cls(
            text,
            closed and " or " not in text.lower(),
            _choices(text, names),
            np.array([bool(pattern.search(lowered)) for pattern in _CUE_PATTERNS], np.float32),
            float(bool(_UPWARD.search(lowered))) - float(bool(_DOWNWARD.search(lowered))),
            vector,
            frozenset(normalise_answer(text).split()),
            content,
        )


def _without(text: str, names: list[tuple[int, int]]) -> str:
    """Return the text with its names blanked out."""
    for start, end in names:
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _choices(text: str, names: list[tuple[int, int]]) -> tuple[str, ...]:
    """Return the two things that a question offers to choose between."""
    named = list(dict.fromkeys(text[start:end] for start, end in names))
    if " or " in text.lower():
        match = _EITHER.match(text)
        if match:
            return _tidied(match.group(1), named), _tidied(match.group(2), named)
    if _CLOSED.match(text.strip()):
        return ()
    between = _BETWEEN.search(text)
    if between and ("between" in text.lower() or "which" in text.lower()) and len(named) == 2:
        return tuple(named)
    return ()


def _tidied(choice: str, named: list[str]) -> str:
    """Return the choice without quotation marks; the title in it where words stand before it."""
    choice = _TAIL.sub("", _HEAD.sub("", choice)).strip().strip('"“”').strip()
    inside = [name for name in named if choice.endswith(name) and len(name) < len(choice)]
    return max(inside, key=len) if inside and choice[0].islower() else choice

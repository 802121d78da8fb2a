"""A question as a reader sees it: what kind of answer it wants, and how the two things it compares differ.

For each of two things its own passage is read, and the passage it leads to in the evidence (the director of a film):
birth, death, first and last date, life span, countries. A candidate is only given who is ahead in what; which of it
the question asks for is for the network to learn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...retrievers.records import Vectors
from ...retrievers.words._analyser import STOP_WORDS
from ._passage_analysis import DIMENSION, PassageAnalysis, WordVectors
from ._protocol import normalise_answer, overlap_f1

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
_ASKING = re.compile(r"^(?:who|which|what)\b(?:\s+[^\W\dA-Z]\w*)+\s+(?=[A-Z\"“])")
"""The question before the first of two things, where no comma stands between: "Who died first A or B?"."""
_HEAD = re.compile(r"^(?:was|is|were|are|does|do|did)\s+(?:either\s+)?", re.IGNORECASE)
_TAIL = re.compile(r",?\s+(?:was|were|is|are|had|has|born|come|comes|located|founded|released|died)\b.*$")
_UPWARD = re.compile(r"\b(?:later|latest|last|recent\w*|young\w*|newer|newest|longer|longest|more|most|after)\b")
_DOWNWARD = re.compile(r"\b(?:first|earl\w*|old\w*|elder\w*|before|shorter|fewer|less)\b")


@dataclass(frozen=True, slots=True)
class QuestionAnalysis:
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
    def of(cls, text: str, names: list[tuple[int, int]], vectors: WordVectors) -> QuestionAnalysis:
        """Analyse a question in which ``names`` are the places of the titles that it names."""
        outside = text
        for start, end in names:  # blanked out
            outside = outside[:start] + " " * (end - start) + outside[end:]
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
    choice = _ASKING.sub("", choice)
    choice = _TAIL.sub("", _HEAD.sub("", choice)).strip().strip('"“”').strip()
    inside = [name for name in named if choice.endswith(name) and len(name) < len(choice)]
    return max(inside, key=len) if inside and choice[0].islower() else choice


QUANTITIES = ("birth", "death", "first", "last", "span")
_LEVELS = ("own", "led")
CHOICE = (
    *(f"{quantity}_{level}" for level in _LEVELS for quantity in QUANTITIES),
    *(f"asked_{quantity}_{level}" for level in _LEVELS for quantity in QUANTITIES),
    "people",
    "agreement",
    "own_known",
    "led_known",
)
"""Of a thing that the question offers: 1 where it is ahead of the other, -1 where behind, 0 where unknown; ``asked``
is the same, turned so that 1 is in the direction of the question."""

CLOSED = ("same_country_own", "same_country_led", "shared_country_own", "shared_country_led", "coverage", "known")
"""Of a question to be answered with yes or no: 1 for yes, -1 for no, 0 for unknown."""

_PEOPLE = re.compile(r"(?:directed|produced|written|composed)(?: and \w+)? by\s+((?:[^.;(]|\b\w\.)+)")


@dataclass(frozen=True, slots=True)
class Compared:
    """The two things of a question in the evidence: their passages, and those they lead to; -1 where missing."""

    own: tuple[int, int]
    led: tuple[int, int]


def find_compared(
    question: QuestionAnalysis, passages: Sequence[PassageAnalysis], named: Sequence[int], links: NDArray[np.bool_]
) -> Compared:
    """Find the passages of the two things compared, and what each leads to.

    ``named`` are the passages whose titles the question names, in its order; ``links`` say whether a passage mentions
    the title of another, bool [n, n].
    """
    own = [-1, -1]
    if question.choices:
        for side, choice in enumerate(question.choices):
            own[side] = _best_title(choice, passages, own)
    else:
        own[: len(named[:2])] = named[:2]
    led = [-1, -1]
    for side, at in enumerate(own):
        if at >= 0:
            targets = [int(t) for t in np.flatnonzero(links[at]) if t not in own]
            led[side] = targets[0] if targets else -1
    return Compared((own[0], own[1]), (led[0], led[1]))


def choice_features(
    question: QuestionAnalysis, passages: Sequence[PassageAnalysis], compared: Compared
) -> NDArray[np.float32]:
    """Return the features of both choices, float32 [2, len(CHOICE)]; one's lead is the other's lag."""
    leads: list[float] = []
    for first, second in (compared.own, compared.led):
        if first >= 0 and second >= 0:
            leads += [_lead(a, b) for a, b in zip(_values(passages[first]), _values(passages[second]), strict=True)]
        else:
            leads += [0.0] * len(QUANTITIES)
    leads += [lead * question.upward for lead in leads]
    both = compared.own[0] >= 0 and compared.own[1] >= 0
    people = agreement = 0.0
    if both:
        first_passage, second_passage = passages[compared.own[0]], passages[compared.own[1]]
        people = _lead(_people(first_passage.text), _people(second_passage.text))
        agreement = _agreement(question, first_passage) - _agreement(question, second_passage)
    known = [both, compared.led[0] >= 0 and compared.led[1] >= 0]
    signs = np.array([*leads, people, agreement], np.float32)
    return np.stack([np.r_[signs, known], np.r_[-signs, known]]).astype(np.float32)


def closed_features(
    question: QuestionAnalysis, passages: Sequence[PassageAnalysis], compared: Compared
) -> NDArray[np.float32]:
    """Return what speaks for yes (positive) and for no, float32 [len(CLOSED)]."""
    out = np.zeros(len(CLOSED), np.float32)
    led = tuple(one if one >= 0 else other for one, other in zip(compared.led, compared.own, strict=True))
    for level, (first, second) in enumerate((compared.own, led)):
        if first >= 0 and second >= 0:
            a, b = passages[first].countries, passages[second].countries
            if a and b:
                out[level] = 1 if a[0] == b[0] else -1
                out[2 + level] = 1 if set(a) & set(b) else -1
    if min(compared.own) >= 0:
        out[4] = 2 * min(_agreement(question, passages[k]) for k in compared.own) - 1
        out[5] = 1
    return out


def _best_title(choice: str, passages: Sequence[PassageAnalysis], used: Sequence[int]) -> int:
    words = normalise_answer(choice).split()
    scores = [
        0.0 if k in used else overlap_f1(words, normalise_answer(passage.title).split())
        for k, passage in enumerate(passages)
    ]
    best = int(np.argmax(scores)) if scores else -1
    return best if scores and scores[best] >= 0.5 else -1


def _values(passage: PassageAnalysis) -> tuple[float, ...]:
    times = passage.times
    return times.birth, times.death, times.first, times.last, times.death - times.birth


def _lead(first: float, second: float) -> float:
    """Return 1 where the first is larger, -1 where it is smaller, 0 where they are equal or one is not known."""
    difference = first - second
    return 0.0 if np.isnan(difference) else float(np.sign(difference))


def _people(text: str) -> float:
    """Count the people of "directed by A, B and C"."""
    match = _PEOPLE.search(text)
    if match is None:
        return float(np.nan)
    named = re.split(r"\b(?:and starring|starring|and written|written|with|from|based|for|who)\b", match.group(1))[0]
    return 1.0 + len(re.findall(r",\s*(?=[A-Z])|\band\s+(?=[A-Z])", named))


def _agreement(question: QuestionAnalysis, passage: PassageAnalysis) -> float:
    """Return the share of the question's content words that the passage has."""
    words = frozenset[str]().union(*passage.sentences)
    return len(question.content & words) / max(len(question.content), 1)

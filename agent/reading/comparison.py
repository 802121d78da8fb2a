"""The symbolic step of comparison questions: when, where and how many, for each of the two things compared.

For each of two things its own passage is read, and the passage it leads to in the evidence (the director of a film):
birth, death, first and last date, life span, countries. What a candidate is told is only who is ahead in what; which
of it the question asks for is the network's to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .answer_text import normalise_answer, overlap_f1
from .passage_reading import PassageReading
from .question_reading import QuestionReading

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
    question: QuestionReading, passages: Sequence[PassageReading], named: Sequence[int], links: NDArray[np.bool_]
) -> Compared:
    """Find the passages of the two things compared, and what each leads to.

    Args:
        question: with its choices, if it offers any.
        passages: the evidence.
        named: passages whose titles the question names, in the question's order.
        links: bool [n, n], whether a passage mentions the title of another.
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
    question: QuestionReading, passages: Sequence[PassageReading], compared: Compared
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
    question: QuestionReading, passages: Sequence[PassageReading], compared: Compared
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


def _best_title(choice: str, passages: Sequence[PassageReading], used: Sequence[int]) -> int:
    words = normalise_answer(choice).split()
    scores = [
        0.0 if k in used else overlap_f1(words, normalise_answer(passage.title).split())
        for k, passage in enumerate(passages)
    ]
    best = int(np.argmax(scores)) if scores else -1
    return best if scores and scores[best] >= 0.5 else -1


def _values(passage: PassageReading) -> tuple[float, ...]:
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


def _agreement(question: QuestionReading, passage: PassageReading) -> float:
    """Return the share of the question's content words that the passage has."""
    words = frozenset[str]().union(*passage.sentences)
    return len(question.content & words) / max(len(question.content), 1)

"""What every reader can do, and answers as texts: when two are the same, and how much they share."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...retrievers.records import Passage


@dataclass(frozen=True, slots=True)
class ReadingTask:
    """A question, an answer to judge, and the evidence in the order it was found."""

    question: str
    answer: str
    passages: tuple[Passage, ...]


class Reader(Protocol):
    """Judges answers: ``p(y | z, q)`` of a path ``z`` that found some evidence.

    Contract, held by ``tests/agent/reader/test_contract.py``: a log-likelihood is finite and at most 0, does not
    depend on what else is in the batch, and is the same every time.
    """

    name: str
    """What to tell the user."""

    def log_likelihoods(self, tasks: Sequence[ReadingTask]) -> NDArray[np.float64]:
        """Return log p(answer | question, evidence) of every task, float64 [n]."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that a reader found.

    Attributes:
        text: as the passage or the question writes it.
        probability: that it is right, as far as the reader can tell.
        passage: id of the passage it was read in; None for one that no passage writes out (yes, no, a choice).
        start, end: its place in that passage's text; 0 and 0 without a passage.
        stated: the reader is sure enough to state it; else it is a guess, and the best sentence says more.
    """

    text: str
    probability: float
    passage: str | None = None
    start: int = 0
    end: int = 0
    stated: bool = False


_BRACKET = re.compile(r"\[(?=\s{0,8}\d)")
CITATION = re.compile(r"(?<!\\)\[\s{0,8}(\d{1,9}(?:\s{0,8}[,;]\s{0,8}\d{1,9}){0,99})\s{0,8}\]")


def cited_passage(number: int, title: str, text: str, place: str = "") -> str:
    """Return a passage as a language model is shown it: ``[number] title (place)``, then its text.

    Nothing in the passage looks like a marker: ``[2`` in a title, place or text becomes ``\\[2``.
    """
    named = " ".join(title.split()) + (f" ({' '.join(place.split())})" if place else "")
    head, _, body = _BRACKET.sub(r"\\[", f"{named.lstrip()}\n{text}").partition("\n")
    return f"[{number}] {head}".rstrip() + f"\n{body}"


def cited_numbers(text: str) -> list[int]:
    """Return the numbers that a text cites as ``[1]`` or ``[1, 2]``, in order, each once; escaped ones do not count."""
    groups = (re.split("[,;]", found[1]) for found in CITATION.finditer(text))
    return list(dict.fromkeys(int(number) for group in groups for number in group))


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Lower the case, drop punctuation and articles, and squeeze spaces.

    The normalisation of SQuAD's evaluation (Rajpurkar et al. 2016, arXiv:1606.05250), which HotpotQA and
    2WikiMultiHopQA share.
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: str) -> float:
    """Return 1 when both are the same after normalisation, else 0."""
    return float(normalise_answer(answer) == normalise_answer(gold))


def f1_score(answer: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall over words, 0 to 1; yes, no and noanswer match whole or not."""
    first, second = normalise_answer(answer), normalise_answer(gold)
    closed = {"yes", "no", "noanswer"}
    if (first in closed or second in closed) and first != second:
        return 0.0
    return overlap_f1(first.split(), second.split())


def overlap_f1(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the F1 of two bags of words; 0 when they share none."""
    shared = sum((Counter(first) & Counter(second)).values())
    return 2 * shared / (len(first) + len(second)) if shared else 0.0

"""Answers as texts: when two are the same, and how much they share."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

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

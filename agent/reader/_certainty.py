"""How sure a reader can be of its answer: the chance that it is right, by what the reading looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...retrievers._calibration import LogisticCurve
from ._candidate_features import FEATURES, AnswerCandidates

SIGNALS = (
    "odds",  # log-odds of the answer, within +-7
    "lead",  # log of its probability over that of the next best answer, up to 7
    "unknown",  # log-probability that none of the candidates is the answer, from -7
    "place",  # log-probability of its likeliest place alone, from -7
    "offered",  # yes, no, or one of two things that the question names
    "decided",  # it is offered, and the dates or countries of the passages speak for it
    "phrase",  # words in small letters, or a quotation
    "whole",  # a whole name, date or number rather than a part or an extension
    "sentence",  # share of the question's words in its sentence
    "passage",  # ... in its passage
    "named",  # its passage is named by the question
    "linked",  # ... or linked with one that is
    "passages",  # how many were read
    "asks_fact",  # the question begins as one does that a name, a date or a number answers
    "asks_how",  # how to, why, what is the way: to be answered by sentences
    "words",  # of the question, in tens, up to 4
)
"""What an answer is judged by."""

_FACT = re.compile(
    r"\b(?:who|whom|whose|when|where|how (?:many|much|old|long|far|tall|large|big|high)"
    r"|what (?:year|date|day|city|country|state|nationality|is the (?:name|date|place|birth))"
    r"|(?:which|what) (?!(?:is|are|was|were|do|does|did|can|should)\b)\w+)",
    re.IGNORECASE,
)
_HOW = re.compile(
    r"^(?:how (?!many|much|old|long|far|tall|large|big|high)|why\b|explain|describe|can (?:i|you|we)\b|should\b)"
    r"|\bhow (?:to|do|does|can|should|is|are|did)\b"
    r"|\b(?:difference between|steps|purpose|in what ways?|what happens)\b",
    re.IGNORECASE,
)
_MOST = 7.0
_AT = {name: k for k, name in enumerate(FEATURES)}
_BEGUN = r"\b(?:releas|publish|found|establish|form|creat|open|premier|c[ao]me out|start|built|launch|introduc)\w*\b"
_ORDER = r"\b(?:first|earlier|earliest|later|latest|newer|older|recent\w*|before|after)\b"
_COMPARED = (
    ("span", re.compile(r"\b(?:liv\w+ (?:longer|shorter)|(?:longer|shorter) (?:life|lives|lived))\b", re.IGNORECASE)),
    ("birth", re.compile(r"\b(?:born|birth|birthday|older|oldest|elder|younger|youngest)\b", re.IGNORECASE)),
    ("death", re.compile(r"\b(?:die|dies|died|dead|death|passed away)\b", re.IGNORECASE)),
    ("first", re.compile(rf"{_BEGUN}.*{_ORDER}|{_ORDER}.*{_BEGUN}", re.IGNORECASE)),
)
"""What of two things a question compares: the first that is found."""
_COUNTRY = re.compile(r"\b(?:nationalit\w+|countr\w+|located in|from the same)\b", re.IGNORECASE)


def signals_of(
    question: str,
    candidates: AnswerCandidates,
    probabilities: NDArray[np.float64],
    total: Mapping[str, float],
    at: int,
) -> NDArray[np.float64]:
    """Return the signals of an answer, float64 [len(SIGNALS)].

    Args:
        question: in words.
        candidates: n of them.
        probabilities: of each, float64 [n].
        total: probability of each answer over all its places.
        at: the candidate where the answer is likeliest to stand.
    """
    chosen = candidates.answers[at]
    mine = min(max(total[chosen], 1e-6), 1 - 1e-6)
    second = max((p for answer, p in total.items() if answer != chosen), default=0.0)

    def feature(*names: str) -> float:
        return float(sum(candidates.features[at, _AT[name]] for name in names))

    return np.array(
        [
            np.clip(np.log(mine / (1 - mine)), -_MOST, _MOST),
            min(np.log(mine / max(second, 1e-6)), _MOST),
            max(np.log(max(float(probabilities[-1]), 1e-6)), -_MOST),
            max(np.log(max(float(probabilities[at]), 1e-6)), -_MOST),
            feature("choice", "yes", "no"),
            _decided(question, candidates.features[at]),
            feature("phrase", "quote"),
            feature("date", "year", "number", "name"),
            feature("sentence_agreement"),
            feature("passage_agreement"),
            feature("named"),
            feature("one_link_away", "two_links_away"),
            5 * feature("passages"),
            bool(_FACT.search(question)),
            bool(_HOW.search(question)),
            min(len(question.split()) / 10, 4.0),
        ]
    )


def _decided(question: str, features: NDArray[np.float32]) -> bool:
    """Return whether dates or countries speak for what the question offers, by the features of that candidate.

    What a network makes of an offer without them is hardly better than a coin.
    """
    if features[_AT["yes"]] or features[_AT["no"]]:
        same = min(features[_AT["same_country_own"]], features[_AT["same_country_led"]])
        return bool(_COUNTRY.search(question)) and bool(same > 0)
    if not features[_AT["choice"]]:
        return False
    for quantity, pattern in _COMPARED:
        if pattern.search(question):
            own, led = features[_AT[f"asked_{quantity}_own"]], features[_AT[f"asked_{quantity}_led"]]
            return bool((own or led) > 0)
    return False


STATED_FROM = 0.8
"""Chance of being right from which an answer is stated: four times in five."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """The chance that an answer is right, fitted to answers that the reader had not learned.

    Attributes:
        curve: over ``SIGNALS``.
    """

    curve: LogisticCurve

    def of(self, signals: NDArray[np.float64]) -> float:
        """Return the chance that an answer with these signals is right."""
        return float(self.curve(signals))

    def states(self, signals: NDArray[np.float64]) -> bool:
        """Return whether an answer is stated: it is sure enough, and it is neither a guess between two nor how-to."""
        guessed = signals[SIGNALS.index("offered")] > signals[SIGNALS.index("decided")]
        return self.of(signals) >= STATED_FROM and not guessed and not signals[SIGNALS.index("asks_how")]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"signals": list(SIGNALS), "curve": asdict(self.curve)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Certainty:
        """Return what :meth:`to_json` described.

        Raises:
            ValueError: when it was fitted to other signals.
        """
        if values["signals"] != list(SIGNALS):
            raise ValueError("its certainty was fitted to other signals")
        weights, means, scales = (tuple(map(float, values["curve"][name])) for name in ("weights", "means", "scales"))
        return cls(LogisticCurve(weights, means, scales, float(values["curve"]["bias"])))

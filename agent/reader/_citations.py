"""Checks what a language model wrote: every sentence must cite passages that were shown to it and that say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...retrievers._places import in_full
from ...retrievers.compiling._sentences import sentence_spans
from ...retrievers.records import Passage
from ...retrievers.words._analyser import STOP_WORDS, words
from ._protocol import CITATION, cited_numbers

UNCITED = "cites nothing"
FORGED = "cites a passage that was not shown"
UNSUPPORTED = "is not what the cited passage says"

SHARE = 0.6
"""Share of a sentence's words that the passages it cites must have, beside all its names, numbers and quotations."""

_QUOTED = re.compile(r"[\"“]([^\"“”\n]{3,})[\"”]")
_TELLING = re.compile(r"(?<![\w.])\d[\d.,:/-]*(?<![.,:/-])|(?<!^)(?<![.!?] )\b[A-Z][\w'’-]*")
"""Numbers, and words with a capital that do not begin a sentence."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that a language model wrote.

    Attributes:
        text: with its citations.
        cites: the numbers it cites, in order.
        problem: what is wrong with it, in words; None where the passages it cites support it.
    """

    text: str
    cites: tuple[int, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """An answer that a language model wrote from the passages found.

    Attributes:
        text: as the model wrote it.
        written_by: the model.
        claims: its sentences, each checked against the passages it cites.
    """

    text: str
    written_by: str
    claims: tuple[Claim, ...]

    @property
    def supported(self) -> bool:
        """Return whether there is something said, and every sentence is supported by what it cites."""
        return bool(self.claims) and all(claim.problem is None for claim in self.claims)


def check_citations(text: str, passages: Sequence[Passage]) -> tuple[Claim, ...]:
    """Return the sentences of a text, each checked; the passage ``[1]`` is the first.

    A citation behind a full stop belongs to the sentence before it.
    """
    claims = []
    for sentence in _sentences(text):
        cites = tuple(cited_numbers(sentence))
        if not cites:
            problem: str | None = UNCITED
        elif not all(1 <= number <= len(passages) for number in cites):
            problem = FORGED
        else:
            problem = None if _supported(sentence, [passages[number - 1] for number in cites]) else UNSUPPORTED
        claims.append(Claim(sentence, cites, problem))
    return tuple(claims)


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    for start, end in sentence_spans(text):
        sentence = text[start:end].strip()
        leading = re.match(rf"(?:{CITATION.pattern}[\s.,;]*)+", sentence)
        if leading is not None and found:
            found[-1] += " " + leading.group().strip()
            sentence = sentence[leading.end() :].strip()
        if sentence:
            found.append(sentence)
    return found


def _supported(sentence: str, passages: Sequence[Passage]) -> bool:
    """Return whether passages have a sentence's quotations, names and numbers, and most of its words."""
    said = CITATION.sub(" ", sentence).strip()
    source = " \n ".join(f"{passage.title} \n {in_full(passage)}" for passage in passages)
    flat, known = _flat(source), set(words(source))
    if not all(_flat(quoted) in flat for quoted in _QUOTED.findall(said)):
        return False
    for telling in _TELLING.findall(said):
        if telling.lower() not in STOP_WORDS and not known.issuperset(words(telling)):
            return False
    wanted = [word for word in words(said) if word not in STOP_WORDS]
    return sum(word in known for word in wanted) >= SHARE * len(wanted)


def _flat(text: str) -> str:
    """Return a text in small letters and single spaces, without a comma or full stop at its end."""
    return " ".join(text.lower().split()).rstrip(".,;:")

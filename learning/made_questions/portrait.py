"""What a passage says of what it is about: its name, its kind, its sentences, whether it is a person."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...retrievers.records import Passage
from ...retrievers.words.titles import strip_parenthesis

_IS_A = re.compile(
    r"\b(?:is|was|are|were)\s(?:(?:also|now|currently|still|formerly|either)\s)?(?:an?|the|one\sof\sthe|two|three)\s"
    r"([^.;:(]+)"
)
_KIND_ENDS = re.compile(
    r",|\s(?:and|or|of|in|on|at|by|from|for|with|to|as|who|whom|whose|that|which|where|when|based|set|born|known|"
    r"located|situated|starring|featuring|about|near|during|between|"
    r"\w+(?:ed|en)\s(?:by|in|on|at|to|from|for|with|and|as|directly))\b"
)
_LIFETIME = re.compile(r"\bborn\b|\(\s*(?:[^()]*\d{3,4}[^()]*[-–][^()]*\d{3,4}|c\.|d\.|died|date of)", re.IGNORECASE)
_HE = re.compile(r"\b(?:he|his|him|himself)\b", re.IGNORECASE)
_SHE = re.compile(r"\b(?:she|her|hers|herself)\b", re.IGNORECASE)
_VAGUE_KINDS = frozenset({"son", "daughter", "child", "wife", "husband", "brother", "sister", "member", "one", "first",
                          "written", "known", "found"})  # fmt: skip
_HEAD = 250
"""Characters at the beginning of a passage where it says what it is about."""


_LONGEST_NAME = 10
"""Words of a title that people may still use as a name."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A passage, read.

    Attributes:
        row: of the passage.
        title: as it stands, "" when it has none.
        text: of the passage.
        kind: the noun that says what it is about ("director"); "person" or "" where none is found.
        phrase: that noun with what stands before it ("American film director"), or the kind.
        is_person: it seems to be about a person.
        is_woman: it seems to be about a woman.
        sentences: spans of its sentences.
    """

    row: int
    title: str
    text: str
    kind: str
    phrase: str
    is_person: bool
    is_woman: bool
    sentences: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        """The title without its parenthesis."""
        return strip_parenthesis(self.title)

    @property
    def has_name(self) -> bool:
        """Whether people could name it: a title that is a sentence is no name."""
        return 0 < len(self.title.split()) <= _LONGEST_NAME

    def sentence_at(self, position: int) -> tuple[int, int]:
        """Return the span of the sentence that holds a position."""
        return next(((a, b) for a, b in self.sentences if a <= position < b), (0, len(self.text)))


def read_portrait(row: int, passage: Passage) -> Portrait:
    """Read a passage: the first "is a ..." says its kind, dates of life and pronouns whether it is a person."""
    head = passage.text[:_HEAD]
    men, women = len(_HE.findall(passage.text)), len(_SHE.findall(passage.text))
    person = _LIFETIME.search(head[:150]) is not None
    phrase = _phrase(head, passage.title)
    words = phrase.split()
    kind = words[-1].lower() if words else ""
    if not kind.isalpha() or kind in _VAGUE_KINDS or kind.endswith("ed") or len(kind) < 3:
        kind = phrase = "person" if person else ""
    return Portrait(row, passage.title, passage.text, kind, phrase, person, women > men, passage.sentences)


def _phrase(head: str, title: str) -> str:
    """Return the words that say what the passage is about, "" where there is no "is a ...\""""
    match = _IS_A.search(head)
    if match is None:
        return ""
    phrase = _KIND_ENDS.split(match.group(1).strip(), maxsplit=1)[0].strip()
    words = phrase.split()[-5:]
    if not words or any(word in title.split() for word in words if word[:1].isupper() and len(words) == 1):
        return ""
    return " ".join(words)

"""What a passage says of its subject: its name, its kind, its facts, and predicates that a question can use."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ...retrievers.records import Passage, Spans
from ...retrievers.words.title_forms import strip_parenthesis

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
_HEAD = 250
"""Characters at the beginning of a passage where it says what it is about."""

_LONGEST_NAME = 10
"""Words of a title that people may still use as a name."""

_SUBJECT = r"(?:He|She|It|They|This \w+|The \w+|His \w+|Her \w+|Its \w+)"
_PREDICATE = re.compile(
    rf"^(?:{_SUBJECT}|(?P<name>[^.,;(]{{2,60}}?)(?:\s?\([^)]*\))?)\s(?P<rest>(?:also |then |later |first )?"
    r"(?:is|was|are|were|has|had|[a-z]{3,}ed|became|won|wrote|made|led|began|took|stars|tells|follows)\b.+)"
)
_PREDICATE_ENDS = re.compile(r"[;.]|,\s(?:and|but|which|who|where|while|with)\b|\s\(")
_LONGEST_PREDICATE = 14
"""Words of a predicate."""


@cache
def english() -> dict[str, Any]:
    """Return the tables of ``english.toml``."""
    return tomllib.loads(resources.files(__package__).joinpath("english.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class PassageProfile:
    """A passage, analysed.

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
    sentences: Spans

    @classmethod
    def of(cls, row: int, passage: Passage) -> PassageProfile:
        """Analyse a passage: the first "is a ..." says its kind, dates of life and pronouns whether it is a person."""
        head = passage.text[:_HEAD]
        men, women = len(_HE.findall(passage.text)), len(_SHE.findall(passage.text))
        person = _LIFETIME.search(head[:150]) is not None
        phrase = _phrase(head, passage.title)
        kind = phrase.split()[-1].lower() if phrase else ""
        if not kind.isalpha() or kind in english()["vague_kinds"] or kind.endswith("ed") or len(kind) < 3:
            kind = phrase = "person" if person else ""
        return cls(row, passage.title, passage.text, kind, phrase, person, women > men, passage.sentences)

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

    def predicates(self, avoid: int = -1) -> list[str]:
        """Return what the passage says of its subject ("directed 130 films between 1914 and 1934").

        Args:
            avoid: a position; the sentence that holds it is left out.
        """
        found = []
        for begin, end in self.sentences:
            match = _PREDICATE.match(self.text[begin:end].strip().lstrip('"“ '))
            if begin <= avoid < end or match is None or not self._is_named(match["name"]):
                continue
            words = _PREDICATE_ENDS.split(match["rest"])[0].split()
            if 3 <= len(words) <= 30:
                found.append(" ".join(words[:_LONGEST_PREDICATE]))
        return found

    def facts(self) -> list[Fact]:
        """Return the facts that the passage states."""
        return [fact for fact in all_facts() if fact.is_stated_by(self)]

    def kinship(self, role: str) -> list[str]:
        """Return what the relatives are called of which this passage, of someone's ``role``, names one.

        A father whose passage names his own father gives "paternal grandfather".
        """
        cues = english()["kin_cues"]
        called = english()["kinships"].get(role, {})
        return [name for relative, name in called.items() if re.search(cues[relative], self.text)]

    def _is_named(self, name: str | None) -> bool:
        """Return whether a subject is this passage's: a pronoun, or it shares its first or last word with the title."""
        if name is None:
            return True
        first, second = name.lower().split(), self.name.lower().split()
        return bool(first and second) and (first[-1] == second[-1] or first[0] == second[0])


def _phrase(head: str, title: str) -> str:
    """Return the words that say what the passage is about, "" where there is no "is a ...\""""
    match = _IS_A.search(head)
    if match is None:
        return ""
    words = _KIND_ENDS.split(match[1].strip(), maxsplit=1)[0].split()[-5:]
    named = len(words) == 1 and words[0][:1].isupper() and words[0] in title.split()
    return "" if named else " ".join(words)


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that passages state and people ask.

    Attributes:
        name: of the fact.
        cue: found in a passage that states it.
        of: "person", "thing" or "any".
        asks: questions about one.
        compares: questions about two of a kind.
        leads: questions about what two of a kind lead to.
    """

    name: str
    cue: re.Pattern[str]
    of: str
    asks: Sequence[str]
    compares: Sequence[str] = ()
    leads: Sequence[str] = ()

    def is_stated_by(self, profile: PassageProfile) -> bool:
        """Return whether the passage knows the answer."""
        if self.of != "any" and (self.of == "person") != profile.is_person:
            return False
        return self.cue.search(profile.text) is not None


@cache
def all_facts() -> tuple[Fact, ...]:
    """Return the facts of ``english.toml``."""
    return tuple(Fact(**{**fact, "cue": re.compile(fact["cue"])}) for fact in english()["facts"])

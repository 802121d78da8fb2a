"""What one passage calls another that it mentions: "directed by B" makes B "the director of A".

Relation words come from the sentence around the mention. Where they are not known, the words themselves say it:
"the town that A was born in".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...retrievers.words.terms import STOP_WORDS
from .portrait import Portrait


@dataclass(frozen=True, slots=True)
class Role:
    """What a mentioned passage is to the one that mentions it.

    Attributes:
        noun: "director", or "" where only a phrase says it.
        phrase: with ``{a}`` for the one that mentions: "the director of {a}".
    """

    noun: str
    phrase: str


_BETWEEN_NAMES = frozenset({"and", "the", "&"})
_NEAR = 160
"""Characters before a mention that may say what it is."""

_BY = re.compile(r"\b([a-z]+)(?:,? (?:and )?([a-z]+))?,? by(?: [a-z-]+){0,3}$")
_OF = re.compile(r"\b([a-z-]+) (?:of|to)$")
_POSSESSED = re.compile(
    r"\b(?:[Hh]is|[Hh]er|[Ii]ts|[Tt]heir|whose|\w+['’]s)\s(?:[a-z-]+\s){0,2}?([a-z-]+)(?:\s(?:was|is|were))?,?$"
)
_MARRIED = re.compile(r"\b(?:married|marrying|marriage)\b[^.,;]*$")
_STARS = re.compile(r"\b(?:starring|stars|starred|star|featuring|features|cast)\b[^.;]*$")
_NOUN = re.compile(r"\b([a-z]{3,})$")
_VERB = re.compile(r"\b(?:is|was|are|were|has|had|[a-z]+ed|[a-z]+s)\b")
_BARE = re.compile(r"[^\w\s'’-]+")

_IRREGULAR = {"written": "writer", "sung": "singer", "built": "builder", "led": "leader", "shot": "photographer",
              "made": "maker", "drawn": "artist", "owned": "owner", "played": "actor"}  # fmt: skip
_OF_CHILD = frozenset({"son", "daughter", "child", "children"})
_INVERSE = {"wife": "husband", "husband": "wife", "father": "child", "mother": "child", "brother": "sibling",
            "sister": "sibling", "grandson": "grandfather", "granddaughter": "grandfather", "widow": "husband",
            "nephew": "uncle", "niece": "uncle", "uncle": "nephew", "pupil": "teacher", "student": "teacher",
            "disciple": "teacher", "consort": "husband"}  # fmt: skip


class Relations:
    """Reads roles from mentions.

    Args:
        word_counts: how often each word stands in the corpus; an agent's name ("director" for "directed") is only
            made where the corpus itself uses it.
    """

    def __init__(self, word_counts: Mapping[str, int]) -> None:
        self._counts = word_counts

    def roles(self, source: Portrait, target: Portrait, start: int, end: int) -> list[Role]:
        """Return what ``target`` is to ``source``, which mentions it at ``[start, end)``; the surest first."""
        begin, stop = source.sentence_at(start)
        before = source.text[max(begin, start - _NEAR) : start]
        nouns = [noun for noun in self._nouns(source, target, before) if noun not in STOP_WORDS and len(noun) > 2]
        roles = [Role(noun, form.format(noun=noun, a="{a}")) for noun in nouns for form in _forms(noun)]
        return roles or self._phrases(source, target, before, source.text[end:stop])

    def agent(self, verb: str) -> str:
        """Return who does what ``verb`` (a past participle) says, as the corpus calls it, or ""."""
        if verb in _IRREGULAR:
            return _IRREGULAR[verb]
        if not verb.endswith("ed"):
            return ""
        stem = verb[:-2]
        names = [f"{stem}or", f"{stem}er", f"{stem}r", f"{stem[:-1]}er"]
        best = max(names, key=lambda name: self._counts.get(name, 0))
        return best if self._counts.get(best, 0) >= 2 else ""

    def _nouns(self, source: Portrait, target: Portrait, before: str) -> list[str]:
        trimmed = _without_names(before)
        made = _BY.search(trimmed)
        if made is not None:
            agents = [agent for verb in made.groups() if verb and (agent := self.agent(verb))]
            if agents:
                return agents
        owned = _POSSESSED.search(before.strip()) or _POSSESSED.search(trimmed)
        if owned is not None:
            return [owned.group(1)]
        if target.is_person and _MARRIED.search(trimmed):
            return ["wife" if target.is_woman else "husband", "spouse"]
        related = _OF.search(trimmed)
        if related is not None and target.is_person:
            return _inverse(related.group(1), target)
        if target.is_person and not source.is_person and _STARS.search(trimmed):
            return ["star"]
        noun = _NOUN.search(trimmed)
        if noun is not None and noun.group(1) == target.kind:
            return [target.kind]
        return []

    def _phrases(self, source: Portrait, target: Portrait, before: str, after: str) -> list[Role]:
        """Return roles in the passage's own words."""
        kind = target.kind or "one"
        words = _BARE.sub(" ", before).split()
        verb = _VERB.search(before)
        phrases = []
        if verb is not None and before.strip():
            tail = _BARE.sub(" ", before[verb.start() :]).split()
            if 1 < len(tail) <= 10:
                phrases.append(f"the {kind} that {{a}} {' '.join(tail)}")
        cue = " ".join(words[-4:])
        follow = " ".join(_BARE.sub(" ", after).split()[:4])
        if cue:
            phrases += [f"the {kind} in {cue} of {{a}}", f"the {kind} {cue} {{a}}"]
        if follow:
            phrases.append(f"the {kind} {follow} in {{a}}")
        return [Role("", phrase.replace("{", "(").replace("}", ")").replace("(a)", "{a}")) for phrase in phrases]


def _without_names(before: str) -> str:
    """Return the words before a mention without the names that stand right before it: "directed by" of "directed by
    Ann Lee and ..."."""
    words = before.split()
    while words and (words[-1][:1].isupper() or words[-1] in _BETWEEN_NAMES or not words[-1].strip('"“”(,')):
        del words[-1]
    return " ".join(words).rstrip('"“”(, ')


def _forms(noun: str) -> tuple[str, ...]:
    return ("the {noun} of {a}", "{a}'s {noun}", "{noun} of {a}", "the {noun} of {a}")


def _inverse(noun: str, target: Portrait) -> list[str]:
    """Return what ``target`` is, where the source is the ``noun`` of it: the father, where it is his son."""
    if noun in _OF_CHILD:
        return ["mother" if target.is_woman else "father", "parent"]
    if noun in ("father", "mother"):
        return ["daughter" if target.is_woman else "son", "child"]
    if noun in ("brother", "sister"):
        return ["sister" if target.is_woman else "brother", "sibling"]
    return [_INVERSE[noun]] if noun in _INVERSE else []

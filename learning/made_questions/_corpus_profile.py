"""A corpus, analysed for making questions: its passages, the mentions to follow, and what these make of their targets.

A passage says its name, its kind, its facts, and predicates that a question can use. "Directed by B" makes B "the
director of A". Where no relation word is known, the sentence around the mention says it: "the town that A was born in".
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from ...graph._knowledge_graph import Relation
from ...index.index import Index
from ...retrievers.protocols import Progress
from ...retrievers.records import Passage, Spans
from ...retrievers.words._analyser import STOP_WORDS
from ...retrievers.words._title_forms import strip_parenthesis

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
        kind: the noun that says what it is about ("director"); "person" or "" where none is found.
        phrase: that noun with what stands before it ("American film director"), or the kind.
        is_person, is_woman: whom it seems to be about.
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
        """Return what the passage says of its subject ("directed 130 films"), but for the sentence at ``avoid``."""
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
        """Return what relatives are called that this passage names: of a father, his father is a "grandfather"."""
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
    """Something that passages state (``cue``) and people ask of a "person", a "thing" or "any".

    Questions ask about one, compare two of a kind, or compare what two of a kind lead to.
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


MOST_PASSAGES = 20_000
"""Passages that are analysed at most; of a larger corpus a sample, because a few thousand questions need no more."""

_POPULAR = 100
"""A passage that more others mention than this, and than one in fifty, is a common word or too general to lead on."""

_NEAR = 160
"""Characters before a mention that may say what it is."""

_WORD = re.compile(r"[a-z]{3,}")
_COPULA = re.compile(r"\b(?:is|was|are|were)\b")
_BETWEEN_NAMES = frozenset({"and", "the", "&"})
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
_FORMS = ("the {noun} of {{a}}", "{{a}}'s {noun}", "{noun} of {{a}}", "the {noun} of {{a}}")


@dataclass(frozen=True, slots=True)
class Step:
    """A mention that a question can follow: rows, and its ``[start, end)`` in the source's text."""

    source: int
    target: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Role:
    """What a mentioned passage is to the one that mentions it, ``{a}``: "director", "the director of {a}".

    The noun is "" where only a phrase says it.
    """

    noun: str
    phrase: str


class CorpusProfile:
    """The passages of an index, analysed.

    Attributes:
        rows: what was analysed, int64 [n]: all passages, or a sample.
        steps: source row -> the mentions that can be followed from it.

    Args:
        index: the index.
        rng: draws the sample of a large corpus.
        progress: called with (stage, done, total) while passages are analysed.
    """

    def __init__(self, index: Index, rng: np.random.Generator, progress: Progress | None = None) -> None:
        self.index = index
        self.titles, _ = index.store.columns()
        self.rows = index.store.rows()
        if len(index) > MOST_PASSAGES:
            self.rows = np.sort(rng.choice(self.rows, MOST_PASSAGES, replace=False))
        self._passages: dict[int, PassageProfile] = {}
        self._words: Counter[str] = Counter()
        self.by_kind: dict[str, list[int]] = defaultdict(list)
        for done, row in enumerate(self.rows.tolist(), start=1):
            profile = self.passage(row)
            self._words.update(_WORD.findall(profile.text))
            if profile.has_name and profile.kind:
                self.by_kind[profile.kind].append(row)
            if progress is not None and done % 500 == 0:
                progress("analysing the corpus", done, len(self.rows))
        self.namesakes = Counter(self.passage(row).name for row in self.rows.tolist())
        self.steps = {row: steps for row in self.rows.tolist() if (steps := self._steps(row))}
        self._roles: dict[Step, list[Role]] = {}

    @property
    def named(self) -> float:
        """Share of the passages that say what their title is."""
        return sum(map(len, self.by_kind.values())) / len(self.rows)

    def passage(self, row: int) -> PassageProfile:
        """Return the profile of a passage."""
        if row not in self._passages:
            self._passages[row] = PassageProfile.of(row, self.index.store.passage(row))
        return self._passages[row]

    def roles(self, step: Step) -> list[Role]:
        """Return what the target of a mention is to its source, the surest first."""
        if step not in self._roles:
            source, target = self.passage(step.source), self.passage(step.target)
            self._roles[step] = roles_of(source, target, step.start, step.end, self._words)
        return self._roles[step]

    def paired(self) -> dict[tuple[str, str], list[Step]]:
        """Return (kind of the source, noun of the role) -> mentions, where at least two sources have them."""
        pairs: dict[tuple[str, str], list[Step]] = defaultdict(list)
        for row, steps in self.steps.items():
            kind = self.passage(row).kind
            for step in steps:
                for noun in dict.fromkeys(role.noun for role in self.roles(step) if role.noun):
                    pairs[kind, noun].append(step)
        return {key: steps for key, steps in pairs.items() if key[0] and len({s.source for s in steps}) > 1}

    def _is_meant(self, source: PassageProfile, target: PassageProfile, start: int) -> bool:
        """Return whether a mention speaks of the passage.

        "November" seldom means "November (2004 film)"; it does where the sentence says "film", or the film's passage
        names the source.
        """
        if target.title == target.name or " " in target.name:
            return True
        begin, end = source.sentence_at(start)
        sentence = source.text[begin:end].lower()
        return (bool(target.kind) and target.kind in sentence) or (bool(source.name) and source.name in target.text)

    def _steps(self, row: int) -> list[Step]:
        """Return the mentions that surely speak of their target: one passage of that name, and not the source's own."""
        source = self.passage(row)
        links = self.index.graph.neighbours(row, "mentions")
        crowded = Counter(links.starts.tolist())
        copula = _COPULA.search(source.text)
        named_until = copula.start() if copula is not None and copula.start() < 200 else 0
        most = max(_POPULAR, len(self.index) // 50)
        found = []
        columns = (links.rows, links.relations, links.starts, links.ends)
        for target, relation, start, end in zip(*(column.tolist() for column in columns), strict=True):
            profile = self.passage(target)
            if crowded[start] > 1 or relation != Relation.TITLE_MENTION or profile.name in source.title:
                continue
            if source.title and start < named_until and "(" not in source.text[:start]:
                continue
            if self.index.graph.in_degree[target] <= most and self._is_meant(source, profile, start):
                found.append(Step(row, target, start, end))
        return found


def roles_of(
    source: PassageProfile, target: PassageProfile, start: int, end: int, word_counts: Counter[str]
) -> list[Role]:
    """Return what ``target`` is to ``source``, which mentions it at ``[start, end)``; the surest first."""
    begin, stop = source.sentence_at(start)
    before = source.text[max(begin, start - _NEAR) : start]
    nouns = [noun for noun in _nouns(source, target, before, word_counts) if noun not in STOP_WORDS and len(noun) > 2]
    roles = [Role(noun, form.format(noun=noun)) for noun in nouns for form in _FORMS]
    return roles or _phrases(target, before, source.text[end:stop])


def agent(verb: str, word_counts: Counter[str]) -> str:
    """Return who does what a past participle says ("director" for "directed"), where the corpus has the word, or ""."""
    if verb in english()["agents"]:
        return str(english()["agents"][verb])
    if not verb.endswith("ed"):
        return ""
    stem = verb[:-2]
    best = max((f"{stem}or", f"{stem}er", f"{stem}r", f"{stem[:-1]}er"), key=word_counts.__getitem__)
    return best if word_counts[best] >= 2 else ""


def _nouns(source: PassageProfile, target: PassageProfile, before: str, word_counts: Counter[str]) -> list[str]:
    trimmed = _without_names(before)
    made = _BY.search(trimmed)
    if made is not None:
        agents = [name for verb in made.groups() if verb and (name := agent(verb, word_counts))]
        if agents:
            return agents
    owned = _POSSESSED.search(before.strip()) or _POSSESSED.search(trimmed)
    if owned is not None:
        return [owned[1]]
    if target.is_person:
        if _MARRIED.search(trimmed):
            return ["wife" if target.is_woman else "husband", "spouse"]
        related = _OF.search(trimmed)
        if related is not None:
            inverse = english()["inverse"].get(related[1], [])
            return [inverse[target.is_woman], inverse[2]] if len(inverse) > 1 else inverse
        if not source.is_person and _STARS.search(trimmed):
            return ["star"]
    noun = _NOUN.search(trimmed)
    return [target.kind] if noun is not None and noun[1] == target.kind else []


def _phrases(target: PassageProfile, before: str, after: str) -> list[Role]:
    """Return roles in the passage's own words."""
    kind = target.kind or "one"
    verb = _VERB.search(before)
    phrases = []
    if verb is not None and before.strip():
        tail = _BARE.sub(" ", before[verb.start() :]).split()
        if 1 < len(tail) <= 10:
            phrases.append(f"the {kind} that {{a}} {' '.join(tail)}")
    cue = " ".join(_BARE.sub(" ", before).split()[-4:])
    follow = " ".join(_BARE.sub(" ", after).split()[:4])
    if cue:
        phrases += [f"the {kind} in {cue} of {{a}}", f"the {kind} {cue} {{a}}"]
    if follow:
        phrases.append(f"the {kind} {follow} in {{a}}")
    return [Role("", phrase.replace("{", "(").replace("}", ")").replace("(a)", "{a}")) for phrase in phrases]


def _without_names(before: str) -> str:
    """Return the words before a mention without names at their end: "directed by" of "directed by Ann Lee and"."""
    words = before.split()
    while words and (words[-1][:1].isupper() or words[-1] in _BETWEEN_NAMES or not words[-1].strip('"“”(,')):
        del words[-1]
    return " ".join(words).rstrip('"“”(, ')

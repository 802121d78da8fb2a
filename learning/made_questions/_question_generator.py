"""Draws a path through the corpus and writes a question that names only where it starts.

Every method of :class:`QuestionGenerator` draws one shape of path, or raises :class:`NoDraft`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np

from ...retrievers.records import Query
from ...retrievers.words._analyser import STOP_WORDS
from ._corpus_profile import CorpusProfile, PassageProfile, Step
from ._passage_reading import is_prose

T = TypeVar("T")

_SIMILAR = 30
"""Passages that are looked at for one that resembles the other of a comparison."""

_WORDED_ONLY = 0.35
"""Share of mentions without a relation word that are followed all the same."""

_KEYWORDS, _LOWER_CASE, _LOST_WORD = 0.08, 0.05, 0.06
"""Shares of questions that are typed carelessly."""

_NUMBER = re.compile(r"\b\d[\d,.]*\b")
_NAME = re.compile(r"\b[A-Z][\w'’-]+(?:\s(?:(?:of|the|de)\s)?[A-Z][\w'’-]+)*")
_BARE = re.compile(r"[^\w\s'’-]+")


@dataclass(frozen=True, slots=True)
class Draft:
    """A question in the making: its text, and the rows of the passages it needs in order.

    ``starts`` are those that it names, and it may name no other; None where it may name what it likes.
    """

    text: str
    path: tuple[int, ...]
    starts: tuple[int, ...] | None


class NoDraft(Exception):  # noqa: N818
    """A shape of path did not succeed this time: it is to be drawn again."""


class QuestionGenerator:
    """Draws questions over one corpus."""

    def __init__(self, corpus: CorpusProfile, rng: np.random.Generator) -> None:
        self._corpus = corpus
        self._rng = rng
        self._passage = corpus.passage
        self._titled = [row for row in corpus.rows.tolist() if self._passage(row).has_name]
        self._sources = [row for row in self._titled if row in corpus.steps]
        self._pairs = corpus.paired()
        self._pair_keys = sorted(self._pairs)
        sizes = np.array([len(self._pairs[key]) for key in self._pair_keys], np.float64)
        self._pair_shares = sizes / sizes.sum() if len(sizes) else sizes

    @property
    def naming(self) -> float:
        """Share of the passages that name another one, so that a question can lead from the one to the other."""
        return len(self._sources) / len(self._corpus.rows)

    def single(self) -> Draft:
        """Ask for something that the named passage itself says."""
        profile = self._passage(self._choose(self._titled))
        text = self._ask(profile, self._call(profile))
        return Draft(text, (profile.row,), (profile.row,))

    def chain(self) -> Draft:
        """Ask for something that a mentioned passage says, naming the one that mentions it."""
        step = self._step()
        source, target = self._passage(step.source), self._passage(step.target)
        what = self._role(step).replace("{a}", self._call(source))
        if self._rng.random() < 0.12:
            text = f"Which {what.removeprefix('the ')} {self._choose(target.predicates())}?"
        else:
            text = self._ask(target, what)
        return Draft(text, (source.row, target.row), (source.row,))

    def kin(self) -> Draft:
        """Ask for a relative of a relative by the one word that people have for it."""
        step = self._step()
        source, target = self._passage(step.source), self._passage(step.target)
        names = [name for role in self._corpus.roles(step) for name in target.kinship(role.noun)]
        name, who = self._choose(names), self._call(source)
        text = self._choose((f"Who is the {name} of {who}?", f"Who is {who}'s {name}?"))
        return Draft(text, (source.row, target.row), (source.row,))

    def long_chain(self) -> Draft:
        """Ask for something two mentions away."""
        first = self._step()
        second = self._step(first.target)
        if second.target == first.source:
            raise NoDraft
        source, target = self._passage(first.source), self._passage(second.target)
        what = self._role(first).replace("{a}", self._call(source))
        text = self._ask(target, self._role(second).replace("{a}", what))
        return Draft(text, (source.row, first.target, target.row), (source.row,))

    def described(self) -> Draft:
        """A chain whose start is described by what its passage says, not named."""
        step = self._step()
        source, target = self._passage(step.source), self._passage(step.target)
        kind = source.phrase or source.kind
        if not kind:
            raise NoDraft
        start = f"the {kind} that {self._choose(source.predicates(step.start))}"
        text = self._ask(target, self._role(step).replace("{a}", start))
        return Draft(text, (source.row, target.row), ())

    def backward(self) -> Draft:
        """Name the mentioned passage, and ask for something that the one which mentions it says."""
        step = self._step()
        source, target = self._passage(step.source), self._passage(step.target)
        begin, _ = source.sentence_at(step.start)
        cue = keywords(source.text[begin : step.start], self._rng, 5, 0.1)
        if not cue or not source.kind or not target.predicates():
            raise NoDraft
        what = f"the {source.phrase or source.kind} {cue} {self._call(target)}"
        text = self._ask(source, what)
        return Draft(text, (target.row, source.row), (target.row,))

    def comparison(self) -> Draft:
        """Compare two passages of a kind by something that both say."""
        first = self._passage(self._choose(self._titled))
        second = self._passage(self._similar(first))
        facts = [fact for fact in first.facts() if fact.compares and fact.is_stated_by(second)]
        if not facts or self._rng.random() < 0.08:
            text = self._choose(("Are {x} and {y} both {kinds}?", "What do {x} and {y} have in common?"))
        else:
            text = self._choose(self._choose(facts).compares)
        text = self._fill(text, first, second, first.kind)
        return Draft(text, (first.row, second.row), (first.row, second.row))

    def pair(self) -> Draft:
        """Compare what two passages of a kind lead to, by something that both of those say."""
        if not self._pair_keys:
            raise NoDraft
        kind, noun = self._pair_keys[int(self._rng.choice(len(self._pair_keys), p=self._pair_shares))]
        one, two = (self._choose(self._pairs[kind, noun]) for _ in range(2))
        path = (one.source, one.target, two.source, two.target)
        if len(set(path)) < 4:
            raise NoDraft
        ends = self._passage(one.target), self._passage(two.target)
        facts = [fact for fact in ends[0].facts() if fact.leads and fact.is_stated_by(ends[1])]
        text = self._choose(self._choose(facts).leads)
        text = text.replace("{roles}", plural(noun)).replace("{role}", noun)
        text = self._fill(text, self._passage(one.source), self._passage(two.source), kind)
        return Draft(text, path, (one.source, two.source))

    def lookup(self) -> Draft:
        """Say what one passage says in some of its words, without its name."""
        profile = self._passage(self._choose(self._corpus.rows.tolist()))
        stated = profile.predicates()
        if stated and profile.kind and self._rng.random() < 0.5:
            return Draft(f"Which {profile.kind} {self._choose(stated)}?", (profile.row,), ())
        text = keywords(profile.text[slice(*self._choose(profile.sentences))], self._rng, 14)
        return Draft(text, (profile.row,), ())

    def shared(self) -> Draft:
        """Describe a few passages that share rare words, without what they share."""
        path = [self._choose(self._corpus.rows.tolist())]
        store = self._corpus.index.store
        while len(path) < 2 + int(self._rng.integers(3)):
            links = self._corpus.index.graph.neighbours(path[-1], "shares")
            documents = {store.passage(row).document_id for row in path}
            near = [row for row in links.rows[:5].tolist() if store.passage(row).document_id not in documents]
            if not near:
                break
            path.append(self._choose(near))
        if len(path) < 2:
            raise NoDraft
        words = [set(_plain(self._passage(row).text)) for row in path]
        common = set.union(*(one & other for one, other in pairwise(words)))
        parts = []
        for row in path:
            profile = self._passage(row)
            prose = [(begin, end) for begin, end in profile.sentences if is_prose(profile.text[begin:end])]
            begin, end = self._choose(prose)
            own = [word for word in profile.text[begin:end].split() if not common.intersection(_plain(word))]
            parts.append(keywords(" ".join(own), self._rng, 6, 0.2))
        return Draft(" ".join(filter(None, parts)) if sum(map(bool, parts)) > 1 else "", tuple(path), None)

    def _choose(self, items: Sequence[T]) -> T:
        if not items:
            raise NoDraft
        return items[int(self._rng.integers(len(items)))]

    def _call(self, profile: PassageProfile) -> str:
        """Return a name for what a passage is about: its title, with or without parenthesis or kind."""
        name, rng = profile.name, self._rng
        ambiguous = self._corpus.namesakes[name] > 1
        if profile.title != name and rng.random() < (0.8 if ambiguous else 0.25):
            name = profile.title
        elif not profile.is_person and profile.kind and rng.random() < 0.4:
            first = profile.kind if rng.random() < 0.8 else f"the {profile.kind}"
            if profile.kind not in name.lower():
                name = f"{first} {name}"
        capitalised = " ".join(word[:1].upper() + word[1:] for word in name.split(" "))
        return capitalised if rng.random() < 0.3 else name

    def _step(self, source: int | None = None) -> Step:
        """Draw a mention, from ``source`` or anywhere; those without a relation word seldom."""
        source = self._choose(self._sources) if source is None else source
        step = self._choose(self._corpus.steps.get(source, []))
        roles = self._corpus.roles(step)
        if not roles or (not roles[0].noun and self._rng.random() >= _WORDED_ONLY):
            raise NoDraft
        return step

    def _role(self, step: Step) -> str:
        """Return words for the target of a mention, with ``{a}`` for its source."""
        return self._choose(self._corpus.roles(step)).phrase

    def _ask(self, profile: PassageProfile, what: str) -> str:
        """Return a question about what a passage is about, called ``what``; "" where it says nothing to ask for."""
        drawn = self._rng.random()
        facts = profile.facts()
        if drawn < 0.25:
            steps = self._corpus.steps.get(profile.row, [])
            roles = [role for step in steps for role in self._corpus.roles(step) if role.noun]
            if roles:
                return f"Who is {self._choose(roles).phrase.replace('{a}', what)}?"
        if drawn < 0.4 or not facts:
            stated = profile.predicates()
            clause = masked(self._choose(stated), self._rng) if stated else ""
            if clause:
                return f"{what} {clause}?"
        return self._choose(self._choose(facts).asks).replace("{x}", what) if facts else ""

    def _similar(self, first: PassageProfile) -> int:
        """Draw a passage of the same kind: one that resembles it as often as any."""
        index = self._corpus.index
        if self._rng.random() < 0.5:
            query = Query("", index.dense.reconstruct(np.array([first.row]))[0])
            near: list[int] = index.dense.search(query, _SIMILAR).rows.tolist()
            rows = [row for row in near if self._passage(row).kind == first.kind and self._passage(row).has_name]
        else:
            rows = self._corpus.by_kind.get(first.kind, [])
        rows = [row for row in rows if self._passage(row).name != first.name]
        return self._choose(rows if first.kind else [])

    def _fill(self, text: str, first: PassageProfile, second: PassageProfile, kind: str) -> str:
        text = text.replace("{kinds}", plural(kind)).replace("{kind}", kind)
        return text.replace("{x}", self._call(first)).replace("{y}", self._call(second))


def _plain(text: str) -> list[str]:
    return [word.strip(".,;:()\"'").lower() for word in text.split()]


def plural(noun: str) -> str:
    """Return the plural of an English noun, by rule."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def masked(predicate: str, rng: np.random.Generator) -> str:
    """Return a predicate with one name, number or last word replaced by a question word; "" when nothing can be."""
    spans = [(*m.span(), _asks_number(predicate[: m.start()], m[0])) for m in _NUMBER.finditer(predicate)]
    spans += [(*m.span(), _asks_name(predicate[: m.start()])) for m in _NAME.finditer(predicate)]
    if not spans:
        words = predicate.split()
        return " ".join([*words[:-1], "what"]) if len(words) > 3 else ""
    start, end, word = spans[int(rng.integers(len(spans)))]
    return f"{predicate[:start]}{word}{predicate[end:]}"


def _asks_number(before: str, number: str) -> str:
    if len(number) != 4 or number[0] not in "12":
        return "how many"
    return "which year" if before.rstrip().endswith((" in", " of", " between", " and", " since")) else "what year"


def _asks_name(before: str) -> str:
    if before.rstrip().endswith((" in", " at", " near", " from")):
        return "which place"
    return "whom" if before.rstrip().endswith((" by", " with", " to")) else "what"


def keywords(text: str, rng: np.random.Generator, most: int, drop: float = 0.3) -> str:
    """Return some of the words of ``text`` in their order, without marks, each left out with probability ``drop``."""
    kept = [word for word in _BARE.sub(" ", text).split() if rng.random() >= drop]
    if len(kept) > most:
        first = int(rng.integers(len(kept) - most + 1))
        kept = kept[first : first + most]
    return " ".join(kept)


def careless(text: str, rng: np.random.Generator) -> str:
    """Return the question as some people type it: now and then as keywords, in lower case, or with a word lost."""
    text = text[:1].upper() + text[1:]
    drawn = rng.random()
    if drawn < _KEYWORDS:
        return " ".join(word for word in text.rstrip("?").split() if word.lower() not in STOP_WORDS)
    if drawn < _KEYWORDS + _LOWER_CASE:
        return text.lower().rstrip("?")
    if drawn < _KEYWORDS + _LOWER_CASE + _LOST_WORD:
        words = text.split()
        small = [k for k, word in enumerate(words[:-1]) if word.islower()]
        if small:
            del words[small[int(rng.integers(len(small)))]]
        return " ".join(words)
    return text

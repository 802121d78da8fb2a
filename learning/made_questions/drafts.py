"""Draws a path through the corpus and writes a question that names only where it starts.

Every method of :class:`Drawer` draws one shape of path and returns None where it did not succeed this time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...retrievers.records import Query
from .clauses import keywords, masked, predicates
from .facts import Fact, facts_of, kinship
from .portrait import Portrait
from .reading import Reading, Step
from .relations import Role
from .wording import call, choose, plural

_LIKE = 30
"""Passages that are looked at for one that resembles the other of a comparison."""

_WORDED_ONLY = 0.35
"""Share of mentions without a relation word that are followed all the same."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A question in the making.

    Attributes:
        text: of the question.
        path: rows of the passages it needs, in order.
        starts: those of them that it names.
    """

    text: str
    path: tuple[int, ...]
    starts: tuple[int, ...]


class Drawer:
    """Draws questions over one corpus.

    Args:
        reading: the corpus.
        rng: the generator.
    """

    def __init__(self, reading: Reading, rng: np.random.Generator) -> None:
        self._reading = reading
        self._rng = rng
        self._titled = [row for row in reading.rows.tolist() if reading.portrait(row).has_name]
        self._sources = [row for row in self._titled if row in reading.steps]
        self._pairs = reading.paired()
        self._pair_keys = sorted(self._pairs)
        sizes = np.array([len(self._pairs[key]) for key in self._pair_keys], np.float64)
        self._pair_shares = sizes / sizes.sum() if len(sizes) else sizes

    @property
    def naming(self) -> float:
        """Share of the passages that name another one, so that a question can lead from the one to the other."""
        return len(self._sources) / len(self._reading.rows)

    def single(self) -> Draft | None:
        """Ask for something that the named passage itself says."""
        if not self._titled:
            return None
        portrait = self._portrait(choose(self._titled, self._rng))
        text = self._ask(portrait, self._call(portrait))
        return Draft(text, (portrait.row,), (portrait.row,)) if text else None

    def chain(self) -> Draft | None:
        """Ask for something that a mentioned passage says, naming the one that mentions it."""
        step = self._step()
        if step is None:
            return None
        source, target = self._portrait(step.source), self._portrait(step.target)
        what = self._role(step).phrase.replace("{a}", self._call(source))
        if self._rng.random() < 0.12:
            said = predicates(target)
            text = f"Which {what.removeprefix('the ')} {choose(said, self._rng)}?" if said else ""
        else:
            text = self._ask(target, what)
        return Draft(text, (source.row, target.row), (source.row,)) if text else None

    def kin(self) -> Draft | None:
        """Ask for a relative of a relative by the one word that people have for it."""
        step = self._step()
        if step is None:
            return None
        source, target = self._portrait(step.source), self._portrait(step.target)
        names = [name for role in self._reading.roles(step) for name in kinship(role.noun, target)]
        if not names:
            return None
        name, who = choose(names, self._rng), self._call(source)
        form = choose(("Who is the {name} of {who}?", "Who is {who}'s {name}?"), self._rng)
        return Draft(form.format(name=name, who=who), (source.row, target.row), (source.row,))

    def long_chain(self) -> Draft | None:
        """Ask for something two mentions away."""
        first = self._step()
        second = self._step(first.target) if first is not None else None
        if first is None or second is None or second.target == first.source:
            return None
        source, target = self._portrait(first.source), self._portrait(second.target)
        what = self._role(first).phrase.replace("{a}", self._call(source))
        text = self._ask(target, self._role(second).phrase.replace("{a}", what))
        return Draft(text, (source.row, first.target, target.row), (source.row,)) if text else None

    def described(self) -> Draft | None:
        """A chain whose start is described by what its passage says, not named."""
        step = self._step()
        if step is None:
            return None
        source, target = self._portrait(step.source), self._portrait(step.target)
        said = predicates(source, (step.start, step.end))
        kind = source.phrase or source.kind
        if not said or not kind:
            return None
        start = f"the {kind} that {choose(said, self._rng)}"
        text = self._ask(target, self._role(step).phrase.replace("{a}", start))
        return Draft(text, (source.row, target.row), ()) if text else None

    def backward(self) -> Draft | None:
        """Name the mentioned passage, and ask for something that the one which mentions it says."""
        step = self._step()
        if step is None:
            return None
        source, target = self._portrait(step.source), self._portrait(step.target)
        begin, _ = source.sentence_at(step.start)
        cue = keywords(source.text[begin : step.start], self._rng, 5, 0.1)
        said = predicates(target)
        if not cue or not source.kind or not said:
            return None
        what = f"the {source.phrase or source.kind} {cue} {self._call(target)}"
        text = self._ask(source, what)
        return Draft(text, (target.row, source.row), (target.row,)) if text else None

    def comparison(self) -> Draft | None:
        """Compare two passages of a kind by something that both say."""
        if not self._titled:
            return None
        first = self._portrait(choose(self._titled, self._rng))
        other = self._like(first)
        if other is None:
            return None
        second = self._portrait(other)
        facts = [fact for fact in facts_of(first) if fact.compares and fact.is_said_by(second)]
        if not facts or self._rng.random() < 0.08:
            text = choose(("Are {x} and {y} both {kinds}?", "What do {x} and {y} have in common?"), self._rng)
        else:
            text = choose(choose(facts, self._rng).compares, self._rng)
        text = self._fill(text, first, second, first.kind)
        return Draft(text, (first.row, second.row), (first.row, second.row))

    def pair(self) -> Draft | None:
        """Compare what two passages of a kind lead to, by something that both of those say."""
        if not self._pair_keys:
            return None
        kind, noun = self._pair_keys[int(self._rng.choice(len(self._pair_keys), p=self._pair_shares))]
        one, two = (choose(self._pairs[kind, noun], self._rng) for _ in range(2))
        path = (one.source, one.target, two.source, two.target)
        if len(set(path)) < 4:
            return None
        ends = self._portrait(one.target), self._portrait(two.target)
        facts = [fact for fact in facts_of(ends[0]) if fact.leads and fact.is_said_by(ends[1])]
        if not facts:
            return None
        text = choose(choose(facts, self._rng).leads, self._rng)
        text = text.replace("{roles}", plural(noun)).replace("{role}", noun)
        text = self._fill(text, self._portrait(one.source), self._portrait(two.source), kind)
        return Draft(text, path, (one.source, two.source))

    def lookup(self) -> Draft | None:
        """Say what one passage says in some of its words, without its name."""
        portrait = self._portrait(choose(self._reading.rows.tolist(), self._rng))
        said = predicates(portrait)
        if said and portrait.kind and self._rng.random() < 0.5:
            return Draft(f"Which {portrait.kind} {choose(said, self._rng)}?", (portrait.row,), ())
        text = keywords(portrait.text[slice(*choose(portrait.sentences, self._rng))], self._rng, 14)
        return Draft(text, (portrait.row,), ()) if text else None

    def shared(self) -> Draft | None:
        """Describe a few passages that share rare words, without what they share."""
        path = [choose(self._reading.rows.tolist(), self._rng)]
        while len(path) < 2 + int(self._rng.integers(3)):
            links = self._reading.index.graph.neighbours(path[-1], "shares")
            near = [row for row in links.rows[:5].tolist() if row not in path]
            if not near:
                break
            path.append(choose(near, self._rng))
        if len(path) < 2:
            return None
        words = [set(_plain(self._portrait(row).text)) for row in path]
        common = set.union(*(one & other for one, other in pairwise(words)))
        parts = []
        for row in path:
            portrait = self._portrait(row)
            begin, end = choose(portrait.sentences, self._rng)
            own = [word for word in portrait.text[begin:end].split() if not common.intersection(_plain(word))]
            parts.append(keywords(" ".join(own), self._rng, 6, 0.2))
        return Draft(" ".join(filter(None, parts)), tuple(path), ()) if sum(map(bool, parts)) > 1 else None

    def _portrait(self, row: int) -> Portrait:
        return self._reading.portrait(row)

    def _call(self, portrait: Portrait) -> str:
        return call(portrait, self._reading.namesakes[portrait.name], self._rng)

    def _step(self, source: int | None = None) -> Step | None:
        """Draw a mention, from ``source`` or anywhere; those without a relation word seldom."""
        if source is None:
            if not self._sources:
                return None
            source = choose(self._sources, self._rng)
        steps = self._reading.steps.get(source, [])
        if not steps:
            return None
        step = choose(steps, self._rng)
        roles = self._reading.roles(step)
        if not roles or (not roles[0].noun and self._rng.random() >= _WORDED_ONLY):
            return None
        return step

    def _role(self, step: Step) -> Role:
        return choose(self._reading.roles(step), self._rng)

    def _ask(self, portrait: Portrait, what: str) -> str:
        """Return a question about what a passage is about, called ``what``; "" where it says nothing to ask for."""
        drawn = self._rng.random()
        facts: list[Fact] = facts_of(portrait)
        if drawn < 0.25:
            roles = [
                r for step in self._reading.steps.get(portrait.row, []) for r in self._reading.roles(step) if r.noun
            ]
            if roles:
                return f"Who is {choose(roles, self._rng).phrase.replace('{a}', what)}?"
        if drawn < 0.4 or not facts:
            said = predicates(portrait)
            clause = masked(choose(said, self._rng), self._rng) if said else ""
            if clause:
                return f"{what} {clause}?"
        return choose(choose(facts, self._rng).asks, self._rng).replace("{x}", what) if facts else ""

    def _like(self, first: Portrait) -> int | None:
        """Draw a passage of the same kind: one that resembles it as often as any."""
        index = self._reading.index
        if self._rng.random() < 0.5:
            near = index.dense.search(Query("", index.dense.reconstruct(np.array([first.row]))[0]), _LIKE).rows.tolist()
            rows = [row for row in near if self._portrait(row).kind == first.kind and self._portrait(row).has_name]
        else:
            rows = self._reading.by_kind.get(first.kind, [])
        rows = [row for row in rows if self._portrait(row).name != first.name]
        return choose(rows, self._rng) if rows and first.kind else None

    def _fill(self, text: str, first: Portrait, second: Portrait, kind: str) -> str:
        text = text.replace("{kinds}", plural(kind)).replace("{kind}", kind)
        return text.replace("{x}", self._call(first)).replace("{y}", self._call(second))


def _plain(text: str) -> list[str]:
    return [word.strip(".,;:()\"'").lower() for word in text.split()]

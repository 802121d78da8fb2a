"""A corpus, read for making questions: portraits of its passages, and the mentions that a question can follow."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from ...graph.knowledge_graph import Relation
from ...index.index import Index
from ...retrievers.protocols import Progress
from .portrait import Portrait, read_portrait
from .relations import Relations, Role

MOST_PASSAGES = 20_000
"""Passages that are read at most; of a larger corpus a sample, because a few thousand questions need no more."""

_POPULAR = 100
"""A passage that more others mention than this, and than one in fifty, is a common word or too general to lead on."""

_WORD = re.compile(r"[a-z]{3,}")
_COPULA = re.compile(r"\b(?:is|was|are|were)\b")


@dataclass(frozen=True, slots=True)
class Step:
    """A mention that a question can follow.

    Attributes:
        source, target: rows.
        start, end: of the mention in the source's text.
    """

    source: int
    target: int
    start: int
    end: int


class Reading:
    """The passages of an index, read.

    Attributes:
        index: the index.
        rows: what was read, int64 [n]: all passages, or a sample.
        steps: source row -> the mentions that can be followed from it.
        by_kind: kind -> rows.

    Args:
        index: the index.
        rng: draws the sample of a large corpus.
        progress: hears of the passages.
    """

    def __init__(self, index: Index, rng: np.random.Generator, progress: Progress | None = None) -> None:
        self.index = index
        self.titles, _ = index.store.columns()
        self.rows = index.store.rows()
        if len(index) > MOST_PASSAGES:
            self.rows = np.sort(rng.choice(self.rows, MOST_PASSAGES, replace=False))
        self._portraits: dict[int, Portrait] = {}
        counts: Counter[str] = Counter()
        self.by_kind: dict[str, list[int]] = defaultdict(list)
        for done, row in enumerate(self.rows.tolist(), start=1):
            portrait = self.portrait(row)
            counts.update(_WORD.findall(portrait.text))
            if portrait.has_name and portrait.kind:
                self.by_kind[portrait.kind].append(row)
            if progress is not None and done % 500 == 0:
                progress("reading the corpus", done, len(self.rows))
        self.relations = Relations(counts)
        self.namesakes = Counter(self.portrait(row).name for row in self.rows.tolist())
        self.steps = {row: steps for row in self.rows.tolist() if (steps := self._steps(row))}
        self._roles: dict[Step, list[Role]] = {}

    def portrait(self, row: int) -> Portrait:
        """Return the portrait of a passage."""
        if row not in self._portraits:
            self._portraits[row] = read_portrait(row, self.index.store.passage(row))
        return self._portraits[row]

    def roles(self, step: Step) -> list[Role]:
        """Return what the target of a mention is to its source."""
        if step not in self._roles:
            source, target = self.portrait(step.source), self.portrait(step.target)
            self._roles[step] = self.relations.roles(source, target, step.start, step.end)
        return self._roles[step]

    def paired(self) -> dict[tuple[str, str], list[Step]]:
        """Return (kind of the source, noun of the role) -> mentions, where at least two sources have them."""
        pairs: dict[tuple[str, str], list[Step]] = defaultdict(list)
        for row, steps in self.steps.items():
            kind = self.portrait(row).kind
            for step in steps:
                for noun in dict.fromkeys(role.noun for role in self.roles(step) if role.noun):
                    pairs[kind, noun].append(step)
        return {key: steps for key, steps in pairs.items() if key[0] and len({s.source for s in steps}) > 1}

    def _is_meant(self, source: Portrait, row: int, start: int) -> bool:
        """Return whether a mention speaks of the passage: the name is not a common word with a parenthesis.

        "November" seldom means "November (2004 film)"; it does where the sentence says "film", or the film's passage
        names the source.
        """
        target = self.portrait(row)
        if target.title == target.name or " " in target.name:
            return True
        begin, end = source.sentence_at(start)
        sentence = source.text[begin:end].lower()
        return (bool(target.kind) and target.kind in sentence) or (bool(source.name) and source.name in target.text)

    def _steps(self, row: int) -> list[Step]:
        """Return the mentions that surely speak of their target: one passage of that name, and not the source's own."""
        source = self.portrait(row)
        links = self.index.graph.neighbours(row, "mentions")
        crowded = Counter(links.starts.tolist())
        copula = _COPULA.search(source.text)
        named_until = copula.start() if copula is not None and copula.start() < 200 else 0
        most = max(_POPULAR, len(self.index) // 50)
        found = []
        for target, relation, start, end in zip(
            links.rows.tolist(), links.relations.tolist(), links.starts.tolist(), links.ends.tolist(), strict=True
        ):
            name = self.portrait(target).name
            if crowded[start] > 1 or relation != Relation.TITLE_MENTION or name in source.title:
                continue
            if source.title and start < named_until and "(" not in source.text[:start]:
                continue
            if self.index.graph.in_degree[target] > most or not self._is_meant(source, target, start):
                continue
            found.append(Step(row, target, start, end))
        return found

"""Which sets of passages could be the evidence of a question, when nothing but its answer is known.

The evidence is latent. Candidates are built from the answer and the question's names: a passage that holds the answer
together with what leads to it from a name of the question; or, where the answer is yes, no, or one of the names, the
two things named, alone and with what each of them leads to. A prior says how plausible a set is before it is read:
it should speak of what the question speaks of, hang together by links, and be small.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ...agent.reader.protocol import normalise_answer
from ...envs.world import QuestionWorld
from ...retrievers.records import Query

MOST_SETS = 20
"""Sets that are kept of a question, the most plausible first."""

_SEARCHED = 10
"""Passages that the lexical and the dense index are asked for each."""
_NAMES = 4
_LINKED = 4
_COMPANIONS = 4
_COVERAGE = 3.0
_CONNECTED = 1.0
_TOO_MANY = 0.1
_ALONE = 1.0


@dataclass(frozen=True, slots=True)
class EvidenceSet:
    """Rows that could be the evidence, in the order they would be found, and the log of their prior (unnormalised)."""

    rows: tuple[int, ...]
    prior: float


def evidence_sets(world: QuestionWorld) -> list[EvidenceSet]:
    """Return the sets of passages that could be the evidence of a question with an answer, most plausible first.

    Empty when no passage in reach holds the answer.
    """
    if not world.answer:
        return []
    answer = normalise_answer(world.answer)
    names = _named_groups(world)
    if answer in {"yes", "no"} or set(answer.split()) <= set(normalise_answer(world.view.text).split()):
        sets = _compared(world, names)
    else:
        sets = _leading_to(world, names, answer)
    distinct = {frozenset(rows): rows for rows in reversed(sets)}
    weighed = [EvidenceSet(rows, _prior(world, rows)) for rows in distinct.values()]
    return sorted(weighed, key=lambda s: (-s.prior, s.rows))[:MOST_SETS]


def _named_groups(world: QuestionWorld) -> list[list[int]]:
    """Return the rows that the question names, grouped by the place of the name, longest names first."""
    groups: dict[float, list[tuple[float, int]]] = {}
    for row, values in world.view.named.items():
        groups.setdefault(float(values[4]), []).append((-float(values[0]), row))
    share = {place: max(float(world.view.named[row][3]) for _, row in group) for place, group in groups.items()}
    longest = sorted(groups, key=lambda place: -share[place])[:_NAMES]
    return [[row for _, row in sorted(groups[place])] for place in sorted(longest)]


def _linked(world: QuestionWorld, row: int) -> list[int]:
    return list(dict.fromkeys(world.index.graph.neighbours(row, "mentions").rows.tolist()))


def _searched(world: QuestionWorld) -> list[int]:
    index = world.index
    lexical = index.lexical.search(Query(world.view.text), _SEARCHED).rows.tolist()
    dense = index.dense.search(world.query(()), _SEARCHED).rows.tolist()
    return list(dict.fromkeys(row for pair in zip(lexical, dense, strict=False) for row in pair))


def _compared(world: QuestionWorld, names: list[list[int]]) -> list[tuple[int, ...]]:
    """Return the sets of a question that compares two named things."""
    groups = list(names)
    if len(groups) < 2:
        groups += [[row] for row in _searched(world)[: _COMPANIONS + 1] if not any(row in group for group in groups)]
    sets: list[tuple[int, ...]] = []
    pairs = [
        (a, b)
        for k, first in enumerate(groups)
        for second in groups[k + 1 :]
        for a, b in product(first[:2], second[:2])
    ]
    for number, (a, b) in enumerate(pair for pair in pairs if pair[0] != pair[1]):
        sets.append((a, b))
        if number < 2:
            beyond_a = [row for row in _linked(world, a) if row != b][:_LINKED]
            beyond_b = [row for row in _linked(world, b) if row != a][:_LINKED]
            sets += [(a, c, b, d) for c, d in product(beyond_a, beyond_b) if c != d]
            sets += [(a, c, b) for c in set(beyond_a) & set(beyond_b)]
    return sets


def _leading_to(world: QuestionWorld, names: list[list[int]], answer: str) -> list[tuple[int, ...]]:
    """Return the sets of a question whose answer is read in a passage."""
    named = [row for group in names for row in group[:2]]
    first = {row: _linked(world, row) for row in named}
    searched = _searched(world)
    paths: dict[int, tuple[int, ...]] = {row: (row,) for row in (*searched, *named)}
    for row in named:
        for near in first[row]:
            if near not in named:
                paths[near] = (row, near)
    for row in named:
        for near in first[row]:
            for far in _linked(world, near):
                paths.setdefault(far, (row, near, far))
    for row in named:
        for near in world.index.graph.neighbours(row, "mentioned_by").rows.tolist():
            paths.setdefault(near, (row, near))
    sets: list[tuple[int, ...]] = []
    companions = list(dict.fromkeys([*named, *searched]))[: _COMPANIONS + 2]
    for row, path in paths.items():
        if not _holds(world, row, answer):
            continue
        sets.append(path)
        if len(path) == 1:
            sets += [(other, row) for other in companions if other != row]
            sets += [(row, near) for near in _linked(world, row)[:_LINKED] if row in named]
    return sets


def _holds(world: QuestionWorld, row: int, answer: str) -> bool:
    passage = world.index.store.passage(row)
    return f" {answer} " in f" {normalise_answer(f'{passage.title} | {passage.text}')} "


def _prior(world: QuestionWorld, rows: tuple[int, ...]) -> float:
    terms = world.index.terms
    covered = np.zeros(len(world.view.terms), np.bool_)
    for row in rows:
        covered |= np.isin(world.view.terms, terms.terms(row))
    connected = all(row in world.view.named or any(row in _linked(world, other) for other in rows) for row in rows)
    return float(
        _COVERAGE * (world.view.weights * covered).sum()
        + _CONNECTED * connected
        - _TOO_MANY * max(len(rows) - 2, 0)
        - _ALONE * (len(rows) == 1)
    )

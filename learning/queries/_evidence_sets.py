"""Which sets of passages could be the evidence of a question, when nothing but its answer is known.

The evidence is latent. Candidates are built from the answer and the question's names: a passage that holds the answer
together with what leads to it from a name of the question; or, where the answer is yes, no, or one of the names, the
two things named, alone and with what each of them leads to. A prior says how plausible a set is before it is read:
it should speak of what the question speaks of, hang together by links, and be small.

Questions that ask alike share the kind of evidence they need. One comparison cannot tell whether the two films were
enough or their directors were needed: what the reader says of it is noisy. A hundred questions worded alike can. A
set's kind is how many passages it has that the question names, and how many that it does not; the prior over kinds of a
question is learned from the posteriors of its neighbours in wording (an empirical Bayes prior, re-estimated by
expectation maximisation until the two agree).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ...agent.reader._protocol import normalise_answer
from ...envs._world import QuestionWorld
from ...index.index import Index
from ...retrievers.records import Query
from ...retrievers.words._analyser import STOP_WORDS

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


SHARE = 2.0
"""Power of the prior over kinds: above 1, questions that are worded alike come to agree on one kind."""

STEPS = 10
ALIKE = 0.5
"""Share of words (Jaccard) from which two questions count as worded alike."""

_UNSURE = 1.0
"""How many neighbours the belief that all kinds are equally likely weighs as much as."""

Kind = tuple[int, int]


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


def shared_posteriors(
    worlds: Sequence[QuestionWorld],
    sets: Sequence[Sequence[EvidenceSet]],
    log_likelihoods: Sequence[NDArray[np.float64]],
) -> list[NDArray[np.float64]]:
    """Return the posterior of every question's sets, float64 [s] each, summing to 1 (empty where there is no set).

    ``log p(S | y, q) = SHARE log p(kind) + prior(S) + log p(y | S, q)`` up to a constant, with ``p(kind)`` the mean
    posterior of the kind among the other questions that are worded alike.

    Args:
        worlds: the questions.
        sets: of each.
        log_likelihoods: what the reader says of each set.
    """
    kinds = sorted({kind_of(world, s) for world, candidates in zip(worlds, sets, strict=True) for s in candidates})
    own = [
        np.array([kinds.index(kind_of(world, s)) for s in candidates], np.int64)
        for world, candidates in zip(worlds, sets, strict=True)
    ]
    fixed = [
        np.array([s.prior for s in candidates]) + likelihood
        for candidates, likelihood in zip(sets, log_likelihoods, strict=True)
    ]
    alike = _alike(worlds)
    posteriors = [_softmax(scores) for scores in fixed]
    for _ in range(STEPS):
        shares = np.stack([np.bincount(k, p, len(kinds)) for k, p in zip(own, posteriors, strict=True)])  # [q, kinds]
        weight = alike @ np.array([float(len(p) > 0) for p in posteriors])
        prior = (alike @ shares + _UNSURE / len(kinds)) / (weight + _UNSURE)[:, None]
        posteriors = [
            _softmax(f + SHARE * np.log(prior[i, k])) for i, (f, k) in enumerate(zip(fixed, own, strict=True))
        ]
    return posteriors


def kind_of(world: QuestionWorld, evidence: EvidenceSet) -> Kind:
    """Return how many rows of a set the question names, and how many it does not."""
    named = sum(row in world.view.named for row in evidence.rows)
    return named, len(evidence.rows) - named


def _alike(worlds: Sequence[QuestionWorld]) -> NDArray[np.float64]:
    """Return which questions are worded alike outside names, float64 [q, q] of 0 and 1; none is its own neighbour."""
    words = [_wording(world) for world in worlds]
    vocabulary = {word: k for k, word in enumerate(sorted(frozenset[str]().union(*words)))}
    has = np.zeros((len(words), len(vocabulary)), np.float32)
    for k, wording in enumerate(words):
        has[k, [vocabulary[word] for word in wording]] = 1
    shared = has @ has.T
    sizes = has.sum(axis=1)
    union = sizes[:, None] + sizes - shared
    alike = (shared >= ALIKE * np.maximum(union, 1)).astype(np.float64)
    np.fill_diagonal(alike, 0)
    return np.asarray(alike)


def _wording(world: QuestionWorld) -> frozenset[str]:
    """Return the words of a question outside the names in it; stop words do not count."""
    text = world.view.text
    for mention in cast(Index, world.index).titles.find_in_question(text):
        text = text[: mention.start] + " " * (mention.end - mention.start) + text[mention.end :]
    return frozenset(word for word in normalise_answer(text).split() if word not in STOP_WORDS)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(scores):
        return scores
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())

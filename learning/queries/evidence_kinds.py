"""What questions that ask alike have in common: the kind of evidence they need.

One comparison cannot tell whether the two films were enough or their directors were needed: the reader's word on it is
noisy. A hundred questions worded alike can. A set's kind is how many passages it has that the question names, and how
many that it does not; the prior over kinds of a question is learned from the posteriors of its neighbours in wording
(an empirical Bayes prior, re-estimated by expectation maximisation until the two agree).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...agent.reader.protocol import normalise_answer
from ...envs.world import QuestionWorld
from ...retrievers.words.terms import STOP_WORDS
from .latent_evidence import EvidenceSet

SHARE = 2.0
"""Power of the prior over kinds: above 1, questions that are worded alike come to agree on one kind."""

STEPS = 10
ALIKE = 0.5
"""Share of words (Jaccard) from which two questions count as worded alike."""

_UNSURE = 1.0
"""How many neighbours the belief that all kinds are equally likely weighs as much as."""

Kind = tuple[int, int]


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
        log_likelihoods: what the reader says of each set, scaled as it is to count.
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
    for mention in world.index.titles.find_in_question(text):
        text = text[: mention.start] + " " * (mention.end - mention.start) + text[mention.end :]
    return frozenset(word for word in normalise_answer(text).split() if word not in STOP_WORDS)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(scores):
        return scores
    weights = np.exp(scores - scores.max())
    return np.asarray(weights / weights.sum())

"""Questions that are worded alike share what kind of evidence they need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from trailhound.learning.queries._evidence_sets import SHARE, EvidenceSet, kind_of, shared_posteriors

TWO, FOUR = EvidenceSet((1, 2), 0.0), EvidenceSet((1, 2, 3, 4), 0.0)


def world(text: str) -> Any:
    """A question that names the rows 1 and 2; no title stands in its text."""
    titles = SimpleNamespace(find_in_question=lambda asked: [])
    view = SimpleNamespace(text=text, named={1: None, 2: None})
    return SimpleNamespace(view=view, index=SimpleNamespace(titles=titles))


def test_the_kind_counts_named_and_other_passages() -> None:
    asked = world("Which film came first?")
    assert kind_of(asked, TWO) == (2, 0)
    assert kind_of(asked, FOUR) == (2, 2)
    assert kind_of(asked, EvidenceSet((7,), 0.0)) == (0, 1)


def test_one_question_alone_follows_prior_and_reader() -> None:
    [posterior] = shared_posteriors([world("film")], [[TWO, FOUR]], [np.array([-1.0, -3.0])])
    weights = np.exp([-1.0, -3.0])
    np.testing.assert_allclose(posterior, weights / weights.sum())


def test_many_that_ask_alike_outvote_a_noisy_one() -> None:
    """Nine readings favour four passages a little and one favours two; the one that asks otherwise is left alone."""
    worlds = [world("director died earlier")] * 10 + [world("older person")]
    likelihoods = [np.array([-0.6, -0.2])] * 9 + [np.array([-0.2, -0.6])] * 2
    posteriors = shared_posteriors(worlds, [[TWO, FOUR]] * 11, likelihoods)
    assert all(posterior[1] > 0.9 for posterior in posteriors[:9])
    assert posteriors[9][1] > 0.8
    np.testing.assert_allclose(posteriors[10], np.exp([-0.2, -0.6]) / np.exp([-0.2, -0.6]).sum())


def test_two_neighbours_by_hand() -> None:
    """After the last step each posterior is the one that the other's implies."""
    worlds = [world("director died earlier")] * 2
    first, second = shared_posteriors(worlds, [[TWO, FOUR]] * 2, [np.array([-0.6, -0.2]), np.array([-0.5, -0.3])])
    # at the fixed point: log odds of four = 0.4 + SHARE * log of (q + 1/2) / (3/2 - q), with the other's share q
    for own, other, gain in ((first, second, 0.4), (second, first, 0.2)):
        odds = gain + SHARE * np.log((other[1] + 0.5) / (other[0] + 0.5))
        assert np.log(own[1] / own[0]) == pytest.approx(odds, abs=0.05)


def test_a_question_without_sets_stays_without() -> None:
    empty, known = shared_posteriors([world("film"), world("film")], [[], [TWO]], [np.zeros(0), np.zeros(1)])
    assert empty.shape == (0,)
    assert known.tolist() == [1.0]

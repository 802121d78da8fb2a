"""A stated confidence is a probability, and low where the corpus does not answer."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from trailhound.agent._confidence import KEPT, MOSTLY, Confidence, Examples, _fitted, listed_by_rank
from trailhound.agent._search_signals import OF_VECTORS, OF_WORDS, SIGNALS, Asked
from trailhound.index.index import Index
from trailhound.retrievers._calibration import calibration_error
from trailhound.retrievers.records import Hits
from trailhound.retrievers.words._terms import term_hashes

Drawn = tuple[Examples, NDArray[np.float64]]


def drawn(count: int, seed: int, kind: str = "vectors") -> Drawn:
    """Return searches by a known law, and the law's probabilities that all evidence stands first."""
    rng = np.random.default_rng(seed)
    signals = rng.normal(size=(count, len(SIGNALS[kind])))
    there = 1 / (1 + np.exp(-(2.35 + 3.0 * signals[:, 0])))  # of three in four, as MOSTLY says
    first = 1 / (1 + np.exp(-(0.5 - 2.0 * signals[:, 1])))
    answerable = rng.random(count) < there
    return Examples(signals, answerable & (rng.random(count) < first), answerable), there * first


def test_a_known_law_is_found_again_though_more_have_no_answer_among_those_learned_from() -> None:
    asked_of, _ = drawn(30000, 0)
    kept = ~asked_of.answerable | (np.arange(30000) % 3 == 0)
    learned = Examples(asked_of.signals[kept], asked_of.complete[kept], asked_of.answerable[kept])
    assert learned.answerable.mean() == pytest.approx(0.5, abs=0.03)
    assert asked_of.answerable.mean() == pytest.approx(MOSTLY, abs=0.02)
    confidence = Confidence.fit({"vectors": learned})
    new, chances = drawn(3000, 1)
    stated = np.array([confidence.of("vectors", one).confidence for one in new.signals])
    assert np.abs(stated - chances).mean() < 0.02
    assert calibration_error(stated, new.complete) < 0.03


def test_one_in_twenty_answered_questions_is_refused_and_most_of_the_others() -> None:
    examples, _ = drawn(3000, 2)
    confidence = Confidence.fit({"vectors": examples})
    refused = np.array([confidence.of("vectors", one).unanswered for one in examples.signals])
    assert refused[examples.answerable].mean() == pytest.approx(1 - KEPT, abs=0.002)
    assert refused[~examples.answerable].mean() > 0.4


def test_the_mean_probability_is_the_share() -> None:
    examples, _ = drawn(500, 3)
    curve = _fitted(examples.signals, examples.answerable)
    assert curve(examples.signals).mean() == pytest.approx(examples.answerable.mean(), abs=0.005)


@pytest.mark.parametrize("happened", [True, False])
def test_searches_that_all_ended_alike_do_not_make_it_certain(happened: bool) -> None:
    signals = np.random.default_rng(4).normal(size=(30, len(OF_WORDS)))
    examples = Examples(signals, np.full(30, happened), np.ones(30, np.bool_))
    confidence = Confidence.fit({"words": examples})
    stated = [confidence.of("words", one) for one in signals]
    assert all(0 < one.confidence < 1 and abs(one.confidence - happened) < 0.1 for one in stated)
    assert not any(one.unanswered for one in stated), "nothing without an answer was seen"


def test_it_survives_its_file() -> None:
    confidence = Confidence.fit({kind: drawn(200, 5, kind)[0] for kind in SIGNALS})
    assert Confidence.from_json(json.loads(json.dumps(confidence.to_json()))) == confidence


def asked(index: Index, text: str) -> Asked:
    query = index.query(text)
    assert query.vector is not None
    named = frozenset(row for mention in index.entity.mentions(text) for row in mention.rows)
    lists = index.lexical.search(query, 50), index.dense.search(query, 50)
    return Asked(index, term_hashes(text), named, lists[0], (query.vector, lists[1]))


def test_the_words_that_are_missing_are_seen(small_index: Index) -> None:
    passage = small_index.store.passage(0)
    words = passage.text.split()[:8]
    rows = np.array([0, 1, 2, 3, 4])
    whole, strange = (
        dict(zip(SIGNALS["vectors"], asked(small_index, text).signals(rows).tolist(), strict=True))
        for text in (" ".join(words), f"{' '.join(words)} qwyxzzq")
    )
    assert whole["unknown"] == whole["unseen"] == 0
    assert whole["covered_first"] == pytest.approx(1)
    assert strange["unknown"] == pytest.approx(strange["unseen"])
    assert strange["unknown"] > 0.1
    assert strange["covered_first"] == pytest.approx(1 - strange["unknown"])
    assert strange["rarest_known"] == strange["rarest_seen"] == 0


def test_it_is_nearer_to_what_is_there(small_index: Index) -> None:
    text = small_index.store.passage(7).text[:200]
    near, far = (asked(small_index, one) for one in (text, "zzyx qqwv bbnm"))
    signals = [one.signals(one.vector[1].rows) for one in (near, far) if one.vector is not None]
    first, second = (dict(zip(SIGNALS["vectors"], one.tolist(), strict=True)) for one in signals)
    for name in ("nearest", "near_first", "as_near", "matched"):
        assert first[name] > second[name], name


def test_nothing_found_is_no_error(small_index: Index) -> None:
    nothing = Hits(np.zeros(0, np.int64), np.zeros(0, np.float32))
    words = Asked(small_index, term_hashes(""), frozenset(), nothing)
    assert words.signals(nothing.rows).shape == (len(OF_WORDS),)
    vector = np.ones(small_index.encoder.dimension, np.float32)
    both = Asked(small_index, term_hashes("tin"), frozenset(), nothing, (vector, nothing))
    assert np.isfinite(both.signals(nothing.rows)).all()
    assert len(both.signals(nothing.rows)) == len(OF_WORDS) + len(OF_VECTORS)


def test_passages_are_judged_by_their_rank_and_by_how_sure_the_search_is() -> None:
    rng = np.random.default_rng(0)
    count = 300
    signals = rng.normal(size=(count, len(SIGNALS["words"])))
    answerable = signals[:, 0] > -0.5
    passages = [listed_by_rank(10) for _ in range(count)]
    supporting = [np.arange(10) == (int(rng.integers(2)) if there else -1) for there in answerable]
    fitted = Confidence.fit({"words": Examples(signals, answerable, answerable, passages, supporting)})
    sure, unsure = (
        fitted.of_passages("words", fitted.of("words", np.full(signals.shape[1], value)), listed_by_rank(10))
        for value in (1.0, -2.0)
    )
    assert sure is not None
    assert unsure is not None
    assert (np.diff(sure) <= 0).all()
    assert sure[0] > 0.3 > sure[5]
    assert (sure > unsure).all()
    again = Confidence.from_json(json.loads(json.dumps(fitted.to_json())))
    assert again == fitted
    assert again.of_passages("policy", fitted.of("words", signals[0]), listed_by_rank(3)) is None

"""A reader says how sure it is of an answer, and states it where such answers are right often enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures.reading import passage
from trailhound.agent.reader._candidate_features import FEATURES, read_candidates
from trailhound.agent.reader._certainty import SIGNALS, Certainty, signals_of
from trailhound.agent.reader._extractive import ExtractiveReader, load_reader, save_reader
from trailhound.agent.reader._language_models import SHIPPED
from trailhound.agent.reader._passage_analysis import PassageAnalyser
from trailhound.errors import PolicyError
from trailhound.learning._certainty import Judged, fit_certainty, judge
from trailhound.learning._reader import ReadingExample
from trailhound.retrievers._calibration import LogisticCurve
from trailhound.retrievers._hashed_files import read_sealed_json, write_sealed_json

AT = {name: k for k, name in enumerate(SIGNALS)}


def judged(count: int) -> list[Judged]:
    """Return answers that are right as often as the first of their signals says."""
    generator = np.random.default_rng(0)
    signals = generator.normal(0, 1, (count, len(SIGNALS)))
    signals[:, [AT["offered"], AT["decided"], AT["asks_how"]]] = 0
    chances = 1 / (1 + np.exp(-3 * signals[:, 0]))
    return [Judged(one, bool(generator.random() < chance)) for one, chance in zip(signals, chances, strict=True)]


def test_what_is_stated_is_right_four_times_in_five() -> None:
    """On answers that nothing was fitted to, and without refusing everything."""
    certainty = fit_certainty(judged(600))
    fresh = judged(3000)[600:]
    stated = [one.right for one in fresh if certainty.states(one.signals)]
    assert np.mean(stated) >= 0.8
    assert len(stated) > 0.2 * len(fresh)


def test_the_chance_is_as_often_right_as_it_says() -> None:
    certainty = fit_certainty(judged(600))
    fresh = judged(3000)[600:]
    chances, right = np.array([[certainty.of(one.signals), one.right] for one in fresh]).T
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (chances >= low) & (chances < low + 0.25)
        assert right[inside].mean() == pytest.approx(chances[inside].mean(), abs=0.06)


def test_without_any_right_answer_nothing_is_stated() -> None:
    wrong = [Judged(one.signals, False) for one in judged(300)]
    certainty = fit_certainty(wrong)
    assert not any(certainty.states(one.signals) for one in wrong)


@pytest.mark.parametrize(("signal", "stated"), [("offered", False), ("asks_how", False), ("decided", True)])
def test_a_guess_between_two_and_how_to_are_never_stated(signal: str, stated: bool) -> None:
    sure = np.zeros(len(SIGNALS))
    certainty = Certainty(LogisticCurve((0.0,) * len(SIGNALS), (0.0,) * len(SIGNALS), (1.0,) * len(SIGNALS), 3.0))
    assert certainty.states(sure)
    sure[AT[signal]] = 1
    assert certainty.states(sure) is stated


@pytest.mark.parametrize(
    ("question", "decided"),
    [
        ("Who was born first, Anna Arendt or Bruno Bauer?", True),
        ("Who is younger, Anna Arendt or Bruno Bauer?", True),
        ("Who died earlier, Anna Arendt or Bruno Bauer?", False),
        ("Who won more prizes, Anna Arendt or Bruno Bauer?", False),
    ],
)
def test_an_offer_is_decided_where_the_passages_have_what_is_compared(
    analyser: PassageAnalyser, question: str, decided: bool
) -> None:
    passages = [
        passage("Anna Arendt", "Anna Arendt (born 4 May 1921) won a prize."),
        passage("Bruno Bauer", "Bruno Bauer (born 3 June 1930) won two prizes."),
    ]
    candidates = read_candidates(question, analyser.read(passages), analyser.vectors)
    chances = np.full(len(candidates.answers), 1 / len(candidates.answers))
    total = dict.fromkeys(candidates.answers[:-1], 0.1)
    offers = [k for k in range(len(candidates.answers)) if candidates.features[k, FEATURES.index("choice")]]
    signals = [signals_of(question, candidates, chances, total, at) for at in offers]
    assert [one[AT["offered"]] for one in signals] == [1, 1]
    assert sum(one[AT["decided"]] for one in signals) == decided, "one of the two is ahead, or neither is known to be"


def test_an_answer_is_judged_by_the_one_that_is_known(
    small_reader: ExtractiveReader, unseen: list[ReadingExample]
) -> None:
    example = unseen[0]
    answer = small_reader.answer(example.question, example.evidence)
    assert answer is not None
    for known, right in ((answer.text, True), ("another", False), (None, False)):
        found = judge(small_reader, example.question, example.evidence, known)
        assert found is not None
        assert found.right is right


def test_the_certainty_decides_what_is_stated_and_goes_to_disk(
    small_reader: ExtractiveReader, unseen: list[ReadingExample], analyser: PassageAnalyser, tmp_path: Path
) -> None:
    example = next(e for e in unseen if e.question.startswith("Where"))
    curve = fit_certainty(judged(200)).curve
    for bias, stated in ((50.0, True), (-50.0, False)):
        certainty = Certainty(replace(curve, bias=bias))
        save_reader(tmp_path, ExtractiveReader(small_reader.network, analyser, certainty), {})
        again = load_reader(tmp_path, analyser)
        assert again.certainty == certainty
        answer = again.answer(example.question, example.evidence)
        assert answer is not None
        assert answer.stated is stated
    description = read_sealed_json(tmp_path / "reader.json", PolicyError, "")
    description["certainty"]["signals"].reverse()
    write_sealed_json(tmp_path / "reader.json", description)
    with pytest.raises(PolicyError, match="other signals"):
        load_reader(tmp_path, analyser)


def test_the_reader_that_ships_is_silent_where_a_sentence_is_wanted(analyser: PassageAnalyser) -> None:
    """How-to and why, and a fact that the passage does not have."""
    reader = load_reader(SHIPPED, analyser)
    guide = passage("Ferry", "To book the ferry to Veld, call the harbour office. The ferry leaves at nine in Torl.")
    for question in ("How do I book the ferry?", "Why does the ferry stop?", "When was Otto Krell born?"):
        answer = reader.answer(question, [guide])
        assert answer is None or not answer.stated, question

"""Answers are compared as SQuAD and HotpotQA compare them."""

from __future__ import annotations

import pytest
from trailhound.agent.reader._protocol import exact_match, f1_score, normalise_answer


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Beatles", "beatles"),
        ("An  apple, a pear!", "apple pear"),
        ("U.S.", "us"),
        ("theatre", "theatre"),
        ("27 April 1996.", "27 april 1996"),
    ],
)
def test_case_articles_punctuation_and_spaces_do_not_count(text: str, normal: str) -> None:
    assert normalise_answer(text) == normal


def test_exact_match() -> None:
    assert exact_match("the Prairie King", "The Prairie King!") == 1
    assert exact_match("Prairie", "The Prairie King") == 0


def test_f1_by_hand() -> None:
    """Two of three words are right, and one of the two wanted is said twice, of which one counts."""
    assert f1_score("Pilton, Somerset England", "Pilton Somerset") == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert f1_score("Bell Bell", "Bell") == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert f1_score("Oslo", "Bergen") == 0


def test_yes_and_no_are_right_as_a_whole_or_not_at_all() -> None:
    assert f1_score("no", "no way") == 0
    assert f1_score("yes", "yes") == 1

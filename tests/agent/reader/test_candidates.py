"""What could be an answer is found, with the parts that an answer might be."""

from __future__ import annotations

import pytest
from trailhound.agent.reader._candidates import KINDS, find_candidates

TEXT = (
    "Emily Eavis (born 1979) is the daughter of Duke Bolko I of Opole, and lives in Pilton, Somerset. "
    "He died of a heart attack on 27 April 1996, one of 2,400 people. George Beresford, 1st Marquess of Waterford came."
)


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return {TEXT[c.start : c.end]: KINDS[c.kind] for c in find_candidates(TEXT)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Emily Eavis", "name"),
        ("1979", "year"),
        ("27 April 1996", "date"),
        ("2,400", "number"),
        ("Duke Bolko I of Opole", "name"),
        ("Bolko I of Opole", "part"),
        ("Bolko I", "part"),
        ("Opole", "part"),
        ("Pilton, Somerset", "pair"),
        ("Pilton", "name"),
        ("heart attack", "phrase"),
        ("George Beresford, 1st Marquess of Waterford", "pair"),
    ],
)
def test_every_kind_is_found(found: dict[str, str], text: str, kind: str) -> None:
    assert found[text] == kind


def test_a_word_that_only_begins_a_sentence_is_no_name(found: dict[str, str]) -> None:
    assert "He" not in found
    assert "of a" not in found


def test_a_part_says_how_much_of_the_name_was_left_out() -> None:
    dropped = {TEXT[c.start : c.end]: c.dropped for c in find_candidates(TEXT)}
    assert dropped["Duke Bolko I of Opole"] == (0, 0)
    assert dropped["Bolko I of Opole"] == (1, 0)
    assert dropped["Bolko I"] == (1, 2)


def test_candidates_are_ordered_and_stand_once() -> None:
    spans = [(c.start, c.end) for c in find_candidates(TEXT)]
    assert spans == sorted(set(spans))
    assert find_candidates("") == []

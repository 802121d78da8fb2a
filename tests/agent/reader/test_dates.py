"""Dates are found where they stand, and can be put in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trailhound.agent.reader._candidates import find_dates


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("born May 13, 1927 – October 9, 2001)", ["May 13, 1927", "October 9, 2001"]),
        ("the 3rd of March 1806", ["3rd of March 1806"]),
        ("in Sept. 1911, then 1912", ["Sept. 1911", "1912"]),
        ("a force of 1,500 men and 12000 horses", []),
        ("on 27 april 1996", ["27 april 1996"]),
    ],
)
def test_what_is_a_date(text: str, found: list[str]) -> None:
    assert [text[date.start : date.end] for date in find_dates(text)] == found


def test_values_by_hand() -> None:
    """The middle of 1911; the middle of September 1911; the sixteenth of May, 16/32 of its month."""
    year, month, day = find_dates("1911; September 1911; May 16, 1911")
    assert year.value == 1911.5
    assert month.value == pytest.approx(1911 + 8.5 / 12)
    assert day.value == pytest.approx(1911 + 4.5 / 12)
    assert [date.exact for date in (year, month, day)] == [False, False, True]


@given(st.dates(), st.dates())
def test_later_days_have_larger_values(one: object, other: object) -> None:
    import datetime

    assert isinstance(one, datetime.date)
    assert isinstance(other, datetime.date)
    if min(one.year, other.year) < 1000:
        return
    text = "; ".join(f"{date.day} {date:%B} {date.year}" for date in (one, other))
    first, second = find_dates(text)
    assert (first.value < second.value) == (one < other)

"""Dates in running text, as places in it and as numbers that can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_MONTH = "(?P<{0}>" + "|".join(_MONTHS) + r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?"
_DATE = re.compile(
    rf"\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format('m1')},?\s+(?P<y1>\d{{3,4}})\b"
    rf"|\b{_MONTH.format('m2')}\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s*,?\s+(?P<y2>\d{{3,4}})\b"
    rf"|\b{_MONTH.format('m3')},?\s+(?P<y3>\d{{4}})\b"
    r"|(?<![\d.,])(?P<y4>1\d{3}|20\d{2})(?![\d,]*\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class DateMention:
    """A date at ``[start, end)`` of a text.

    Attributes:
        value: in years; the middle of a year or month where no more is said.
        exact: day, month and year are there.
    """

    start: int
    end: int
    value: float
    exact: bool


def find_dates(text: str) -> list[DateMention]:
    """Return the dates of a text from left to right: days, months with their years, and bare years from 1000 on."""
    return [_mention(match) for match in _DATE.finditer(text)]


def _mention(match: re.Match[str]) -> DateMention:
    part = match.groupdict()
    year = int(next(part[f"y{n}"] for n in (1, 2, 3, 4) if part[f"y{n}"]))
    day = part["d1"] or part["d2"]
    month = part["m1"] or part["m2"] or part["m3"]
    value = year + 0.5
    if month is not None:
        number = next(n for n, name in enumerate(_MONTHS) if name.startswith(month.lower()[:3]))
        value = year + (number + (min(int(day), 31) / 32 if day else 0.5)) / 12
    return DateMention(match.start(), match.end(), value, day is not None)

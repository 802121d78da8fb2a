"""What could be an answer in a passage: dates, numbers, names with their parts, and short phrases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from ...retrievers.words._analyser import STOP_WORDS

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


KINDS = ("date", "year", "number", "name", "part", "pair", "phrase", "quote", "extended")
"""``part`` is a part of a longer name, ``pair`` two names joined by a comma or by "and" ("Pilton, Somerset"), and
``extended`` a name or number with the words that follow it ("Premier League club", "110 miles", "2006 season")."""

MAX_PHRASE = 4
"""Words of a phrase in small letters."""

_COUNTS = frozenset(KINDS.index(kind) for kind in ("date", "year", "number"))
MAX_EXTENSION = 2
"""Words in small letters that follow a name or number."""

_WORD = re.compile(r"\w+(?:[.’']\w+)*|[^\w\s]")
_NUMBER = re.compile(r"(?:\d[\d,.]*\d|\d)(?:\s+(?:million|billion|thousand|hundred))?")
_RANGE = re.compile(r"\d[\d,.]*\s?[–-]\s?\d[\d,.]*\d|\d[\d,.]*\s?[–-]\s?\d")
_DAYS_BEFORE = re.compile(r"\d{1,2}\s?[–-]\s?$")
_QUOTE = re.compile('["“]([^"“”\n]{2,80})["”]')
_CONNECTORS = frozenset(
    "of the de von van der den del della di da do dos du la le les el al y e und zu zur bin ibn ben af av".split()  # noqa: SIM905
)
_OPENERS = frozenset("the a an".split())  # noqa: SIM905
_MAX_NAME = 10
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)$")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible answer at ``[start, end)`` of a passage's text.

    Attributes:
        kind: number among ``KINDS``.
        dropped: words of the whole name that were left out before and after it.
    """

    start: int
    end: int
    kind: int
    dropped: tuple[int, int] = (0, 0)


Span = tuple[int, int]


def find_candidates(text: str, phrases: bool = True) -> list[Candidate]:
    """Return the candidates of a text, ordered by place; a place may begin several."""
    found: dict[Span, Candidate] = {}

    def add(start: int, end: int, kind: str, dropped: tuple[int, int] = (0, 0)) -> None:
        if end > start:
            found.setdefault((start, end), Candidate(start, end, KINDS.index(kind), dropped))

    for date in find_dates(text):
        add(date.start, date.end, "date" if date.exact else "year")
        days = _DAYS_BEFORE.search(text, max(date.start - 5, 0), date.start)
        if days is not None:
            add(days.start(), date.end, "date")
    for pattern in (_NUMBER, _RANGE):
        for number in pattern.finditer(text):
            add(number.start(), number.end(), "number")
    for quote in _QUOTE.finditer(text):
        add(*quote.span(1), "quote")
    words = [match.span() for match in _WORD.finditer(text)]
    names = _names(text, words)
    for first, last in names:
        add(words[first][0], words[last - 1][1], "name")
        for a, b in _parts(text, words, first, last):
            add(words[a][0], words[b - 1][1], "part", (a - first, last - b))
    for (first, end), (start, last) in pairwise(names):
        between = text[words[end - 1][1] : words[start][0]]
        if between.strip() in {",", "and", "&"}:
            add(words[first][0], words[last - 1][1], "pair")
    for start, end in _extended(text, words, names, [(c.start, c.end) for c in found.values() if c.kind in _COUNTS]):
        add(start, end, "extended")
    if phrases:
        for a, b in _phrases(text, words):
            add(words[a][0], words[b - 1][1], "phrase")
    return sorted(found.values(), key=lambda candidate: (candidate.start, candidate.end))


def _capital(word: str) -> bool:
    return word[0].isupper() or (len(word) > 2 and word[1] in "'’" and word[2].isupper())


def _names(text: str, words: list[Span]) -> list[Span]:
    """Return runs of capitalised words, with small connectors inside, as spans of words."""
    names: list[Span] = []
    first = -1
    end = -1
    for k, (start, stop) in enumerate(words):
        word = text[start:stop]
        gap = text[words[k - 1][1] : start] if k else ""
        continues = first >= 0 and "\n" not in gap
        titled = _ORDINAL.match(word) and k + 1 < len(words) and text[words[k + 1][0]].isupper()  # "1st Duke of ..."
        if (_capital(word) or titled) and (
            word.lower() not in STOP_WORDS or (first < 0 and word.lower() in _OPENERS) or continues
        ):
            if not continues:
                first = k
            end = k + 1
        elif (
            continues and (word in _CONNECTORS or word in {"-", "–", "&", "'", "’", ".", '"'}) and k - first < _MAX_NAME
        ):
            if word == "." and not (end == k and stop - start == 1 and len(text[slice(*words[k - 1])]) <= 2):
                names.append((first, end))
                first = -1
        elif continues and word.isdigit() and end == k and len(word) <= 2:
            end = k + 1
        elif first >= 0:
            names.append((first, end))
            first = -1
    if first >= 0:
        names.append((first, end))
    return [(a, b) for a, b in names if b > a and not (b == a + 1 and text[slice(*words[a])].lower() in STOP_WORDS)]


def _parts(text: str, words: list[Span], first: int, last: int) -> list[Span]:
    """Return parts of a name: without its first one or two words, and its ends at connectors."""
    parts = []
    ends = [last] + [k for k in range(first + 1, last) if not _capital(text[slice(*words[k])])]
    for begin in range(first, min(first + 3, last)):
        if not _capital(text[slice(*words[begin])]):
            continue
        parts += [(begin, end) for end in ends if end > begin]
    later = [k + 1 for k in ends if k < last - 1 and _capital(text[slice(*words[k + 1])])]
    parts += [(begin, last) for begin in later]
    parts += [(first, end) for end in range(first + 1, last) if _capital(text[slice(*words[end - 1])])]
    if last - first > 2:
        parts.append((last - 1, last))
    return [part for part in parts if part != (first, last)]


def _extended(text: str, words: list[Span], names: list[Span], numbers: list[Span]) -> list[Span]:
    """Return names and numbers with the words in small letters that follow them, and numbers with their names."""
    begins = {start: k for k, (start, _) in enumerate(words)}
    name_ends = dict(names)
    heads = [(words[first][0], last) for first, last in names]
    for start, end in numbers:
        after = next((begins[at] for at in range(end, min(end + 2, len(text))) if at in begins), None)
        if after is not None and text[end : words[after][0]] in {"", " ", "-"}:
            heads.append((start, after))
            if after in name_ends:
                heads.append((start, name_ends[after]))
    extended = [(start, words[after - 1][1]) for start, after in heads if after and words[after - 1][0] > start]
    for start, after in heads:
        for k in range(after, min(after + MAX_EXTENSION, len(words))):
            word = text[slice(*words[k])]
            if not _contentful(word) or not word.islower() or "\n" in text[words[k - 1][1] : words[k][0]]:
                break
            extended.append((start, words[k][1]))
    return extended


def _phrases(text: str, words: list[Span]) -> list[Span]:
    """Return runs of up to MAX_PHRASE words that neither begin nor end with a stop word."""
    phrases = []
    for a in range(len(words)):
        if not _contentful(text[slice(*words[a])]):
            continue
        for b in range(a + 1, min(a + MAX_PHRASE, len(words)) + 1):
            word = text[slice(*words[b - 1])]
            if not word[0].isalnum():
                break
            if _contentful(word) and text[words[a][0] : words[b - 1][1]].islower():
                phrases.append((a, b))
    return phrases


def _contentful(word: str) -> bool:
    return word[0].isalpha() and word.lower() not in STOP_WORDS

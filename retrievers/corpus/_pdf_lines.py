"""The lines of all pages of a PDF as text: divided words joined, headers and footers of every page left out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from ._pdf_page import Line

_LETTERS = re.compile(r"[^\W\d_]+")
_HYPHENATED = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)+")
_DIVIDED = re.compile(r"([^\W\d_]+)[-\u2010\u00ad]$")
_HYPHENS = ("-", "\u2010", "\u00ad")
_CONTINUED = re.compile(r"[^\W\d_]+")
_REST = re.compile(r"(\w[^\W\d_]*)\S*")
"""The rest of a divided word, with what is written to it; the letters that it begins with are ``[1]``."""

_NUMBER = re.compile(r"\d+")
_PAGE_WORDS = frozenset({"page", "pages", "p", "pg", "of", "seite", "von", "s", "sur", "de", "página", "pagina", "di"})
"""Words of a line that is nothing but a page number."""

_SUSPENDED = frozenset({"and", "or", "to", "und", "oder", "et", "ou", "y", "o", "e"})
"""Words after a hyphen that stands for what follows: short- and long-term."""

_PREFIXES = frozenset({"self", "well", "non", "ex", "half", "all", "quasi", "vice"})
"""Words before a hyphen that stays."""

_EDGE = 2
"""Lines at either end of a page among which headers and footers are looked for."""

_LEAST_PAGES = 4
_MOST_PAGES = 0.5
"""A line is left out that stands on more than this share of the pages, and on four at least."""

_LONGEST_HEADER = 120


def without_running_lines(pages: Sequence[list[Line]]) -> tuple[list[list[Line]], int]:
    """Leave out the headers and footers that most pages repeat, and page numbers; return how many were.

    The first of each stays, so that no word is lost; page numbers alone do not.
    """
    on: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, lines in enumerate(pages):
        for place in _edges(lines):
            text = lines[place].text.strip()
            if len(text) <= _LONGEST_HEADER:
                for form in _forms(text, number):
                    on[form].append((number, place))
    gone: set[tuple[int, int]] = set()
    for form, places in on.items():
        numbers = {number for number, _ in places}
        if len(numbers) >= max(_LEAST_PAGES, _MOST_PAGES * len(pages)):
            words = _LETTERS.search(form)
            gone.update(places[1:] if words and places[0] not in gone else places)
    kept = [
        [line for place, line in enumerate(lines) if (number, place) not in gone] for number, lines in enumerate(pages)
    ]
    return kept, len(gone)


def _edges(lines: Sequence[Line]) -> Iterable[int]:
    return {*range(min(_EDGE, len(lines))), *range(max(0, len(lines) - _EDGE), len(lines))}


def _forms(text: str, page: int) -> Iterable[str]:
    """Return a line as it is, and a page number with its number as the distance from the page's place.

    A line with other words is no page number, though its number may rise with the pages: "Invoice 1001", "Room 3".
    """
    yield text
    if not _PAGE_WORDS.issuperset(word.lower() for word in _LETTERS.findall(text)):
        return
    for match in _NUMBER.finditer(text):
        if len(match[0]) <= 6:
            yield f"{text[: match.start()]}\0{int(match[0]) - page}\0{text[match.end() :]}"


def _divided(line: str) -> re.Match[str] | None:
    """Return where a line ends in a part of a word with a hyphen, if it does; ``[1]`` is the part."""
    if not line.endswith(_HYPHENS):
        return None
    start = len(line) - 1
    while start and line[start - 1].isalpha():
        start -= 1
    return _DIVIDED.match(line, start)


class Hyphens:
    """Joins words that are divided at the end of a line, and keeps hyphens that are part of a word.

    Args:
        pages: of the document: a word that it writes with its hyphen elsewhere keeps it, one that it writes in one
            piece is joined. Of others the hyphen stays where both halves are words of the document.
    """

    def __init__(self, pages: Iterable[Sequence[Line]]) -> None:
        self._words: Counter[str] = Counter()
        self._hyphenated: set[str] = set()
        for lines in pages:
            continues = False
            for line in lines:
                text = _CONTINUED.sub("", line.text, count=1) if continues else line.text
                divided = _divided(text)
                continues = divided is not None
                whole = text[: divided.start()] if divided else text
                self._words.update(word.lower() for word in _LETTERS.findall(whole))
                if "-" in whole or "\u2010" in whole:
                    self._hyphenated.update(word.lower().replace("\u2010", "-") for word in _HYPHENATED.findall(whole))

    def text(self, lines: Sequence[Line]) -> str:
        """Return lines as text, with an empty line before each paragraph."""
        written: list[str] = []
        for line in lines:
            text = line.text
            divided = _divided(written[-1]) if written else None
            rest = _REST.match(text) if divided is not None else None
            if divided is not None and rest is not None and rest[1].lower() not in _SUSPENDED:
                before = written[-1][: divided.start()]
                stays = before.endswith(_HYPHENS) or self._stays(divided[1], rest[1])
                written[-1] = (written[-1] if stays else written[-1][:-1]).rstrip("\u00ad") + rest[0]
                text = text[rest.end() :].lstrip()
            elif line.apart and written:
                written.append("")
            if text:
                written.append(text)
        return "\n".join(written)

    def _stays(self, left: str, right: str) -> bool:
        """Return whether the hyphen between two halves belongs to the word."""
        first, second = left.lower(), right.lower()
        if not right[0].islower():
            return not (left.isupper() and right.isupper() and self._words[first + second])
        if self._words[first + second]:
            return False
        if f"{first}-{second}" in self._hyphenated or len(first) == 1 or first in _PREFIXES:
            return True
        return bool(self._words[first] and self._words[second] and min(len(first), len(second)) > 2)

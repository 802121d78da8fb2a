"""Text from files becomes the text that every offset counts; warnings name what was repaired, many alike as a count."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


class NormalisedText(NamedTuple):
    """Text after ``normalise``: NFC, lines end in LF, no NUL, lone surrogate or leading byte order mark.

    With it stands how many NULs were removed, and how many halves of surrogate pairs were replaced by U+FFFD.
    """

    text: str
    nul_characters: int
    lone_surrogates: int


def normalise(text: str) -> NormalisedText:
    """Bring text into the form that is stored, searched and counted in; a second time changes nothing.

    Source: Unicode Standard Annex 15 (NFC).
    """
    nul_characters = text.count("\0")
    if nul_characters:
        text = text.replace("\0", "")
    text, lone_surrogates = _LONE_SURROGATE.subn(_REPLACEMENT, text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.lstrip("\ufeff")
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return NormalisedText(text, nul_characters, lone_surrogates)


class Place(NamedTuple):
    """Where in the user's files something was found: a file and, where known, its line counted from 1."""

    path: Path
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}" if self.line is None else f"{self.path}:{self.line}"


class Complaints:
    """Passes warnings on, the first few of every kind at once and the rest as one count at the end."""

    def __init__(self, warn: Callable[[str], None], shown: int = 3) -> None:
        self._warn = warn
        self._shown = shown
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, place: Place, detail: str = "") -> None:
        """Complain about ``place``; complaints with equal ``kind`` are counted together."""
        self._counts[kind] += 1
        if self._counts[kind] <= self._shown:
            self._warn(f"{place}: {kind}{detail}")

    def normalised(self, text: str, place: Place) -> str:
        """Return the text normalised, complaining about every character that had to be repaired."""
        result = normalise(text)
        if result.nul_characters:
            self.add("removed NUL characters", place, f" ({result.nul_characters})")
        if result.lone_surrogates:
            self.add("replaced lone surrogates by U+FFFD", place, f" ({result.lone_surrogates})")
        return result.text

    def normalised_json(self, value: Any, place: Place) -> Any:
        """Return a JSON value with every string inside it, keys included, normalised."""
        if isinstance(value, str):
            return self.normalised(value, place)
        if isinstance(value, list):
            return [self.normalised_json(item, place) for item in value]
        if isinstance(value, dict):
            return {self.normalised(key, place): self.normalised_json(item, place) for key, item in value.items()}
        return value

    def finish(self) -> None:
        """Report how many complaints of each kind were not passed on."""
        for kind, count in self._counts.items():
            if count > self._shown:
                self._warn(f"{count - self._shown:,} more: {kind}")
        self._counts.clear()
